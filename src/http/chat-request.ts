/** What a client asks for in `POST /v1/chat/completions`, read out of the bytes of the body. */
import * as Result from "effect/Result"
import { storable } from "../domain/inbound.ts"
import type { ChatMessage, Sampling, Shape, ToolUse } from "../inference/engine.ts"
import { type ApiError, invalid } from "./api-error.ts"
import { chatFields, messageFields, messagesMax, partFields, roles, streamOptionsFields } from "./chat-fields.ts"
import { readShape } from "./chat-shape.ts"
import { readCalls, readToolUse, unknownCall } from "./chat-tools.ts"
import { eachOf, missing, type Read, readBody, readFields, wrong } from "./request-fields.ts"

export interface ChatRequest {
  readonly model: string
  /** May wait until nobody else does. */
  readonly isFlex: boolean
  readonly messages: ReadonlyArray<ChatMessage>
  readonly isStream: boolean
  /** Whether a stream ends with a chunk of the tokens that were counted. */
  readonly includeUsage: boolean
  /** Undefined where the client leaves it to the server. */
  readonly answerTokensMax: number | undefined
  /** What is undefined is left to the server. */
  readonly sampling: Partial<Sampling>
  readonly seed: number | undefined
  readonly stop: ReadonlyArray<string>
  readonly shape: Shape | undefined
  /** Undefined where no tool may be called. */
  readonly toolUse: ToolUse | undefined
}

export function readChatRequest(body: Uint8Array): Result.Result<ChatRequest, ApiError> {
  const fields = Result.flatMap(readBody(body), (json) => readFields(chatFields, json, ""))
  return Result.flatMap(fields, fromFields)
}

function fromFields(fields: Read<typeof chatFields>): Result.Result<ChatRequest, ApiError> {
  const { max_completion_tokens, max_tokens, model, seed, stop = [], stream = false } = fields
  if (model === undefined) return Result.fail(missing("model", "the name of a model"))
  const limits = [max_completion_tokens, max_tokens].filter((limit) => limit !== undefined)
  return Result.gen(function* () {
    const includeUsage = yield* includeUsageOf(fields)
    const shape = yield* readShape(fields)
    const toolUse = yield* readToolUse(fields)
    const messages = yield* messagesOf(fields.messages)
    return {
      model,
      isFlex: fields.service_tier === "flex",
      messages,
      isStream: stream,
      includeUsage,
      answerTokensMax: limits.length === 0 ? undefined : Math.min(...limits),
      sampling: samplingOf(fields),
      seed,
      stop: (typeof stop === "string" ? [stop] : stop).map(storable),
      shape,
      toolUse
    }
  })
}

function samplingOf(fields: Read<typeof chatFields>): Partial<Sampling> {
  const { frequency_penalty, logit_bias, min_p, presence_penalty, repeat_penalty, temperature, top_k, top_p } = fields
  const biases = Object.entries(logit_bias ?? {}).map(([token, bias]) => [Number(token), bias] as const)
  return {
    ...(temperature !== undefined && { temperature }),
    topK: top_k,
    topP: top_p,
    minP: min_p,
    repeatPenalty: repeat_penalty,
    frequencyPenalty: frequency_penalty,
    presencePenalty: presence_penalty,
    logitBias: biases.length === 0 ? undefined : biases
  }
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
  return Result.flatMap(
    eachOf(list, (message, index) => messageOf(message, `messages[${index}]`)),
    (messages) => {
      const unknown = unknownCall(messages)
      return unknown === undefined ? Result.succeed(messages) : Result.fail(unknown)
    }
  )
}

function messageOf(value: unknown, path: string): Result.Result<ChatMessage, ApiError> {
  const read = readFields(messageFields, value, path)
  if (Result.isFailure(read)) return Result.fail(read.failure)
  const { content, refusal, role, tool_call_id, tool_calls } = read.success
  if (role === undefined) return Result.fail(missing(`${path}.role`, messageFields.role.expected))
  const calls = readCalls(role, tool_calls, `${path}.tool_calls`)
  if (Result.isFailure(calls)) return Result.fail(calls.failure)
  if (role === "tool" && tool_call_id === undefined) {
    return Result.fail(missing(`${path}.tool_call_id`, messageFields.tool_call_id.expected))
  }
  if (role !== "tool" && tool_call_id !== undefined) {
    return Result.fail(
      invalid("invalid_value", `${path}.tool_call_id`, `\`${path}.tool_call_id\` is for results of tools.`)
    )
  }
  // An answer that was a refusal has its words there, and one that only called has none.
  const said = content ?? (role === "assistant" ? (refusal ?? (calls.success.length > 0 ? "" : undefined)) : undefined)
  if (said === undefined) return Result.fail(missing(`${path}.content`, messageFields.content.expected))
  const text = typeof said === "string" ? Result.succeed(said) : textOf(said, `${path}.content`)
  return Result.map(text, (words) => ({
    role: roles[role],
    content: storable(words),
    ...(calls.success.length > 0 && { calls: calls.success }),
    ...(tool_call_id !== undefined && { callId: tool_call_id })
  }))
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
