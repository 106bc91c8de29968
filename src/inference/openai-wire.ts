/** What OpenAI's chat completions look like on the wire: what we send, and what the servers that speak it answer. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { randomId } from "../domain/random-id.ts"
import { tokensEstimatedOf } from "./demand.ts"
import {
  type ChatMessage,
  EngineBusy,
  type EngineError,
  EngineLost,
  EngineRefused,
  type FinishReason,
  type InferenceRequest,
  PromptTooLong,
  type RequestPart,
  type Shape,
  type Token,
  type ToolUse,
  type Usage
} from "./engine.ts"
import { partOf } from "./request-part.ts"
import type { SseEvent } from "./sse.ts"

/** Without `contextTokens` all messages are sent, and the server says when they are too many. */
export function bodyOf(
  request: InferenceRequest,
  { contextTokens, model }: { readonly contextTokens?: number; readonly model?: string }
): string {
  const { answerTokensMax, mayDrop = true, messages, seed, stop, temperature, topP } = request
  const isCut = mayDrop && contextTokens !== undefined
  const sent = isCut ? newestThatFit(messages, contextTokens - answerTokensMax) : messages
  return JSON.stringify({
    model,
    messages: sent.map(messageOf),
    stream: true,
    stream_options: { include_usage: true },
    // The newer name is `max_completion_tokens`; only this one is known to all servers.
    max_tokens: answerTokensMax,
    temperature,
    top_p: topP,
    // These three, and `grammar`, are llama-server's; vLLM calls the third `repetition_penalty`.
    top_k: request.topK,
    min_p: request.minP,
    repeat_penalty: request.repeatPenalty,
    frequency_penalty: request.frequencyPenalty,
    presence_penalty: request.presencePenalty,
    logit_bias: request.logitBias && Object.fromEntries(request.logitBias),
    seed,
    stop: stop.length > 0 ? stop : undefined,
    ...shapeFields(request.shape),
    ...toolFields(request.toolUse)
  })
}

function messageOf({ callId, calls = [], content, role }: ChatMessage) {
  const tool_calls = calls.map(({ id, name, arguments: given }) => ({
    id,
    type: "function",
    function: { name, arguments: given }
  }))
  return {
    role,
    content: content === "" && calls.length > 0 ? null : content,
    tool_calls: calls.length > 0 ? tool_calls : undefined,
    tool_call_id: callId
  }
}

function shapeFields(shape: Shape | undefined) {
  if (shape === undefined) return {}
  if (shape.type === "grammar") return { grammar: shape.grammar }
  if (shape.type === "json-object") return { response_format: { type: "json_object" } }
  const { type: _, ...json_schema } = shape
  return { response_format: { type: "json_schema", json_schema } }
}

function toolFields(toolUse: ToolUse | undefined) {
  if (toolUse === undefined) return {}
  const { choice, isParallel, tools } = toolUse
  return {
    tools: tools.map((tool) => ({ type: "function", function: tool })),
    tool_choice: typeof choice === "string" ? choice : { type: "function", function: choice },
    parallel_tool_calls: isParallel
  }
}

/**
 * Leaves out the oldest turns until the rest is estimated to fit; never system messages, and never the last one. A turn
 * goes as a whole: what is left begins with the person's words. The server's tokenizer is out of reach.
 */
export function newestThatFit(messages: ReadonlyArray<ChatMessage>, tokensMax: number): ReadonlyArray<ChatMessage> {
  const last = messages.length - 1
  let left = messages.reduce((sum, message) => sum + tokensEstimatedOf(message), 0)
  let isDropping = left > tokensMax
  return messages.filter((message, index) => {
    if (message.role === "system" || index === last) return true
    if (message.role === "user") isDropping = left > tokensMax
    if (isDropping) left -= tokensEstimatedOf(message)
    return !isDropping
  })
}

/** What is known of an answer so far. Changed in place, by `tokensOf` alone. */
export interface Answer {
  reason: FinishReason | undefined
  usage: Usage | undefined
  readonly textMaxChars: number
  textChars: number
  deltas: number
  /** The server's indexes of the calls that have begun, in their order. */
  readonly calls: Array<number>
  isOver: boolean
}

