/**
 * Takes what conversations owe to the adapter, each conversation's messages in order.
 *
 *   O1. A message is sent after all earlier ones of its conversation were delivered or given up.
 *   O2. Before each send its attempt is durable, after it what came of it.
 *   O3. Whatever dies on the way is read again from the journal.
 */
import { Cause, Clock, Deferred, Effect, Exit, type Fiber, Random, Schedule, type Scope } from "effect"
import type { Adapter } from "../adapters/adapter.ts"
import type { Outbound } from "../domain/outbound.ts"
import { begin, type Decision, decide, fire, type Situation } from "../machines/decide.ts"
import { type DeliveryAction, type DeliveryEvent, type DeliveryLimits, deliveryMachine } from "../machines/delivery.ts"
import type { Due, FencedOff, Journal, Refused } from "../store/journal.ts"

export interface Delivery {
  /** Takes messages that have just been committed. */
  readonly deliver: (owed: ReadonlyArray<Outbound>) => void
  /** Makes it read what a conversation owes. */
  readonly wake: (conversation: string) => void
  /** Tells that since `sweepBegins` every conversation that owes something was woken. */
  readonly sweepEnds: () => void
  readonly sweepBegins: () => void
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
}

/** How many messages of a conversation are held; more are read when these are done. */
const heldMax = 16
/** Added to the adapter's own limit before it is interrupted. */
const graceMs = 2_000

interface Line {
  held: Array<Due>
  /** There may be messages in the journal that are not held. */
  isBehind: boolean
}

type Machine = typeof deliveryMachine

/** All deliveries end with the scope. */
export const makeDelivery = Effect.fn("Delivery.make")(function* (
  options: DeliveryOptions
): Effect.fn.Return<Delivery, never, Scope.Scope> {
  const { journal } = options
  const lines = new Map<string, Line>()
  const fibers = new Set<Fiber.Fiber<void, unknown>>()
  const results = new Map<string, number>()
  const clock = yield* Clock.clockWith(Effect.succeed)
  const run = Effect.runForkWith(yield* Effect.context<never>())
  const stopping = yield* Deferred.make<never>()
  /** Conversations that are not here may owe older messages: whoever comes is read from the journal first. */
  let isBehind = true
  let hasSkipped = false
  let isStopping = false

  const read = Effect.fnUntraced(function* (conversation: string, line: Line) {
    line.isBehind = false
    const due = yield* journal.due(conversation, heldMax)
    const known = new Set(due.map(({ outbound }) => outbound.key))
    line.held = [...due, ...line.held.filter(({ outbound }) => !known.has(outbound.key))]
    if (due.length < heldMax) return
    line.held = line.held.slice(0, heldMax)
    line.isBehind = true
  })

  const follow = Effect.fnUntraced(function* (conversation: string, line: Line, delayMs: number) {
    // Never in the tick of its start, in which its line is filled.
    yield* delayMs > 0 ? Effect.sleep(delayMs) : Effect.yieldNow
    while (!isStopping) {
      const next = line.held[0]
      if (next !== undefined) {
        yield* deliverOne(options, next, results, stopping)
        line.held.shift()
      } else if (line.isBehind) yield* read(conversation, line)
      else return
    }
  })

  const start = (conversation: string, line: Line, delayMs: number) => {
    const fiber = run(follow(conversation, line, delayMs))
    fibers.add(fiber)
    fiber.addObserver((exit) => {
      fibers.delete(fiber)
      if (Exit.isSuccess(exit) && !line.isBehind && line.held.length === 0) return void lines.delete(conversation)
      if (isStopping) return
      if (Exit.isSuccess(exit)) return start(conversation, line, 0)
      run(Effect.logWarning(`delivery to ${conversation} starts again in ${retryMs} ms`, Cause.squash(exit.cause)))
      line.held = []
      line.isBehind = true
      start(conversation, line, retryMs)
    })
  }

  /** The line of a conversation that owes something, started if it is new; undefined when there is no room. */
  const lineOf = (conversation: string): Line | undefined => {
    const known = lines.get(conversation)
    if (known !== undefined || isStopping) return known
    if (lines.size >= options.linesMax) {
      hasSkipped = isBehind = true
      return undefined
    }
    const line: Line = { held: [], isBehind }
    lines.set(conversation, line)
    start(conversation, line, 0)
    return line
  }

  const hold = (outbound: Outbound) => {
    const line = lineOf(outbound.conversation)
    if (line === undefined) return
    if (line.isBehind || line.held.length >= heldMax) line.isBehind = true
    else line.held.push({ outbound, attempts: 0, wasSending: false, dueAtMs: 0, atMs: clock.currentTimeMillisUnsafe() })
  }

  const stop = Effect.suspend(() => {
    isStopping = true
    return Deferred.interrupt(stopping)
  })

  yield* Effect.addFinalizer(() =>
    Effect.andThen(
      stop,
      Effect.suspend(() => Effect.forEach([...fibers], interruptAndWait, { concurrency: "unbounded", discard: true }))
    )
  )

  return {
    deliver: (owed) => owed.forEach(hold),
    wake: (conversation) => {
      const line = lineOf(conversation)
      if (line !== undefined) line.isBehind = true
    },
    sweepBegins: () => {
      hasSkipped = false
    },
    sweepEnds: () => {
      isBehind = hasSkipped
    },
    drain: Effect.andThen(
      stop,
      Effect.suspend(() => Effect.forEach([...fibers], ended, { concurrency: "unbounded", discard: true }))
    ),
    stats: () => ({ conversations: lines.size, results })
  }
})

