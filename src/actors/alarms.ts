/** The timers of one actor, running. What is durable about them is in its entries. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Timer, Timers } from "../machines/decide.ts"

interface Alarm {
  readonly armed: number
  readonly fiber: Fiber.Fiber<void>
}

export class Alarms {
  readonly #ring: (timer: Timer) => Effect.Effect<void>
  #alarms: Map<string, Alarm> | undefined

  /** `ring` is run when a timer is due; an overdue one is due at once. */
  constructor(ring: (timer: Timer) => Effect.Effect<void>) {
    this.#ring = ring
  }

  /** Makes `timers` the ones that run. Those that are armed as before go on. */
  rearm(timers: Timers): Effect.Effect<void> {
    if (timers.size === 0 && this.#alarms === undefined) return Effect.void
    return Effect.gen({ self: this }, function* () {
      const before = this.#alarms ?? new Map<string, Alarm>()
      this.#alarms = undefined
      const after = new Map<string, Alarm>()
      for (const [id, { armed, fiber }] of before) {
        if (timers.get(id)?.armed === armed) after.set(id, { armed, fiber })
        else yield* Fiber.interrupt(fiber)
      }
      for (const [id, timer] of timers) {
        if (after.has(id)) continue
        after.set(id, { armed: timer.armed, fiber: yield* Effect.forkDetach(this.#run(timer)) })
      }
      if (after.size > 0) this.#alarms = after
    })
  }

  #run(timer: Timer): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      yield* Effect.sleep(Math.max(0, timer.dueAtMs - (yield* Clock.currentTimeMillis)))
      yield* this.#ring(timer)
    })
  }
}