/** More are no answer to anything. */
const callsMax = 128

/** A server that ignores `max_tokens` is stopped: no vocabulary has tokens of more characters. */
const tokenMaxChars = 128

export function emptyAnswer({ answerTokensMax }: Pick<InferenceRequest, "answerTokensMax">): Answer {
  const textMaxChars = answerTokensMax * tokenMaxChars
  return { reason: undefined, usage: undefined, textMaxChars, textChars: 0, deltas: 0, calls: [], isOver: false }
}

/** The tokens of one event. The finish comes with `[DONE]`: the usage stands behind the reason, if anywhere. */
export function tokensOf(answer: Answer, { data, event }: SseEvent): Result.Result<ReadonlyArray<Token>, EngineError> {
  if (data === "[DONE]") return Result.map(finishOf(answer), (token) => [token])
  const chunk = chunkOf(data)
  if (chunk === undefined)
    return Result.fail(new EngineLost({ reason: "The model server sent what is no part of an answer." }))
  const { choices, error, usage } = chunk
  if (error !== undefined || event === "error") return Result.fail(errorWithin(data))
  if (typeof usage?.prompt_tokens === "number" && typeof usage.completion_tokens === "number")
    answer.usage = { promptTokens: usage.prompt_tokens, answerTokens: usage.completion_tokens }
  const choice = Array.isArray(choices) ? choices[0] : undefined
  if (typeof choice?.finish_reason === "string") answer.reason = reasonOf(choice.finish_reason)
  const { content, reasoning_content: reasoning, tool_calls } = choice?.delta ?? {}
  const said: ReadonlyArray<Token> =
    typeof content === "string" && content !== "" ? [{ type: "text", text: content }] : []
  const called = Array.isArray(tool_calls) ? tool_calls.flatMap((delta) => callOf(answer, delta)) : []
  const tokens: Array<Token> = [...said, ...called]
  const thought = typeof reasoning === "string" ? reasoning : ""
  if (tokens.length > 0) answer.deltas++
  else if (thought !== "") tokens.push({ type: "progress" })
  answer.textChars += thought.length
  for (const token of tokens) answer.textChars += charsOf(token)
  if (answer.textChars <= answer.textMaxChars) return Result.succeed(tokens)
  answer.reason = "length"
  return Result.map(finishOf(answer), (token) => [...tokens, token])
}

/** Some servers say `stop` of an answer that calls; what they call is believed. */
function reasonOf(reason: string): FinishReason {
  if (reason === "length") return "length"
  return reason === "tool_calls" ? "tool-calls" : "stop"
}

function charsOf(token: Token): number {
  if (token.type === "text") return token.text.length
  return token.type === "call" ? token.arguments.length : 0
}

/** What names no function is a part of no call. */
function callOf(answer: Answer, delta: CallDelta | null): ReadonlyArray<Token> {
  if (typeof delta !== "object" || delta === null) return []
  const { function: called, id, index = answer.calls.length } = delta
  const { arguments: given, name } = called ?? {}
  const more = typeof given === "string" ? given : ""
  const known = answer.calls.indexOf(Number(index))
  if (known >= 0) return more === "" ? [] : [{ type: "call", index: known, arguments: more }]
  if (typeof name !== "string" || name === "" || answer.calls.length >= callsMax) return []
  const nth = answer.calls.push(Number(index)) - 1
  return [{ type: "call", index: nth, id: typeof id === "string" ? id : `call_${randomId()}`, name, arguments: more }]
}

/** Fails when the server did not say why it ended. A delta counts as a token where the server does not count. */
export function finishOf(answer: Answer): Result.Result<Token, EngineLost> {
  const { deltas, reason, usage = { promptTokens: 0, answerTokens: deltas } } = answer
  if (reason === undefined)
    return Result.fail(new EngineLost({ reason: "The model server ended the answer before its end." }))
  answer.isOver = true
  const isCall = reason === "stop" && answer.calls.length > 0
  return Result.succeed({ type: "finish", reason: isCall ? "tool-calls" : reason, usage })
}

