/** How much of an engine's cache a request is expected to need, before its tokenizer has seen it. */
import type { ChatMessage, EmbeddingInput, EngineRequest, InferenceRequest } from "./engine.ts"

export interface Demand {
  readonly promptTokens: number
  readonly answerTokensMax: number
}

/**
 * `contextTokens` is of one sequence, as the engine says: an answer has at most half of it, and the prompt is cut to
 * the rest, or refused. So neither is ever more, however wrong the estimate.
 */
export function demandOf(
  { answerTokensMax, messages }: Pick<InferenceRequest, "answerTokensMax" | "messages">,
  contextTokens = Number.POSITIVE_INFINITY
): Demand {
  const answer = Math.max(1, Math.min(answerTokensMax, Math.floor(contextTokens / 2)))
  const prompt = messages.reduce((sum, message) => sum + tokensEstimatedOf(message), 1)
  return { promptTokens: Math.min(prompt, contextTokens - answer), answerTokensMax: answer }
}

export function demandOfAny(request: EngineRequest, contextTokens = Number.POSITIVE_INFINITY): Demand {
  if (!("inputs" in request)) return demandOf(request, contextTokens)
  const prompt = request.inputs.reduce((sum, input) => sum + tokensEstimatedOfInput(input), 0)
  return { promptTokens: Math.min(prompt, contextTokens), answerTokensMax: 0 }
}

/** At least 1: an empty text has its first mark yet. */
export function tokensEstimatedOfInput(input: EmbeddingInput): number {
  return Math.max(1, typeof input === "string" ? bytesTokens(input) : input.length)
}

const bytesTokens = (text: string) => Math.ceil(Buffer.byteLength(text) / 3)

/**
 * One token per 3 bytes of UTF-8, and 4 for the frame of a message: more than most texts have (English about 4 bytes a
 * token, Chinese about 3).
 */
export function tokensEstimatedOf({ calls = [], content }: ChatMessage): number {
  const called = calls.map(({ arguments: given, name }) => name + given).join("")
  return bytesTokens(content + called) + 4 * (1 + calls.length)
}
