/**
 * Takes what conversations owe to the adapter, each conversation's messages in order.
 *
 *   O1. A message is sent after all earlier ones of its conversation were delivered or given up.
 *   O2. Before each send its attempt is durable, after it what came of it.
 *   O3. Whatever dies on the way is read again from the journal.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { Adapter } from "../adapters/adapter.ts"
import type { Outbound } from "../domain/outbound.ts"
import type { Traces } from "../domain/trace.ts"
import type { DeliveryLimits } from "../machines/delivery.ts"
import type { Due, Journal } from "../store/journal.ts"
import { deliverOne } from "./errand.ts"

export interface Delivery {
  /** Takes messages that have just been committed. */
  readonly deliver: (owed: ReadonlyArray<Outbound>) => void
  /** Makes it read what a conversation owes. */
  readonly wake: (conversation: string) => void
  /** The same, and once more before its next message: what it owes may still be on its way to the disk. */
  readonly doubt: (conversation: string) => void
  /** Tells that since `sweepBegins` every conversation that owes something was woken. */
  readonly sweepEnds: () => void
  readonly sweepBegins: () => void
  /** Ends what is sent of a conversation, and begins nothing of it until the scope closes. */
  readonly hold: (conversation: string) => Effect.Effect<void, never, Scope.Scope>
  /** Lets what is being sent end, and begins nothing more. */
  readonly drain: Effect.Effect<void>
  readonly stats: () => DeliveryStats
}

export interface DeliveryStats {
  /** Conversations that owe something, as far as is known here. */
  readonly conversations: number
  readonly results: ReadonlyMap<string, number>
}

export interface DeliveryOptions {
  readonly adapter: Adapter
  readonly journal: Journal["Service"]
  readonly limits: DeliveryLimits
  /** How many conversations are delivered to at once; the others wait in the journal for a sweep. */
  readonly linesMax: number
  readonly traces?: Traces | undefined
}

/** How many messages of a conversation are held; more are read when these are done. */
const heldMax = 16
/** After a line broke, before it is read from the journal again. */
const retryMs = 1_000

/** What one conversation owes. */
interface Line {
  held: Array<Due>
  /** There may be messages in the journal that are not held. */
  isBehind: boolean
  fiber?: Fiber.Fiber<void, unknown>
}

type Run = (effect: Effect.Effect<void, unknown>) => Fiber.Fiber<void, unknown>

/** All deliveries end with the scope. */
export const makeDelivery = Effect.fn("Delivery.make")(function* (
  options: DeliveryOptions
): Effect.fn.Return<Delivery, never, Scope.Scope> {
  const clock = yield* Clock.clockWith(Effect.succeed)
  const run = Effect.runForkWith(yield* Effect.context<never>())
  const lines = new Lines(options, clock, run)
  yield* Effect.addFinalizer(() => lines.close)
  return lines
})

class Lines implements Delivery {
  readonly #options: DeliveryOptions
  readonly #clock: Clock.Clock
  readonly #run: Run
  readonly #lines = new Map<string, Line>()
  readonly #fibers = new Set<Fiber.Fiber<void, unknown>>()
  readonly #results = new Map<string, number>()
  readonly #held = new Set<string>()
  readonly #stopping = Deferred.makeUnsafe<never>()
  /** Since the last sweep, and since the one before it: whatever was on its way then has been seen by a sweep. */
  #doubts = new Set<string>()
  #earlierDoubts = new Set<string>()
  /** Conversations without a line may owe older messages: whoever comes is read from the journal first. */
  #isBehind = true
  #hasSkipped = false
  #isStopping = false

  constructor(options: DeliveryOptions, clock: Clock.Clock, run: Run) {
    this.#options = options
    this.#clock = clock
    this.#run = run
  }

