/** How long requests took, from their admission on, and what they came to: since the start, in seconds. */
import { emptyHistogram, type Histogram, observe } from "../domain/histogram.ts"
import type { Token } from "./engine.ts"
import type { Ticket } from "./floor.ts"

export interface Timings {
  /** Until they had a slot first. */
  readonly wait: Histogram
  /** Until their first token. */
  readonly firstToken: Histogram
  /** Until their end; those that were answered. */
  readonly total: Histogram
  /** Of those that were answered. */
  promptTokens: number
  answerTokens: number
}

const bounds = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300]

export function emptyTimings(): Timings {
  const [wait, firstToken, total] = [emptyHistogram(bounds), emptyHistogram(bounds), emptyHistogram(bounds)]
  return { wait, firstToken, total, promptTokens: 0, answerTokens: 0 }
}

/** An attempt has its slot. Only the first one of a request is counted. */
export function countStart(timings: Timings, { admittedMs, request }: Ticket, nowMs: number): void {
  if (request.startedMs !== undefined) return
  request.startedMs = nowMs
  observe(timings.wait, (nowMs - admittedMs) / 1000)
}

export function countToken(timings: Timings, { admittedMs, request }: Ticket, token: Token, nowMs: number): void {
  if (token.type === "progress") return
  if (request.firstTokenMs === undefined) {
    request.firstTokenMs = nowMs
    observe(timings.firstToken, (nowMs - admittedMs) / 1000)
  }
  if (token.type !== "finish") return
  observe(timings.total, (nowMs - admittedMs) / 1000)
  timings.promptTokens += token.usage.promptTokens
  timings.answerTokens += token.usage.answerTokens
}
