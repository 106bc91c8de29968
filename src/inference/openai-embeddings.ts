/** What OpenAI's embeddings look like on the wire: what we send, and what the servers that speak it answer. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { type EmbeddingRequest, EngineLost, EngineRefused, type Token } from "./engine.ts"

/** Numbers, which all servers know; only some know base64. */
export function embeddingBodyOf(
  { dimensions, inputs }: EmbeddingRequest,
  { model }: { readonly model?: string }
): string {
  const input = inputs.length === 1 ? inputs[0] : inputs
  return JSON.stringify({ model, input, dimensions, encoding_format: "float" })
}

/** Of some hundred inputs, with some thousand numbers each. */
export const vectorsMaxBytes = 64 * 1024 * 1024

/** All of them and the end, or `EngineLost` when there is not one for each input. */
export function vectorsOf({ inputs }: EmbeddingRequest, body: string): Result.Result<ReadonlyArray<Token>, EngineLost> {
  const lost = (what: string) => Result.fail(new EngineLost({ reason: `The model server answered ${what}.` }))
  const read = decode(body)
  if (Result.isFailure(read)) return lost("what is no list of embeddings")
  const { data, usage } = read.success
  const vectors = new Map(data.map(({ embedding }, i) => [data[i]!.index ?? i, embedding]))
  if (vectors.size !== inputs.length || inputs.some((_, index) => !vectors.has(index))) {
    return lost(`${data.length} embeddings to ${inputs.length} inputs`)
  }
  const tokens = inputs.map((_, index): Token => ({ type: "vector", index, vector: encoded(vectors.get(index)!) }))
  const counted = { promptTokens: usage?.prompt_tokens ?? 0, answerTokens: 0 }
  return Result.succeed([...tokens, { type: "finish", reason: "stop", usage: counted }])
}

/** llama-server answers 501 unless it was started with --embeddings, others do not know the address. */
export function noVectors(status: number): EngineRefused | undefined {
  if (![404, 405, 501].includes(status)) return undefined
  return new EngineRefused({ reason: `The model server makes no embeddings: it answered ${status}.`, part: "model" })
}

function encoded(vector: ReadonlyArray<number>): string {
  return Buffer.from(Float32Array.from(vector).buffer).toString("base64")
}

const decode = Schema.decodeUnknownResult(
  Schema.fromJsonString(
    Schema.Struct({
      data: Schema.Array(
        Schema.Struct({ index: Schema.optional(Schema.Number), embedding: Schema.Array(Schema.Finite) })
      ),
      usage: Schema.optional(Schema.Struct({ prompt_tokens: Schema.optional(Schema.Number) }))
    })
  )
)