  deliver(owed: ReadonlyArray<Outbound>): void {
    for (const outbound of owed) {
      const line = this.#lineOf(outbound.conversation)
      if (line === undefined) continue
      if (this.#endDoubt(outbound.conversation) || line.isBehind || line.held.length >= heldMax) line.isBehind = true
      else
        line.held.push({ outbound, attempts: 0, attemptsBefore: 0, wasSending: false, dueAtMs: 0, atMs: this.#nowMs })
    }
  }

  wake(conversation: string): void {
    const line = this.#lineOf(conversation)
    if (line !== undefined) line.isBehind = true
  }

  doubt(conversation: string): void {
    this.#doubts.add(conversation)
    this.wake(conversation)
  }

  sweepBegins(): void {
    this.#hasSkipped = false
  }

  sweepEnds(): void {
    this.#isBehind = this.#hasSkipped
    this.#earlierDoubts = this.#doubts
    this.#doubts = new Set()
  }

  hold(conversation: string): Effect.Effect<void, never, Scope.Scope> {
    const end = Effect.suspend(() => {
      this.#held.add(conversation)
      const fiber = this.#lines.get(conversation)?.fiber
      this.#lines.delete(conversation)
      fiber?.interruptUnsafe()
      return fiber === undefined ? Effect.void : ended(fiber)
    })
    return Effect.acquireRelease(end, () => Effect.sync(() => this.#held.delete(conversation)))
  }

  get drain(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#stop()
      return Effect.forEach([...this.#fibers], ended, { concurrency: "unbounded", discard: true })
    })
  }

  get close(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#stop()
      for (const fiber of this.#fibers) fiber.interruptUnsafe()
      return this.drain
    })
  }

  stats(): DeliveryStats {
    return { conversations: this.#lines.size, results: this.#results }
  }

  get #nowMs(): number {
    return this.#clock.currentTimeMillisUnsafe()
  }

  #endDoubt(conversation: string): boolean {
    const isRecent = this.#doubts.delete(conversation)
    return this.#earlierDoubts.delete(conversation) || isRecent
  }

  #stop(): void {
    this.#isStopping = true
    Deferred.doneUnsafe(this.#stopping, Effect.interrupt)
  }

  /** The line of a conversation that owes something, started if it is new; undefined when there is no room. */
  #lineOf(conversation: string): Line | undefined {
    const known = this.#lines.get(conversation)
    if (known !== undefined || this.#isStopping || this.#held.has(conversation)) return known
    if (this.#lines.size >= this.#options.linesMax) {
      this.#hasSkipped = this.#isBehind = true
      return undefined
    }
    const line: Line = { held: [], isBehind: this.#isBehind }
    this.#lines.set(conversation, line)
    this.#start(conversation, line, 0)
    return line
  }

  #start(conversation: string, line: Line, delayMs: number): void {
    const fiber = this.#run(this.#follow(conversation, line, delayMs))
    line.fiber = fiber
    this.#fibers.add(fiber)
    fiber.addObserver((exit) => {
      this.#fibers.delete(fiber)
      this.#afterEnd(conversation, line, exit)
    })
  }

  #afterEnd(conversation: string, line: Line, exit: Exit.Exit<void, unknown>): void {
    if (this.#lines.get(conversation) !== line) return
    if (Exit.isSuccess(exit) && !line.isBehind && line.held.length === 0) this.#lines.delete(conversation)
    else if (this.#isStopping) return
    else if (Exit.isSuccess(exit)) this.#start(conversation, line, 0)
    else {
      const words = `delivery to ${conversation} starts again in ${retryMs} ms`
      this.#run(Effect.logWarning(words, Cause.squash(exit.cause)))
      line.held = []
      line.isBehind = true
      this.#start(conversation, line, retryMs)
    }
  }

  #follow(conversation: string, line: Line, delayMs: number): Effect.Effect<void, unknown> {
    const { adapter, journal, limits, traces } = this.#options
    const count = (result: string) => this.#results.set(result, (this.#results.get(result) ?? 0) + 1)
    const stopping = this.#stopping
    return Effect.gen({ self: this }, function* () {
      // Never in the tick of its start, in which its line is filled.
      yield* delayMs > 0 ? Effect.sleep(delayMs) : Effect.yieldNow
      while (!this.#isStopping) {
        const due = line.held[0]
        if (due !== undefined) {
          yield* deliverOne({ adapter, journal, limits, due, count, stopping, traces })
          line.held.shift()
        } else if (line.isBehind) yield* this.#read(conversation, line)
        else return
      }
    })
  }

  #read(conversation: string, line: Line): Effect.Effect<void, unknown> {
    line.isBehind = false
    return Effect.map(this.#options.journal.due(conversation, heldMax), (due) => {
      const known = new Set(due.map(({ outbound }) => outbound.key))
      const held = [...due, ...line.held.filter(({ outbound }) => !known.has(outbound.key))]
      line.held = due.length < heldMax ? held : held.slice(0, heldMax)
      if (due.length >= heldMax) line.isBehind = true
    })
  }
}

const ended = (fiber: Fiber.Fiber<void, unknown>) =>
  Effect.callback<void>((resume) => void fiber.addObserver(() => resume(Effect.void)))
