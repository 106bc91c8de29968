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

export interface End {
  readonly reason: FinishReason
  readonly usage: Usage
}

/** Changed in place, by `hear` alone. */
export interface WholeAnswer {
  text: string
  calls: Array<{ id: string; name: string; arguments: string }>
  end: End | undefined
}

/** An attempt that was lost is forgotten: nobody has seen anything of it. */
export function hear(answer: WholeAnswer, signals: ReadonlyArray<Signal>): void {
  for (const signal of signals) {
    if (signal.type === "text") answer.text += signal.text
    else if (signal.type === "call") {
      const { id = "", index, name = "" } = signal
      const before = answer.calls[index] ?? { id, name, arguments: "" }
      answer.calls[index] = { ...before, arguments: before.arguments + signal.arguments }
    } else if (signal.type === "restarted") [answer.text, answer.calls] = ["", []]
    else if (signal.type === "finished") answer.end = signal
  }
}

const reasons = { stop: "stop", length: "length", "tool-calls": "tool_calls" } as const

export function completionOf({ created, id, model }: AnswerHead, { calls, text }: WholeAnswer, { reason, usage }: End) {
  const called = calls.map(({ id, name, arguments: given }) => callOf(id, name, given))
  const content = text === "" && called.length > 0 ? null : text
  const message = { role: "assistant", content, refusal: null, ...(called.length > 0 && { tool_calls: called }) }
  return {
    id,
    object: "chat.completion",
    created,
    model,
    choices: [{ index: 0, message, logprobs: null, finish_reason: reasons[reason] }],
    usage: usageOf(usage)
  }
}

function callOf(id: string, name: string, given: string) {
  return { id, type: "function", function: { name, arguments: given } }
}

function usageOf({ answerTokens, cachedTokens, promptTokens }: Usage) {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: answerTokens,
    total_tokens: promptTokens + answerTokens,
    ...(cachedTokens !== undefined && { prompt_tokens_details: { cached_tokens: cachedTokens } })
  }
}

/** Changed in place, by the functions below alone. */
export interface StreamedAnswer {
  readonly head: AnswerHead
  readonly includeUsage: boolean
  hasBegun: boolean
  isOver: boolean
}

/**
 * The events that these signals are on the wire; "" for none. An attempt that is lost before its first text is made
 * good in silence; later its text stands on the client's screen, and the stream ends with an error.
 */
export function eventsOf(answer: StreamedAnswer, signals: ReadonlyArray<Signal>): string {
  let events = ""
  for (const signal of together(signals)) {
    if (answer.isOver) break
    if (signal.type === "text") events += deltaEvents(answer, { content: signal.text }, "")
    else if (signal.type === "call") events += deltaEvents(answer, { tool_calls: [callDelta(signal)] }, null)
    else if (signal.type === "finished") events += endEvents(answer, signal)
    else if (signal.type === "restarted" && answer.hasBegun) events += errorEvent(answer, lostMidway)
  }
  return events
}

/** Texts that came together are one delta, and so are the arguments of a call. */
function together(signals: ReadonlyArray<Signal>): ReadonlyArray<Signal> {
  const joined: Array<Signal> = []
  for (const signal of signals) {
    const last = joined.at(-1)
    if (signal.type === "text" && last?.type === "text")
      joined[joined.length - 1] = { ...last, text: last.text + signal.text }
    else if (
      signal.type === "call" &&
      signal.id === undefined &&
      last?.type === "call" &&
      last.index === signal.index
    ) {
      joined[joined.length - 1] = { ...last, arguments: last.arguments + signal.arguments }
    } else if (signal.type !== "started") joined.push(signal)
  }
  return joined
}

function callDelta({ arguments: given, id, index, name }: Signal & { readonly type: "call" }) {
  if (id === undefined) return { index, function: { arguments: given } }
  return { index, ...callOf(id, name ?? "", given) }
}

/** The last event of an answer that has no end; `[DONE]` would say that it has. */
export function errorEvent(answer: StreamedAnswer, error: ApiError): string {
  answer.isOver = true
  return `data: ${jsonOf(error)}\n\n`
}

/** A comment, which clients pass over (WHATWG HTML, "Server-sent events", §9.2.6). */
export const silence = ": still waiting\n\n"

/** `content` is what an answer has that begins so: null for one that calls. */
function deltaEvents(answer: StreamedAnswer, delta: object, content: "" | null): string {
  return roleEvent(answer, content) + chunkEvent(answer, delta)
}

function roleEvent(answer: StreamedAnswer, content: "" | null): string {
  if (answer.hasBegun) return ""
  answer.hasBegun = true
  return chunkEvent(answer, { role: "assistant", content, refusal: null })
}

function endEvents(answer: StreamedAnswer, { reason, usage }: End): string {
  const role = roleEvent(answer, "")
  const end = chunkEvent(answer, {}, reason)
  const counted = answer.includeUsage ? eventOf({ ...chunkOf(answer), choices: [], usage: usageOf(usage) }) : ""
  answer.isOver = true
  return `${role}${end}${counted}data: [DONE]\n\n`
}

function chunkEvent(answer: StreamedAnswer, delta: object, reason: FinishReason | null = null): string {
  const choices = [{ index: 0, delta, logprobs: null, finish_reason: reason && reasons[reason] }]
  return eventOf({ ...chunkOf(answer), choices, ...(answer.includeUsage && { usage: null }) })
}

function chunkOf({ head: { created, id, model } }: StreamedAnswer) {
  return { id, object: "chat.completion.chunk", created, model }
}

function eventOf(chunk: object): string {
  return `data: ${JSON.stringify(chunk)}\n\n`
}