/** `retryAfter` is the header: seconds or an HTTP date (RFC 9110, §10.2.3). */
export function errorOf(status: number, retryAfter: string | undefined, body: string, nowMs: number): EngineError {
  if (status === 429 || status === 503) return new EngineBusy({ retryAfterMs: retryAfterMsOf(retryAfter, nowMs) })
  const { message, part, tooLong } = problemOf(body)
  if (tooLong) return tooLong
  const reason = `The model server answered ${status}${message && `: ${message}`}`
  if (status >= 500 || status === 408) return new EngineLost({ reason })
  return new EngineRefused({ reason, ...(part && { part }) })
}

/** Where a busy server does not say when. */
const retryAfterDefaultMs = 1_000

function retryAfterMsOf(header = "", nowMs: number): number {
  const afterMs = /^\d+$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - nowMs
  return Number.isNaN(afterMs) ? retryAfterDefaultMs : Math.max(0, afterMs)
}

/** Characters of a server's own words that are passed on. */
const messageMaxChars = 500

function errorWithin(data: string): EngineError {
  const { message, tooLong } = problemOf(data)
  return tooLong ?? new EngineLost({ reason: `The model server broke off the answer${message && `: ${message}`}` })
}

interface Problem {
  readonly message: string
  readonly part?: RequestPart
  readonly tooLong?: PromptTooLong
}

/** OpenAI and llama-server put an object under `error`, Ollama a string; older vLLM has `message` at the top. */
function problemOf(body: string): Problem {
  const { error, message: outer } = Result.getOrElse(decodeProblem(body), () => ({ error: undefined, message: body }))
  const inner = typeof error === "object" ? error : { message: error ?? outer, param: undefined }
  const message = (inner.message ?? "").slice(0, messageMaxChars)
  const kinds: ReadonlyArray<unknown> = [inner.code, inner.type]
  const isTooLong =
    kinds.includes("context_length_exceeded") ||
    kinds.includes("exceed_context_size_error") ||
    message.includes("maximum context length")
  const part = partOf(inner.param)
  if (!isTooLong) return { message, ...(part && { part }) }
  // "This model's maximum context length is 4096 tokens. However, your messages resulted in 5000 tokens."
  const [tokensMax = 0, tokens = 0] = (message.match(/\d+(?= (input )?tokens)/g) ?? []).map(Number)
  const { n_ctx = tokensMax, n_prompt_tokens = tokens } = inner
  return { message, tooLong: new PromptTooLong({ tokens: n_prompt_tokens, tokensMax: n_ctx }) }
}

/** One of many a second, so by hand: a schema takes ten times as long. What is not of its form is not there. */
interface Chunk {
  readonly choices?: ReadonlyArray<{ readonly delta?: Delta | null; readonly finish_reason?: unknown } | null>
  readonly usage?: { readonly prompt_tokens?: unknown; readonly completion_tokens?: unknown } | null
  readonly error?: unknown
}

interface Delta {
  readonly content?: unknown
  readonly reasoning_content?: unknown
  readonly tool_calls?: unknown
}

interface CallDelta {
  readonly index?: unknown
  readonly id?: unknown
  readonly function?: { readonly name?: unknown; readonly arguments?: unknown } | null
}

function chunkOf(data: string): Chunk | undefined {
  try {
    const chunk: Chunk = JSON.parse(data)
    const isOfItsForm = typeof chunk === "object" && chunk !== null && Array.isArray(chunk.choices ?? [])
    return isOfItsForm ? chunk : undefined
  } catch {
    return undefined
  }
}

const decodeProblem = Schema.decodeUnknownResult(
  Schema.fromJsonString(
    Schema.Struct({
      error: Schema.optional(
        Schema.Union([
          Schema.String,
          Schema.Struct({
            message: Schema.optional(Schema.String),
            code: Schema.optional(Schema.Unknown),
            type: Schema.optional(Schema.Unknown),
            param: Schema.optional(Schema.Unknown),
            n_prompt_tokens: Schema.optional(Schema.Number),
            n_ctx: Schema.optional(Schema.Number)
          })
        ])
      ),
      message: Schema.optional(Schema.String)
    })
  )
)
