/**
 * A process of an operating system, in which production code runs: its fibers, its clock, its chance. When it crashes,
 * nothing of it runs any more, no finalizer either; what it had asked the world for happens all the same.
 */
import { Clock, Context, Duration, Effect, type Fiber, Logger, Random, References, Scheduler } from "effect"
import type { Dice } from "./dice.ts"
import type { Timeline } from "./timeline.ts"

/** What a process may reach of the world. */
export interface Ground {
  readonly timeline: Timeline
  /** Runs tasks in turn, before time goes on. */
  readonly ready: Array<() => void>
  /** Milliseconds since the epoch when the world began, and what the clock was set forward or back since. */
  wallMs: number
  readonly log: (process: string, level: string, words: string) => void
  readonly logLevel: "None" | "Info"
}

/** Whose code runs. */
let current: SimulatedProcess | undefined

// A mailbox is made by `runSync`, whose own scheduler would wake its actor in a microtask: out of turn, and after a
// crash too.
const { makeDispatcher } = Scheduler.MixedScheduler.prototype
Scheduler.MixedScheduler.prototype.makeDispatcher = function () {
  return current === undefined ? makeDispatcher.call(this) : (current.syncDispatcher() as never)
}

export class SimulatedProcess {
  readonly name: string
  readonly context: Context.Context<never>
  readonly #ground: Ground
  /** What came while it was frozen. */
  #backlog: Array<() => void> | undefined
  #isAlive = true
  readonly #ended: () => void

  /** `ended` is called when it crashes. */
  constructor(name: string, ground: Ground, dice: Dice, ended: () => void) {
    this.name = name
    this.#ended = ended
    this.#ground = ground
    this.context = Context.make(Scheduler.Scheduler, this.#scheduler()).pipe(
      Context.add(Clock.Clock, this.#clock()),
      Context.add(Random.Random, {
        nextIntUnsafe: () => dice.int(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
        nextDoubleUnsafe: () => dice.next()
      }),
      Context.add(References.MinimumLogLevel, ground.logLevel),
      Context.add(References.CurrentLoggers, new Set([this.#logger()]))
    )
  }

  get isAlive(): boolean {
    return this.#isAlive
  }

  get isFrozen(): boolean {
    return this.#backlog !== undefined
  }

  run<A, E>(effect: Effect.Effect<A, E>): Fiber.Fiber<A, E> {
    return this.#within(() => Effect.runForkWith(this.context)(effect))
  }

  crash(): void {
    if (!this.#isAlive) return
    this.#isAlive = false
    this.#backlog = undefined
    this.#ended()
  }

  /** As SIGSTOP does; `thaw` is SIGCONT. */
  freeze(): void {
    if (this.#isAlive) this.#backlog ??= []
  }

  thaw(): void {
    const backlog = this.#backlog ?? []
    this.#backlog = undefined
    for (const act of backlog) this.hear(act)
  }

  /** Something of the world reaches it: at once, later when it is frozen, never when it is dead. */
  hear(act: () => void): void {
    if (!this.#isAlive) return
    if (this.#backlog === undefined) this.#within(act)
    else this.#backlog.push(act)
  }

  /** Runs at once what is asked for within `flush`, and in turn what comes later. */
  syncDispatcher(): Scheduler.SchedulerDispatcher {
    let tasks: Array<() => void> = []
    const flush = () => {
      while (tasks.length > 0) {
        const now = tasks
        tasks = []
        for (const task of now) task()
      }
    }
    return {
      scheduleTask: (task) => {
        if (tasks.push(task) === 1) this.#ground.ready.push(() => this.hear(flush))
      },
      flush
    }
  }

  #within<A>(act: () => A): A {
    const before = current
    current = this
    try {
      return act()
    } finally {
      current = before
    }
  }

  #scheduler(): Scheduler.Scheduler {
    const dispatcher: Scheduler.SchedulerDispatcher = {
      scheduleTask: (task) => void this.#ground.ready.push(() => this.hear(task)),
      flush: () => {}
    }
    return {
      executionMode: "async",
      shouldYield: (fiber) => fiber.currentOpCount >= 2048,
      makeDispatcher: () => dispatcher
    }
  }

  #clock(): Clock.Clock {
    const { timeline } = this.#ground
    const nowMs = () => this.#ground.wallMs + timeline.nowMs
    const nanos = () => BigInt(Math.round(nowMs() * 1e6))
    const monotonic = () => BigInt(Math.round(timeline.nowMs * 1e6))
    return {
      currentTimeMillisUnsafe: nowMs,
      currentTimeMillis: Effect.sync(nowMs),
      currentTimeNanosUnsafe: nanos,
      currentTimeNanos: Effect.sync(nanos),
      monotonicTimeNanosUnsafe: monotonic,
      monotonicTimeNanos: Effect.sync(monotonic),
      // As Node's timers: of the monotonic clock, and in whole milliseconds.
      sleep: (duration) => {
        const ms = Duration.toMillis(duration)
        if (ms <= 0) return Effect.yieldNow
        if (!Number.isFinite(ms)) return Effect.never
        return Effect.callback<void>((resume) => {
          const callOff = timeline.after(Math.ceil(ms), () => this.hear(() => resume(Effect.void)))
          return Effect.sync(callOff)
        })
      }
    }
  }

  #logger() {
    return Logger.make<unknown, void>(({ logLevel, message }) => {
      const words = Array.isArray(message) ? message.map(String).join(": ") : String(message)
      this.#ground.log(this.name, logLevel, words)
    })
  }
}
