/** The timers of one actor, running. What is durable about them is in its entries. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Timer, Timers } from "../machines/decide.ts"

const none: Timers = new Map()

/** One sleeper for all of them. It is not woken for a timer that goes away: it finds that out when it would ring. */
export class Alarms {
  readonly #ring: (timer: Timer) => Effect.Effect<void>
  #timers: Timers = none
  #sleeper: Fiber.Fiber<void> | undefined
  #wakesAtMs = Number.POSITIVE_INFINITY

  /** `ring` is run when a timer is due; an overdue one is due at once. */
  constructor(ring: (timer: Timer) => Effect.Effect<void>) {
    this.#ring = ring
  }

  /** Makes `timers` the ones that run. */
  rearm(timers: Timers): Effect.Effect<void> {
    if (timers === this.#timers) return Effect.void
    this.#timers = timers
    const dueAtMs = this.#nextDue()
    return dueAtMs >= this.#wakesAtMs || dueAtMs === Number.POSITIVE_INFINITY ? Effect.void : this.#sleepUntil(dueAtMs)
  }

  /** Ends it for good. */
  stop(): Effect.Effect<void> {
    this.#timers = none
    const sleeper = this.#sleeper
    this.#sleeper = undefined
    return sleeper === undefined ? Effect.void : Fiber.interrupt(sleeper)
  }

  #nextDue(): number {
    let next = Number.POSITIVE_INFINITY
    for (const { dueAtMs } of this.#timers.values()) next = Math.min(next, dueAtMs)
    return next
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
        const nowMs = yield* Clock.currentTimeMillis
        for (const timer of this.#timers.values()) {
          if (timer.dueAtMs > nowMs || rung.has(timer.armed)) continue
          rung.add(timer.armed)
          yield* this.#ring(timer)
        }
        const left = [...this.#timers.values()].filter(({ armed }) => !rung.has(armed))
        if (left.length === 0) break
        this.#wakesAtMs = Math.min(...left.map(({ dueAtMs }) => dueAtMs))
        yield* Effect.sleep(Math.max(0, this.#wakesAtMs - (yield* Clock.currentTimeMillis)))
      }
      this.#sleeper = undefined
      this.#wakesAtMs = Number.POSITIVE_INFINITY
    })
  }
}
