/** The timers of one actor, running. What is durable about them is in its entries. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Timer, Timers } from "../machines/decide.ts"

const none: Timers = new Map()

/**
 * One sleeper for all of them. It is not woken for a timer that goes away: it finds that out when it would ring. It
 * goes by the monotonic clock: one that is set back an hour must not hold a turn for an hour.
 */
export class Alarms {
  readonly #ring: (timer: Timer) => Effect.Effect<void>
  #timers: Timers = none
  /** By their arming, when they are due. */
  #dueMs: ReadonlyMap<number, number> = new Map()
  #sleeper: Fiber.Fiber<void> | undefined
  #wakesAtMs = Number.POSITIVE_INFINITY

  /** `ring` is run when a timer is due; an overdue one is due at once. */
  constructor(ring: (timer: Timer) => Effect.Effect<void>) {
    this.#ring = ring
  }

  /** Makes `timers` the ones that run. They were decided on at `decidedAtMs`, and the clock set back since, or not. */
  rearm(timers: Timers, decidedAtMs: number): Effect.Effect<void> {
    if (timers === this.#timers) return Effect.void
    return Clock.clockWith((clock) => {
      const aheadMs = monotonicMs(clock) - Math.max(clock.currentTimeMillisUnsafe(), decidedAtMs)
      const before = this.#dueMs
      this.#timers = timers
      this.#dueMs = new Map(
        timers.values().map(({ armed, dueAtMs }) => [armed, before.get(armed) ?? dueAtMs + aheadMs] as const)
      )
      const dueMs = Math.min(...this.#dueMs.values())
      return dueMs >= this.#wakesAtMs ? Effect.void : this.#sleepUntil(dueMs)
    })
  }

  /** Ends it for good. */
  stop(): Effect.Effect<void> {
    this.#timers = none
    const sleeper = this.#sleeper
    this.#sleeper = undefined
    return sleeper === undefined ? Effect.void : Fiber.interrupt(sleeper)
  }

  #sleepUntil(dueAtMs: number): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const before = this.#sleeper
      this.#wakesAtMs = dueAtMs
      if (before !== undefined) yield* Fiber.interrupt(before)
      this.#sleeper = yield* Effect.forkDetach(this.#run())
    })
  }

  #run(): Effect.Effect<void> {
    const rung = new Set<number>()
    return Effect.gen({ self: this }, function* () {
      for (;;) {
        const nowMs = yield* nowMonotonicMs
        for (const timer of this.#timers.values()) {
          if (this.#dueMs.get(timer.armed)! > nowMs || rung.has(timer.armed)) continue
          rung.add(timer.armed)
          yield* this.#ring(timer)
        }
        const left = [...this.#dueMs].filter(([armed]) => !rung.has(armed))
        if (left.length === 0) break
        this.#wakesAtMs = Math.min(...left.map(([, dueMs]) => dueMs))
        yield* Effect.sleep(Math.max(0, this.#wakesAtMs - (yield* nowMonotonicMs)))
      }
      this.#sleeper = undefined
      this.#wakesAtMs = Number.POSITIVE_INFINITY
    })
  }
}

const monotonicMs = (clock: Clock.Clock) => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
const nowMonotonicMs = Clock.clockWith((clock) => Effect.sync(() => monotonicMs(clock)))
