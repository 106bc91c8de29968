/** Gives the engine's slots to requests in turn, and runs again what was lost. The decisions are in schedule.ts. */
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { runAttempt } from "./attempt.ts"
import { demandOfAny } from "./demand.ts"
import { earOf, type Said } from "./ear.ts"
import type {
  CallDelta,
  Engine,
  EngineError,
  EngineLost,
  EngineRequest,
  FinishReason,
  PromptTooLong,
  RequestPart,
  Token,
  Usage
} from "./engine.ts"
import {
  begin,
  type Floor,
  leave,
  makeWay,
  newFloor,
  resize,
  retryAfterMsOf,
  startNext,
  type Ticket,
  type Turn,
  type Wait,
  waitOf
} from "./floor.ts"
import { paced } from "./pace.ts"
import { allWaiting } from "./place.ts"
import * as Schedule from "./schedule.ts"
import { defaults } from "./scheduler-limits.ts"
import { type Stats, statsOf } from "./scheduler-stats.ts"

/** `attempt` counts from `firstAttempt`. Texts of one attempt are never to be shown or kept together with another's. */
export type Signal =
  /** It has a slot. */
  | { readonly type: "started"; readonly attempt: number }
  | { readonly type: "text"; readonly attempt: number; readonly text: string }
  | ({ readonly type: "call"; readonly attempt: number } & CallDelta)
  | { readonly type: "vector"; readonly attempt: number; readonly index: number; readonly vector: string }
  /** It waits again. `attempt` is the next one: everything of lower attempts is void. */
  | { readonly type: "restarted"; readonly attempt: number; readonly reason: string }
  /** The last one. */
  | { readonly type: "finished"; readonly attempt: number; readonly reason: FinishReason; readonly usage: Usage }

/** As many wait as may, or as much. `retryAfterMs` is how long those who wait are expected to take. */
export class QueueFull extends Data.TaggedError("QueueFull")<{
  readonly reason: Schedule.Refusal
  readonly queueMax: number
  readonly retryAfterMs: number
}> {}

/**
 * `crashed`: the engine died whenever it ran, at last alone. `lost`: the engine was lost too often, or too long.
 * `busy`: the engine had no room for it within `busyMaxMs`. `refused`: the engine will not, and says why. `down`: the
 * model keeps dying or cannot be loaded, and nothing is asked of it for now.
 */
export class ModelFailed extends Data.TaggedError("ModelFailed")<{
  readonly kind: "crashed" | "lost" | "busy" | "refused" | "down"
  readonly reason: string
  /** Of `down`: when it may be back; left out, asking again cannot help. */
  readonly retryAfterMs?: number
  /** What of the request was refused. */
  readonly part?: RequestPart
}> {}

export type Failure = QueueFull | PromptTooLong | ModelFailed

/** How a request stands in the queue. */
export interface Standing {
  readonly firstAttempt: number
  /** Interactive when it is left out. */
  readonly class?: Schedule.Class
  /** False when nothing that was said can be taken back: then it makes way for nobody once it says something. */
  readonly mayRestart?: boolean
}

export class InferenceScheduler extends Context.Service<
  InferenceScheduler,
  {
    /**
     * Fails with `QueueFull` at once rather than waiting without limit: the caller knows the person, and what to say to
     * them. Waits for a slot without a deadline of its own. Interrupting the stream gives the slot or the place in the
     * queue back; a slow reader keeps neither, for the slot is free as soon as the engine is done. It ends with the
     * failure of `givenUp`, if that comes first.
     */
    readonly infer: (
      request: EngineRequest & Standing,
      givenUp?: Effect.Effect<never, ModelFailed>
    ) => Stream.Stream<Signal, Failure>
    /** Undefined for one that does not wait. */
    readonly waitOf: (id: string) => Effect.Effect<Wait | undefined>
    readonly stats: Effect.Effect<Stats>
  }
>()("parley/inference/InferenceScheduler") {}

export interface Options extends Partial<typeof defaults> {
  readonly engine: Engine
  readonly queueMax: number
  readonly queueTokensMax: number
}

