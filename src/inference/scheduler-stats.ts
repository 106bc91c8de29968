/** What the scheduler says of itself. */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { Floor } from "./scheduler.ts"

export interface Stats {
  readonly running: number
  readonly waiting: number
  readonly slotsMax: number
  readonly queueMax: number
  /** Requests that found the queue full, since the start. */
  readonly refused: number
  /** Attempts that were begun again because their engine was lost, since the start. */
  readonly restarts: number
  /** How long a request holds its slot, of late. */
  readonly turnMs: number
  readonly ready: boolean
  readonly trouble?: string
}

export const statsOf = Effect.fnUntraced(function* (floor: Floor): Effect.fn.Return<Stats> {
  const { engine, lost, lossReason, refused, restarts, schedule, turnMs } = floor
  // While it is lost, `recover` asks: a health check must not wait for a server that is gone.
  const ready = !Latch.isOpen(lost) && (yield* engine.isReady)
  const trouble = (yield* engine.trouble) ?? lossReason
  return {
    running: schedule.running.size,
    waiting: schedule.waiting,
    ...schedule.limits,
    refused,
    restarts,
    turnMs,
    ready,
    ...(!ready && { trouble })
  }
})
