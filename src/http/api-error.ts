/** Errors as OpenAI's clients see them: `{"error": {"message", "type", "param", "code"}}`. */
import * as Data from "effect/Data"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { Failure, ModelFailed, QueueFull } from "../inference/scheduler.ts"

export class ApiError extends Data.TaggedError("ApiError")<{
  readonly status: number
  readonly type: "invalid_request_error" | "requests" | "server_error"
  readonly code: string
  /** The field it is about, as a path: `messages[2].content`. */
  readonly param: string | null
  readonly message: string
  readonly headers?: Readonly<Record<string, string>>
}> {}

/** 400: the request is wrong, and sending it again cannot help. */
export function invalid(code: string, param: string | null, message: string): ApiError {
  return new ApiError({ status: 400, type: "invalid_request_error", code, param, message })
}

export function tooLarge(bodyMaxBytes: number): ApiError {
  const message = `The body is longer than ${bodyMaxBytes} bytes.`
  const type = "invalid_request_error"
  return new ApiError({ status: 413, type, code: "too_large", param: null, message, headers: { connection: "close" } })
}

export function unknownUrl(method: string, path: string): ApiError {
  const message = `There is nothing at ${method} ${path.slice(0, pathMaxChars)}.`
  return new ApiError({ status: 404, type: "invalid_request_error", code: "unknown_url", param: null, message })
}

export function wrongMethod(method: string, allow: string): ApiError {
  const message = `${method} is not for this address; ${allow} is.`
  const type = "invalid_request_error"
  return new ApiError({ status: 405, type, code: "method_not_allowed", param: null, message, headers: { allow } })
}

export function unknownModel(asked: string, served: ReadonlyArray<string>): ApiError {
  const message = `There is no model \`${asked.slice(0, modelMaxChars)}\` here. There is: ${served.join(", ")}`
  return new ApiError({ status: 404, type: "invalid_request_error", code: "model_not_found", param: "model", message })
}

export const overdue = serverError(504, "timeout", "The answer was not finished in time.")
export const broken = serverError(500, "internal_error", "The server broke at this request; its log says how.", {
  "x-should-retry": "false"
})
export const stopping = serverError(503, "stopping", "The server is being stopped. Ask again when it is back.", {
  "retry-after": "5",
  connection: "close"
})
/** Two attempts are never spliced: what was sent of the first cannot be taken back. */
export const lostMidway = serverError(503, "model_lost", "The model was lost in the middle of its answer. Ask again.")

export function notReady(trouble: string): ApiError {
  return serverError(503, "model_unavailable", `The model is not ready: ${trouble}`, { "retry-after": "5" })
}

export function apiErrorOf(failure: Failure, answerTokensMax: number): ApiError {
  switch (failure._tag) {
    case "QueueFull": {
      const message = `${queueWords(failure)} Ask again later.`
      const headers = { "retry-after": secondsOf(failure.retryAfterMs) }
      return new ApiError({ status: 429, type: "requests", code: "rate_limit_exceeded", param: null, message, headers })
    }
    case "PromptTooLong": {
      const { tokens, tokensMax } = failure
      return invalid("context_length_exceeded", "messages", tooLongWords(tokens, tokensMax, answerTokensMax))
    }
    case "ModelFailed":
      return modelFailed(failure)
  }
}

/** As of a request for vectors. */
export function embeddingErrorOf(failure: Failure): ApiError {
  if (failure._tag !== "PromptTooLong") return apiErrorOf(failure, 0)
  const { tokens, tokensMax } = failure
  const words = `This model's maximum context length is ${tokensMax} tokens for each input, and one has ${tokens}.`
  const unknown = "An input does not fit into this model's maximum context length."
  return invalid("context_length_exceeded", "input", tokensMax === 0 ? unknown : words)
}

function queueWords({ queueMax, reason }: QueueFull): string {
  if (reason === "count") return `${queueMax} requests wait already.`
  return reason === "tokens"
    ? "Requests of as many tokens wait as may."
    : "Too many of the requests that wait are yours."
}

const paramOf = {
  messages: "messages",
  logitBias: "logit_bias",
  shape: "response_format",
  grammar: "grammar",
  tools: "tools",
  model: "model",
  input: "input",
  dimensions: "dimensions"
} as const

function modelFailed({ kind, part = "messages", reason, retryAfterMs }: ModelFailed): ApiError {
  switch (kind) {
    case "refused":
      return invalid("model_refused", paramOf[part], `The model does not take this request: ${reason}`)
    case "crashed":
      // The official clients ask again after every 5xx without this header (openai-node, `shouldRetry`).
      return serverError(500, "model_crashed", "The model died whenever it ran this request.", {
        "x-should-retry": "false"
      })
    case "down": {
      const when =
        retryAfterMs === undefined ? { "x-should-retry": "false" } : { "retry-after": secondsOf(retryAfterMs) }
      return serverError(503, "model_unavailable", `The model cannot answer: ${reason}`, when)
    }
    case "lost":
    case "busy":
      return serverError(503, "model_unavailable", `The model cannot answer now: ${reason}`, { "retry-after": "5" })
  }
}

/** The first number is the context, the second the prompt: clients read them out of OpenAI's own sentence. */
function tooLongWords(tokens: number, tokensMax: number, answerTokensMax: number): string {
  if (tokensMax === 0) return "The messages do not fit into this model's maximum context length."
  const rest = `beside an answer of up to ${answerTokensMax}. Shorten the messages, or lower max_completion_tokens`
  return (
    `This model's maximum context length is ${tokensMax} tokens for the messages, ${rest}. ` +
    `However, your messages resulted in ${tokens} tokens.`
  )
}

function serverError(
  status: number,
  code: string,
  message: string,
  headers: Readonly<Record<string, string>> = {}
): ApiError {
  return new ApiError({ status, type: "server_error", code, param: null, message, headers })
}

/** RFC 9110, §10.2.3: whole seconds; 0 would say "at once". */
function secondsOf(ms: number): string {
  return String(Math.max(1, Math.ceil(ms / 1_000)))
}

const pathMaxChars = 200
const modelMaxChars = 100

export function jsonOf({ code, message, param, type }: ApiError): string {
  return JSON.stringify({ error: { message, type, param, code } })
}

export function errorResponse(
  error: ApiError,
  headers: Readonly<Record<string, string>> = {}
): HttpServerResponse.HttpServerResponse {
  return HttpServerResponse.text(jsonOf(error), {
    status: error.status,
    contentType: "application/json",
    headers: { ...error.headers, ...headers }
  })
}