type Request = Parameters<InferenceScheduler["Service"]["infer"]>[0]
type Signals = Queue.Queue<Signal, Failure | Cause.Done>
type OwnFloor = Floor<typeof defaults>

/** One for each engine. It ends with the scope. */
export const makeScheduler = Effect.fn("makeScheduler")(function* ({
  engine,
  queueMax,
  queueTokensMax,
  ...options
}: Options): Effect.fn.Return<InferenceScheduler["Service"], never, Scope.Scope> {
  const limits = { ...defaults, ...options }
  const { agedAfterMs } = limits
  const { contextTokens = Number.POSITIVE_INFINITY, slotsMax } = engine
  const { cacheTokensMax = slotsMax * contextTokens } = engine
  const floor: OwnFloor = newFloor({
    engine,
    limits,
    clock: yield* Clock.Clock,
    schedule: Schedule.empty({ slotsMax, cacheTokensMax, queueMax, queueTokensMax, agedAfterMs }),
    lost: Latch.makeUnsafe(!(yield* engine.isReady))
  })
  yield* Effect.forkScoped(Effect.forever(recover(floor)))
  const slots = engine.slots ?? Stream.empty
  yield* Effect.forkScoped(Stream.runForEach(slots, (count) => Effect.sync(() => resize(floor, count))))
  return InferenceScheduler.of({
    infer: (request, givenUp) => Stream.unwrap(open(floor, request, givenUp)),
    waitOf: (id) => Effect.sync(() => waitOf(floor, id)),
    stats: statsOf(floor)
  })
})

export const layer = (options: Options): Layer.Layer<InferenceScheduler> =>
  Layer.effect(InferenceScheduler, makeScheduler(options))

const open = Effect.fnUntraced(function* (
  floor: OwnFloor,
  request: Request,
  givenUp: Effect.Effect<never, ModelFailed> | undefined
) {
  const ticket = yield* Effect.acquireRelease(enter(floor, request), (ticket) =>
    Effect.sync(() => leave(floor, ticket, "cancelled"))
  )
  // As long as an answer may be, so that a slow reader does not hold a slot.
  const signals: Signals = yield* Queue.unbounded<Signal, Failure | Cause.Done>()
  const working = work(floor, ticket, request, signals)
  yield* Effect.forkScoped(
    Effect.onExit(givenUp === undefined ? working : Effect.raceFirst(working, givenUp), (exit) =>
      Effect.sync(() => {
        leave(floor, ticket, endOf(exit))
        if (Exit.isSuccess(exit)) Queue.endUnsafe(signals)
        else Queue.failCauseUnsafe(signals, exit.cause)
      })
    ),
    { startImmediately: true }
  )
  return Stream.fromQueue(signals)
})

function enter(floor: OwnFloor, request: Request): Effect.Effect<Ticket, QueueFull> {
  return Effect.suspend(() => {
    const { clock, engine, schedule, tickets } = floor
    const { class: priority = "interactive", id, user } = request
    const turn: Turn = {
      id,
      user,
      class: priority,
      ...demandOfAny(request, engine.contextTokens),
      start: Deferred.makeUnsafe(),
      stop: Deferred.makeUnsafe()
    }
    const ticket = Schedule.admit(schedule, turn, clock.currentTimeMillisUnsafe())
    if (typeof ticket === "string") {
      const retryAfterMs = retryAfterMsOf(floor, ticket)
      return Effect.fail(new QueueFull({ reason: ticket, queueMax: schedule.limits.queueMax, retryAfterMs }))
    }
    tickets.set(id, ticket)
    startNext(floor)
    return Effect.succeed(ticket)
  })
}

function endOf(exit: Exit.Exit<void, unknown>): Schedule.End {
  return Exit.isSuccess(exit) ? "done" : Exit.hasInterrupts(exit) ? "cancelled" : "failed"
}

