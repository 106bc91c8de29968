/**
 * What a client asks for in `POST /v1/embeddings`. README.md says the same.
 * https://platform.openai.com/docs/api-reference/embeddings/create
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { storable } from "../domain/inbound.ts"
import { tokensEstimatedOfInput } from "../inference/demand.ts"
import type { EmbeddingInput } from "../inference/engine.ts"
import type { ApiError } from "./api-error.ts"
import { eachOf, honoured, idle, missing, readBody, readFields, wrong } from "./request-fields.ts"

export interface EmbeddingsAsked {
  readonly model: string
  readonly inputs: ReadonlyArray<EmbeddingInput>
  readonly isBase64: boolean
  readonly dimensions: number | undefined
}

/** A vector of some thousand numbers is some ten kilobytes of JSON. */
export const inputsMax = 256
const dimensionsMax = 65_536
const tokenMax = 2 ** 31 - 1

const expectedInput = `a string, a list of tokens, or a list of at most ${inputsMax} of these`
const expectedOne = "a string or a list of tokens, neither of them empty"

const fields = {
  model: honoured(Schema.String, "the name of a model"),
  input: honoured(Schema.Union([Schema.String, Schema.Array(Schema.Unknown)]), expectedInput),
  encoding_format: honoured(Schema.Literals(["float", "base64"]), '"float" or "base64"'),
  dimensions: honoured(
    Schema.Finite.check(Schema.isInt(), Schema.isBetween({ minimum: 1, maximum: dimensionsMax })),
    `a whole number from 1 to ${dimensionsMax}`
  ),
  user: idle(Schema.String, "a string")
} as const

export function readEmbeddingRequest(body: Uint8Array): Result.Result<EmbeddingsAsked, ApiError> {
  return Result.gen(function* () {
    const { dimensions, encoding_format, input, model } = yield* readFields(fields, yield* readBody(body), "")
    if (model === undefined) return yield* Result.fail(missing("model", fields.model.expected))
    if (input === undefined) return yield* Result.fail(missing("input", expectedInput))
    return { model, inputs: yield* inputsOf(input), isBase64: encoding_format === "base64", dimensions }
  })
}

function inputsOf(input: string | ReadonlyArray<unknown>): Result.Result<ReadonlyArray<EmbeddingInput>, ApiError> {
  if (typeof input === "string" || typeof input[0] === "number")
    return Result.map(inputOf(input, "input"), (one) => [one])
  if (input.length === 0 || input.length > inputsMax) return Result.fail(wrong("input", expectedInput, input))
  return eachOf(input, (one, index) => inputOf(one, `input[${index}]`))
}

function inputOf(one: unknown, path: string): Result.Result<EmbeddingInput, ApiError> {
  if (typeof one === "string" && one !== "") return Result.succeed(storable(one))
  if (!Array.isArray(one) || one.length === 0) return Result.fail(wrong(path, expectedOne, one))
  const at = one.findIndex((token) => !Number.isInteger(token) || token < 0 || token > tokenMax)
  return at < 0 ? Result.succeed(one) : Result.fail(wrong(`${path}[${at}]`, "a token, a whole number", one[at]))
}

/** Of one turn: a slot is given back, and somebody else may have it, after so many tokens. */
export const packTokensMax = 2_048

/** One turn each: in their order, and none larger than may be unless it is of one input. */
export function packsOf(inputs: ReadonlyArray<EmbeddingInput>): ReadonlyArray<ReadonlyArray<EmbeddingInput>> {
  const packs: Array<Array<EmbeddingInput>> = []
  let left = 0
  for (const input of inputs) {
    const tokens = tokensEstimatedOfInput(input)
    if (tokens > left) {
      packs.push([])
      left = packTokensMax
    }
    packs.at(-1)!.push(input)
    left -= tokens
  }
  return packs
}