const retryMs = 1_000

/** Follows one message to its end, or until it must wait while the server stops. */
const deliverOne = Effect.fnUntraced(function* (
  { adapter, journal, limits }: DeliveryOptions,
  due: Due,
  results: Map<string, number>,
  stopping: Deferred.Deferred<never>
): Effect.fn.Return<void, FencedOff | Refused> {
  const nowMs = yield* Clock.currentTimeMillis
  const input = {
    ...limits,
    isReadable: adapter.find !== undefined,
    attempts: due.attempts,
    wasSending: due.wasSending,
    delayMs: Math.max(0, due.dueAtMs - nowMs)
  }
  const [begun, first] = begin(deliveryMachine, input, nowMs)
  let situation: Situation<Machine> = begun
  const todo: Array<DeliveryAction> = [...first]
  const take = ([after, actions]: Decision<Machine>) => {
    situation = after
    todo.push(...actions)
  }
  while (situation.snapshot.status === "active" || todo.length > 0) {
    const action = todo.shift()
    if (action === undefined) {
      const timer = [...situation.timers.values()][0]
      if (timer === undefined) return
      const waitMs = Math.max(0, timer.dueAtMs - (yield* Clock.currentTimeMillis))
      yield* Effect.raceFirst(Effect.sleep(waitMs), Deferred.await(stopping))
      take(fire(deliveryMachine, situation, timer, yield* Clock.currentTimeMillis))
      continue
    }
    if (action.type === "attempt.record" && Deferred.isDoneUnsafe(stopping)) return yield* Effect.interrupt
    const event = yield* perform(action, { adapter, due, journal, results })
    if (event !== undefined) take(decide(deliveryMachine, situation, event, yield* Clock.currentTimeMillis))
  }
})

interface Errand {
  readonly adapter: Adapter
  readonly journal: Journal["Service"]
  readonly due: Due
  readonly results: Map<string, number>
}