const work = Effect.fnUntraced(function* (floor: OwnFloor, ticket: Ticket, request: Request, signals: Signals) {
  for (let attempt = request.firstAttempt, losses = 0; ; attempt++) {
    yield* Deferred.await(ticket.request.start)
    Queue.offerUnsafe(signals, { type: "started", attempt })
    const startedMs = floor.clock.currentTimeMillisUnsafe()
    const tell = (said: Said) => void Queue.offerUnsafe(signals, signalOf(said, attempt))
    const ear = earOf(floor, ticket, request.mayRestart ?? true, tell)
    const result = yield* Effect.result(attemptOf(floor, ticket, request, ear.hear))
    if (Result.isSuccess(result) && ear.isOver()) {
      floor.pace = paced(floor.pace, floor.clock.currentTimeMillisUnsafe() - startedMs, ticket.tokens)
      floor.lossesInRow = 0
      return
    }
    let reason = "It made way for somebody who waits for an answer."
    if (Result.isSuccess(result)) makeWay(floor, ticket)
    else if (result.failure._tag !== "EngineLost") return yield* failureOf(result.failure)
    else {
      yield* comeBack(floor, ticket, result.failure, ++losses)
      reason = result.failure.reason
    }
    Queue.offerUnsafe(signals, { type: "restarted", attempt: attempt + 1, reason })
  }
})

/** Succeeds when it is finished, and also when it was stopped to make way. */
function attemptOf(
  { engine, limits }: OwnFloor,
  { request: turn }: Ticket,
  request: Request,
  hear: (token: Token) => void
) {
  const { backoffMinMs: busyMinMs, busyMaxMs } = limits
  const attempt = runAttempt(engine, request, { busyMinMs, busyMaxMs }, hear)
  return turn.class === "background" ? Effect.raceFirst(attempt, Deferred.await(turn.stop)) : attempt
}

function signalOf(token: Said, attempt: number): Signal {
  if (token.type === "finish") return { type: "finished", attempt, reason: token.reason, usage: token.usage }
  return { ...token, attempt }
}

function failureOf(error: Exclude<EngineError, EngineLost>): PromptTooLong | ModelFailed {
  if (error._tag === "PromptTooLong") return error
  if (error._tag === "EngineRefused") {
    const { part = "messages", reason } = error
    return new ModelFailed({ kind: "refused", reason, part })
  }
  return new ModelFailed({ kind: "busy", reason: "The model had no room for too long." })
}

/** Counts a death of the engine against the request, which waits again, or fails when it must not. */
function comeBack(
  floor: OwnFloor,
  ticket: Ticket,
  { reason }: EngineLost,
  tried: number
): Effect.Effect<void, ModelFailed> {
  return Effect.suspend(() => {
    floor.lossReason = reason
    if (!Latch.isOpen(floor.lost)) floor.lossesInRow++
    begin(ticket)
    const fate = Schedule.requeue(floor.schedule, ticket)
    // It may run the one who waits for it before the next line.
    Latch.openUnsafe(floor.lost)
    if (fate === "gone") return new ModelFailed({ kind: "crashed", reason })
    if (tried >= floor.limits.attemptsMax) return new ModelFailed({ kind: "lost", reason })
    floor.restarts++
    return Effect.void
  })
}

/** One outage: from a loss until the engine is back. What waits through all of a long one fails. */
const recover = Effect.fnUntraced(function* (floor: OwnFloor) {
  const { backoffMaxMs, backoffMinMs, outageMaxMs, readyPollMs } = floor.limits
  yield* Latch.await(floor.lost)
  const sinceMs = floor.clock.currentTimeMillisUnsafe()
  yield* Effect.sleep(Math.min(backoffMaxMs, backoffMinMs * 2 ** (floor.lossesInRow - 1)))
  // A defect in the engine is no reason to stop asking it.
  while (!(yield* Effect.catchCause(floor.engine.isReady, () => Effect.succeed(false)))) {
    if (floor.clock.currentTimeMillisUnsafe() - sinceMs >= outageMaxMs) {
      failWaiting(floor, (yield* floor.engine.trouble) ?? floor.lossReason)
    }
    yield* Effect.sleep(readyPollMs)
  }
  Latch.closeUnsafe(floor.lost)
  startNext(floor)
})

function failWaiting({ schedule }: Floor, reason: string): void {
  const failure = Effect.fail(new ModelFailed({ kind: "lost", reason }))
  for (const { request } of [...allWaiting(schedule)]) Deferred.doneUnsafe(request.start, failure)
}
