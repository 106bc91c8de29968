/** The answer to a chat completion as OpenAI's clients read it: whole, or as the events of a stream. */
import type { FinishReason, Usage } from "../inference/engine.ts"
import type { Signal } from "../inference/scheduler.ts"
import { type ApiError, jsonOf, lostMidway } from "./api-error.ts"

export interface AnswerHead {
  readonly id: string
  /** In seconds, since 1970. */
  readonly created: number
  readonly model: string
}

/** Changed in place, by `hear` alone. */
export interface WholeAnswer {
  text: string
  end: { readonly reason: FinishReason; readonly usage: Usage } | undefined
}

/** An attempt that was lost is forgotten: nobody has seen anything of it. */
export function hear(answer: WholeAnswer, signals: ReadonlyArray<Signal>): void {
  for (const signal of signals) {
    if (signal.type === "text") answer.text += signal.text
    else if (signal.type === "restarted") answer.text = ""
    else if (signal.type === "finished") answer.end = signal
  }
}

export function completionOf({ created, id, model }: AnswerHead, text: string, reason: FinishReason, usage: Usage) {
  const message = { role: "assistant", content: text, refusal: null }
  return {
    id,
    object: "chat.completion",
    created,
    model,
    choices: [{ index: 0, message, logprobs: null, finish_reason: reason }],
    usage: usageOf(usage)
  }
}

function usageOf({ answerTokens, promptTokens }: Usage) {
  return { prompt_tokens: promptTokens, completion_tokens: answerTokens, total_tokens: promptTokens + answerTokens }
}

/** Changed in place, by the functions below alone. */
export interface StreamedAnswer {
  readonly head: AnswerHead
  readonly includeUsage: boolean
  hasText: boolean
  isOver: boolean
}

/**
 * The events that these signals are on the wire; "" for none. An attempt that is lost before its first text is made
 * good in silence; later its text stands on the client's screen, and the stream ends with an error.
 */
export function eventsOf(answer: StreamedAnswer, signals: ReadonlyArray<Signal>): string {
  let events = ""
  let unsent = ""
  for (const signal of signals) {
    if (answer.isOver) break
    if (signal.type === "text") unsent += signal.text
    else if (signal.type === "finished") events += textEvents(answer, unsent) + endEvents(answer, signal)
    else if (signal.type === "restarted" && (answer.hasText || unsent !== "")) {
      events += textEvents(answer, unsent) + errorEvent(answer, lostMidway)
    }
    if (signal.type !== "text") unsent = ""
  }
  return events + textEvents(answer, unsent)
}

/** The last event of an answer that has no end; `[DONE]` would say that it has. */
export function errorEvent(answer: StreamedAnswer, error: ApiError): string {
  answer.isOver = true
  return `data: ${jsonOf(error)}\n\n`
}

/** A comment, which clients pass over (WHATWG HTML, "Server-sent events", §9.2.6). */
export const silence = ": still waiting\n\n"

/** Texts that came together are one delta. */
function textEvents(answer: StreamedAnswer, content: string): string {
  if (content === "" || answer.isOver) return ""
  return roleEvent(answer) + chunkEvent(answer, { content })
}

function roleEvent(answer: StreamedAnswer): string {
  if (answer.hasText) return ""
  answer.hasText = true
  return chunkEvent(answer, { role: "assistant", content: "", refusal: null })
}

function endEvents(answer: StreamedAnswer, { reason, usage }: { reason: FinishReason; usage: Usage }): string {
  const role = roleEvent(answer)
  const end = chunkEvent(answer, {}, reason)
  const counted = answer.includeUsage ? eventOf({ ...chunkOf(answer), choices: [], usage: usageOf(usage) }) : ""
  answer.isOver = true
  return `${role}${end}${counted}data: [DONE]\n\n`
}

function chunkEvent(answer: StreamedAnswer, delta: object, reason: FinishReason | null = null): string {
  const choices = [{ index: 0, delta, logprobs: null, finish_reason: reason }]
  return eventOf({ ...chunkOf(answer), choices, ...(answer.includeUsage && { usage: null }) })
}

function chunkOf({ head: { created, id, model } }: StreamedAnswer) {
  return { id, object: "chat.completion.chunk", created, model }
}

function eventOf(chunk: object): string {
  return `data: ${JSON.stringify(chunk)}\n\n`
}
