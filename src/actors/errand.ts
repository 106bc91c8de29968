/** One message on its way: runs the delivery machine over the adapter and the journal. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import { type Adapter, NotSent } from "../adapters/adapter.ts"
import { storable } from "../domain/inbound.ts"
import { type Traces, traceOfAll } from "../domain/trace.ts"
import { begin, type Decision, decide, fire, type Situation } from "../machines/decide.ts"
import { type DeliveryAction, type DeliveryEvent, type DeliveryLimits, deliveryMachine } from "../machines/delivery.ts"
import type { AttemptEnd, Due, FencedOff, Journal, Refused } from "../store/journal.ts"
import { inBounds } from "./letter.ts"
import { tracedSend } from "./send-trace.ts"

/** Added to the adapter's own limit before it is interrupted. */
const graceMs = 2_000

type Machine = typeof deliveryMachine

export interface Errand {
  readonly adapter: Adapter
  readonly journal: Journal["Service"]
  readonly limits: DeliveryLimits
  readonly due: Due
  /** Told how each attempt ended. */
  readonly count: (result: AttemptEnd["result"]) => void
  /** Interrupts waits once the server stops; a send that has begun ends. */
  readonly stopping: Deferred.Deferred<never>
  readonly traces?: Traces | undefined
}

/** Follows one message to its end. Interrupted when it would have to wait, or to begin an attempt, after `stopping`. */
export const deliverOne = Effect.fnUntraced(function* (errand: Errand): Effect.fn.Return<void, FencedOff | Refused> {
  const { adapter, due, limits, stopping } = errand
  const nowMs = yield* Clock.currentTimeMillis
  const input = {
    ...limits,
    isReadable: adapter.find !== undefined,
    attempts: due.attempts,
    attemptsBefore: due.attemptsBefore,
    wasSending: due.wasSending,
    // A message from the future shows that the clock was set back since: its wait is no longer for that.
    delayMs: Math.max(0, due.dueAtMs - Math.max(nowMs, due.atMs))
  }
  const [begun, first] = begin(deliveryMachine, input, nowMs)
  let situation: Situation<Machine> = begun
  let decidedAtMs = nowMs
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
      // The clock may have been set back since.
      const waitMs = Math.max(0, timer.dueAtMs - Math.max(yield* Clock.currentTimeMillis, decidedAtMs))
      yield* Effect.raceFirst(Effect.sleep(waitMs), Deferred.await(stopping))
      take(fire(deliveryMachine, situation, timer, yield* Clock.currentTimeMillis))
      continue
    }
    if (action.type === "attempt.record" && Deferred.isDoneUnsafe(stopping)) return yield* Effect.interrupt
    const event = yield* perform(action, errand)
    if (event === undefined) continue
    decidedAtMs = yield* Clock.currentTimeMillis
    take(decide(deliveryMachine, situation, event, decidedAtMs))
  }
})

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
      return errand.traces === undefined ? send(errand) : tracedSend(send(errand), errand.due, action.n, errand.traces)
    case "message.look-up":
      return lookUp(errand)
    case "attempt.fail":
      return end(errand, action.n, action.result, action.reason, "due", action.delayMs)
    case "message.delivered":
      return end(errand, action.n, "delivered", "", "delivered", 0, action.receipt)
    case "message.dead":
      return Effect.andThen(
        Effect.annotateLogs(Effect.logError(`a message of ${conversation} is a dead letter: ${key}`, action.reason), {
          trace: traceOfAll(conversation, errand.due.outbound.inReplyTo)?.root.traceId
        }),
        end(errand, action.n, action.result, action.reason, "dead", 0)
      )
  }
}

const whileUnavailable = {
  while: (error: { readonly _tag: string }) => error._tag === "Unavailable",
  schedule: Schedule.spaced("500 millis")
}

const end = Effect.fnUntraced(function* (
  { count, due, journal }: Errand,
  n: number,
  result: AttemptEnd["result"],
  reason: string,
  state: AttemptEnd["state"],
  delayMs: number,
  receipt = ""
) {
  const { conversation, key } = due.outbound
  const atMs = yield* Clock.currentTimeMillis
  count(result)
  // In the platform's words, which may not be storable.
  const said = { reason: inBounds(reason), receipt: storable(receipt) }
  const ended = { conversation, key, n, atMs, result, ...said, state, dueAtMs: atMs + delayMs }
  yield* Effect.retry(journal.end(ended), whileUnavailable) as Effect.Effect<void, Refused>
  return undefined
})

const send = Effect.fnUntraced(function* (errand: Errand) {
  const { adapter, due } = errand
  const exit = yield* exitOf(
    errand,
    Effect.suspend(() => adapter.send(due.outbound))
  )
  const circumstances = yield* circumstancesOf(due)
  if (Exit.isSuccess(exit)) {
    if (exit.value._tag === "Some") return { type: "send.succeeded", receipt: exit.value.value } as const
    return { type: "send.ambiguous", reason: tooSlow, ...circumstances } as const
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
      return { type: "send.ambiguous", reason: String(Cause.squash(exit.cause)), ...circumstances } as const
  }
})

const lookUp = Effect.fnUntraced(function* (errand: Errand) {
  const { adapter, due } = errand
  const exit = yield* exitOf(
    errand,
    Effect.suspend(() => adapter.find?.(due.outbound) ?? Effect.undefined)
  )
  const circumstances = yield* circumstancesOf(due)
  if (Exit.isSuccess(exit)) {
    if (exit.value._tag === "None") return { type: "look-up.failed", reason: tooSlow, ...circumstances } as const
    if (exit.value.value === undefined) return { type: "look-up.not-found", ...circumstances } as const
    return { type: "look-up.found", receipt: exit.value.value } as const
  }
  if (Cause.hasInterruptsOnly(exit.cause)) return yield* Effect.interrupt
  const failure = Cause.squash(exit.cause)
  const reason = failure instanceof NotSent ? failure.reason : String(failure)
  return { type: "look-up.failed", reason, ...circumstances } as const
})

const tooSlow = "the adapter did not end in time"

/** How the adapter's work ended, defects and all; none when it had to be interrupted. */
const exitOf = <A, E>({ adapter }: Errand, work: Effect.Effect<A, E>) =>
  Effect.exit(Effect.timeoutOption(work, adapter.limits.sendMaxMs + graceMs))

const circumstancesOf = Effect.fnUntraced(function* ({ atMs }: Due) {
  return { ageMs: (yield* Clock.currentTimeMillis) - atMs, luck: yield* Random.next }
})
