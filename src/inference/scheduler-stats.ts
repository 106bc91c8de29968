/** What the scheduler says of itself. */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { Floor } from "./floor.ts"
import { spreadOf } from "./lane.ts"
import type { Class, End, Limits, Refusal } from "./schedule.ts"
import type { StepStats } from "./step-stats.ts"
import type { Timings } from "./timings.ts"

export interface Stats extends Limits {
  readonly model: string
  /** How many may run now. */
  readonly slots: number
  readonly running: number
  readonly waiting: number
  readonly waitingOf: Readonly<Record<Class, number>>
  /** Of what waits, and of what runs: prompts, and answers as long as they may be. */
  readonly waitingTokens: number
  readonly reservedTokens: number
  /** How far the users who wait are apart in what they were served, in weighted tokens. */
  readonly spreadOf: Readonly<Record<Class, number>>
  /** Since the start: requests that ended, that were refused, and that made way for others and began again. */
  readonly ended: Readonly<Record<End, number>>
  readonly refused: Readonly<Record<Refusal, number>>
  readonly preempted: number
  /** Attempts that were begun again because their engine was lost, since the start. */
  readonly restarts: number
  /** What the engine's steps were like, where it is known. */
  readonly steps?: StepStats
  readonly timings: Timings
  /** How long a request holds its slot, of late. */
  readonly turnMs: number
  readonly ready: boolean
  readonly trouble?: string
}

export const statsOf = Effect.fnUntraced(function* (floor: Floor): Effect.fn.Return<Stats> {
  const { engine, lost, lossReason, pace, restarts, schedule, timings } = floor
  const { cancelled, count, done, failed, preempted, share, tokens } = schedule.tally
  const { reservedTokens, slots, waiting, waitingBackground, waitingTokens } = schedule
  // While it is lost, `recover` asks: a health check must not wait for a server that is gone.
  const ready = !Latch.isOpen(lost) && (yield* engine.isReady)
  const trouble = (yield* engine.trouble) ?? lossReason
  const steps = yield* engine.steps ?? Effect.undefined
  return {
    model: engine.name,
    running: schedule.running.size,
    slots,
    waiting,
    waitingOf: { interactive: waiting - waitingBackground, background: waitingBackground },
    waitingTokens,
    reservedTokens,
    spreadOf: { interactive: spreadOf(schedule.lanes.interactive), background: spreadOf(schedule.lanes.background) },
    ...schedule.limits,
    ended: { done, cancelled, failed },
    refused: { count, tokens, share },
    preempted,
    restarts,
    timings,
    turnMs: pace.turnMs,
    ...(steps && { steps }),
    ready,
    ...(!ready && { trouble })
  }
})