const perform = (
  action: DeliveryAction,
  errand: Errand
): Effect.Effect<DeliveryEvent | undefined, FencedOff | Refused> => {
  const { conversation, key } = errand.due.outbound
  const { journal } = errand
  switch (action.type) {
    case "attempt.record":
      return Effect.gen(function* () {
        const atMs = yield* Clock.currentTimeMillis
        yield* Effect.retry(journal.begin({ conversation, key, n: action.n, atMs }), whileUnavailable)
        return { type: "attempt.recorded" } as const
      }) as Effect.Effect<DeliveryEvent, FencedOff | Refused>
    case "message.send":
      return send(errand)
    case "message.look-up":
      return lookUp(errand)
    case "attempt.fail":
      return end(errand, action.n, action.result, action.reason, "due", action.delayMs)
    case "message.delivered":
      return end(errand, action.n, "delivered", "", "delivered", 0, action.receipt)
    case "message.dead":
      return Effect.andThen(
        Effect.logError(`a message of ${conversation} is a dead letter: ${key}`, action.reason),
        end(errand, action.n, action.result, action.reason, "dead", 0)
      )
  }
}

const whileUnavailable = {
  while: (error: { readonly _tag: string }) => error._tag === "Unavailable",
  schedule: Schedule.spaced("500 millis")
}

const end = Effect.fnUntraced(function* (
  { due, journal, results }: Errand,
  n: number,
  result: "delivered" | "not-sent" | "rejected" | "throttled" | "ambiguous",
  reason: string,
  state: "due" | "delivered" | "dead",
  delayMs: number,
  receipt = ""
) {
  const { conversation, key } = due.outbound
  const atMs = yield* Clock.currentTimeMillis
  results.set(result, (results.get(result) ?? 0) + 1)
  const ended = { conversation, key, n, atMs, result, reason, receipt, state, dueAtMs: atMs + delayMs }
  yield* Effect.retry(journal.end(ended), whileUnavailable) as Effect.Effect<void, Refused>
  return undefined
})

const send = Effect.fnUntraced(function* ({ adapter, due }: Errand) {
  const exit = yield* Effect.exit(
    Effect.timeoutOption(
      Effect.suspend(() => adapter.send(due.outbound)),
      adapter.limits.sendMaxMs + graceMs
    )
  )
  const circumstances = yield* circumstancesOf(due)
  if (Exit.isSuccess(exit)) {
    if (exit.value._tag === "Some") return { type: "send.succeeded", receipt: exit.value.value } as const
    return { type: "send.ambiguous", reason: "the adapter did not end in time", ...circumstances } as const
  }
  const failure = exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error
  switch (failure?._tag) {
    case "NotSent":
      return { type: "send.not-sent", reason: failure.reason, ...circumstances } as const
    case "Rejected":
      return { type: "send.rejected", reason: `${failure.status}: ${failure.reason}` } as const
    case "Throttled":
      return { type: "send.throttled", retryAfterMs: failure.retryAfterMs, ...circumstances } as const
    case "Ambiguous":
      return { type: "send.ambiguous", reason: failure.reason, ...circumstances } as const
    default:
      if (Cause.hasInterruptsOnly(exit.cause)) return yield* Effect.interrupt
      return {
        type: "send.ambiguous",
        reason: String(Cause.squash(exit.cause)).slice(0, 500),
        ...circumstances
      } as const
  }
})

const lookUp = Effect.fnUntraced(function* ({ adapter, due }: Errand) {
  const found = yield* Effect.result(adapter.find?.(due.outbound) ?? Effect.succeed(undefined))
  const circumstances = yield* circumstancesOf(due)
  if (found._tag === "Failure")
    return { type: "look-up.failed", reason: found.failure.reason, ...circumstances } as const
  if (found.success === undefined) return { type: "look-up.not-found", ...circumstances } as const
  return { type: "look-up.found", receipt: found.success } as const
})

const circumstancesOf = Effect.fnUntraced(function* ({ atMs }: Due) {
  return { ageMs: (yield* Clock.currentTimeMillis) - atMs, luck: yield* Random.next }
})

const ended = (fiber: Fiber.Fiber<void, unknown>) =>
  Effect.callback<void>((resume) => void fiber.addObserver(() => resume(Effect.void)))

const interruptAndWait = (fiber: Fiber.Fiber<void, unknown>) =>
  Effect.andThen(
    Effect.sync(() => fiber.interruptUnsafe()),
    ended(fiber)
  )
