/** What a client asks for in `POST /v1/chat/completions`, read out of the bytes of the body. */
import * as Result from "effect/Result"
import { storable } from "../domain/inbound.ts"
import type { ChatMessage } from "../inference/engine.ts"
import { type ApiError, invalid } from "./api-error.ts"
import { chatFields, messageFields, messagesMax, partFields, roles, streamOptionsFields } from "./chat-fields.ts"
import { missing, type Read, readFields, wrong } from "./request-fields.ts"

export interface ChatRequest {
  readonly model: string
  /** Of all whom the client speaks for, the one that asks. */
  readonly person: string | undefined
  /** May wait until nobody else does. */
  readonly isFlex: boolean
  readonly messages: ReadonlyArray<ChatMessage>
  readonly isStream: boolean
  /** Whether a stream ends with a chunk of the tokens that were counted. */
  readonly includeUsage: boolean
  /** Undefined where the client leaves it to the server. */
  readonly answerTokensMax: number | undefined
  readonly temperature: number
  readonly topP: number | undefined
  readonly seed: number | undefined
  readonly stop: ReadonlyArray<string>
}

/** OpenAI's. */
const temperatureDefault = 1

const utf8 = new TextDecoder("utf-8", { fatal: true })

export function readChatRequest(body: Uint8Array): Result.Result<ChatRequest, ApiError> {
  const text = Result.try(() => utf8.decode(body))
  if (Result.isFailure(text)) return Result.fail(invalid("invalid_body", null, "The body is not UTF-8."))
  const json = Result.try((): unknown => JSON.parse(text.success))
  if (Result.isFailure(json)) return Result.fail(invalid("invalid_body", null, "The body is not JSON."))
  return Result.flatMap(readFields(chatFields, json.success, ""), fromFields)
}

function fromFields(fields: Read<typeof chatFields>): Result.Result<ChatRequest, ApiError> {
  const { max_completion_tokens, max_tokens, model, seed, stop = [], stream = false, temperature, top_p } = fields
  if (model === undefined) return Result.fail(missing("model", "the name of a model"))
  const isTellingUsage = includeUsageOf(fields)
  if (Result.isFailure(isTellingUsage)) return Result.fail(isTellingUsage.failure)
  const limits = [max_completion_tokens, max_tokens].filter((limit) => limit !== undefined)
  return Result.map(messagesOf(fields.messages), (messages) => ({
    model,
    // The newer name of the two.
    person: fields.safety_identifier ?? fields.user,
    isFlex: fields.service_tier === "flex",
    messages,
    isStream: stream,
    includeUsage: isTellingUsage.success,
    answerTokensMax: limits.length === 0 ? undefined : Math.min(...limits),
    temperature: temperature ?? temperatureDefault,
    topP: top_p,
    seed,
    stop: (typeof stop === "string" ? [stop] : stop).map(storable)
  }))
}

function includeUsageOf({ stream, stream_options }: Read<typeof chatFields>): Result.Result<boolean, ApiError> {
  if (stream_options === undefined) return Result.succeed(false)
  const read = readFields(streamOptionsFields, stream_options, "stream_options")
  if (Result.isFailure(read)) return Result.fail(read.failure)
  if (stream === true) return Result.succeed(read.success.include_usage ?? false)
  return Result.fail(invalid("invalid_value", "stream_options", "`stream_options` is only for `stream: true`."))
}

function messagesOf(list: ReadonlyArray<unknown> | undefined): Result.Result<ReadonlyArray<ChatMessage>, ApiError> {
  if (list === undefined) return Result.fail(missing("messages", "a list of messages"))
  if (list.length === 0) return Result.fail(wrong("messages", "at least one message", list))
  if (list.length > messagesMax) return Result.fail(wrong("messages", `at most ${messagesMax} messages`, list))
  return eachOf(list, (message, index) => messageOf(message, `messages[${index}]`))
}

function messageOf(value: unknown, path: string): Result.Result<ChatMessage, ApiError> {
  const read = readFields(messageFields, value, path)
  if (Result.isFailure(read)) return Result.fail(read.failure)
  const { content, refusal, role } = read.success
  if (role === undefined) return Result.fail(missing(`${path}.role`, messageFields.role.expected))
  // An answer that was a refusal has its words there.
  const said = content ?? (role === "assistant" ? refusal : undefined)
  if (said === undefined) return Result.fail(missing(`${path}.content`, messageFields.content.expected))
  const text = typeof said === "string" ? Result.succeed(said) : textOf(said, `${path}.content`)
  return Result.map(text, (words) => ({ role: roles[role], content: storable(words) }))
}

function textOf(parts: ReadonlyArray<unknown>, path: string): Result.Result<string, ApiError> {
  if (parts.length === 0) return Result.fail(wrong(path, "at least one part", parts))
  const texts = eachOf(parts, (part, index) => partOf(part, `${path}[${index}]`))
  return Result.map(texts, (all) => all.join("\n"))
}

function partOf(value: unknown, path: string): Result.Result<string, ApiError> {
  const other = otherTypeOf(value)
  if (other !== undefined) return Result.fail(wrong(`${path}.type`, partFields.type.expected, other))
  const read = readFields(partFields, value, path)
  if (Result.isFailure(read)) return Result.fail(read.failure)
  const { refusal, text, type } = read.success
  if (type === undefined) return Result.fail(missing(`${path}.type`, partFields.type.expected))
  const words = type === "text" ? text : refusal
  return words === undefined ? Result.fail(missing(`${path}.${type}`, "a string")) : Result.succeed(words)
}

/** A picture is refused as such, and not for the field that holds it. */
function otherTypeOf(part: unknown): string | undefined {
  if (typeof part !== "object" || part === null || !("type" in part) || typeof part.type !== "string") return undefined
  return part.type === "text" || part.type === "refusal" ? undefined : part.type
}

/** The first failure, or all. */
function eachOf<A>(
  list: ReadonlyArray<unknown>,
  read: (value: unknown, index: number) => Result.Result<A, ApiError>
): Result.Result<ReadonlyArray<A>, ApiError> {
  const all: Array<A> = []
  for (const [index, value] of list.entries()) {
    const one = read(value, index)
    if (Result.isFailure(one)) return Result.fail(one.failure)
    all.push(one.success)
  }
  return Result.succeed(all)
}
