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
import * as Stream from "effect/Stream"
import { runAttempt } from "./attempt.ts"
import type {
  CallDelta,
  Engine,
  EngineError,
  EngineLost,
  FinishReason,
  InferenceRequest,
  PromptTooLong,
  RequestPart,
  Token,
  Usage
} from "./engine.ts"
import * as Schedule from "./schedule.ts"
import { type Stats, statsOf } from "./scheduler-stats.ts"

/** `attempt` counts from `firstAttempt`. Texts of one attempt are never to be shown or kept together with another's. */
export type Signal =
  /** It has a slot. */
  | { readonly type: "started"; readonly attempt: number }
  | { readonly type: "text"; readonly attempt: number; readonly text: string }
  | ({ readonly type: "call"; readonly attempt: number } & CallDelta)
  /** It waits again. `attempt` is the next one: everything of lower attempts is void. */
  | { readonly type: "restarted"; readonly attempt: number; readonly reason: string }
  /** The last one. */
  | { readonly type: "finished"; readonly attempt: number; readonly reason: FinishReason; readonly usage: Usage }

/** As many wait as may. `retryAfterMs` is how long those who wait are expected to take. */
export class QueueFull extends Data.TaggedError("QueueFull")<{
  readonly queueMax: number
  readonly retryAfterMs: number
}> {}

/**
 * `crashed`: the engine died whenever it ran, at last alone. `lost`: the engine was lost too often, or too long.
 * `busy`: the engine had no room for it within `busyMaxMs`. `refused`: the engine will not, and says why.
 */
export class ModelFailed extends Data.TaggedError("ModelFailed")<{
  readonly kind: "crashed" | "lost" | "busy" | "refused"
  readonly reason: string
  /** What of the request was refused. */
  readonly part?: RequestPart
}> {}

export type Failure = QueueFull | PromptTooLong | ModelFailed

/** How many requests start before one, and how long that takes if turns go on taking as long as they did of late. */
export interface Wait {
  readonly ahead: number
  readonly waitMs: number
}

export class InferenceScheduler extends Context.Service<
  InferenceScheduler,
  {
    /**
     * Fails with `QueueFull` at once rather than waiting without limit: the caller knows the person, and what to say to
     * them. Waits for a slot without a deadline of its own. Interrupting the stream gives the slot or the place in the
     * queue back; a slow reader keeps neither, for the slot is free as soon as the engine is done.
     */
    readonly infer: (request: InferenceRequest & { readonly firstAttempt: number }) => Stream.Stream<Signal, Failure>
    /** Undefined for one that does not wait. */
    readonly waitOf: (id: string) => Effect.Effect<Wait | undefined>
    readonly stats: Effect.Effect<Stats>
  }
>()("parley/inference/InferenceScheduler") {}

export const defaults = {
  /** How often one request is tried; the rule for suspects of schedule.ts usually speaks first. */
  attemptsMax: 5,
  /** How long an engine that has no room is asked again: as long as a person waits for a sign. */
  busyMaxMs: 60_000,
  /** The first pause after a loss, in which all losses of one death arrive; each further one is twice as long. */
  backoffMinMs: 250,
  backoffMaxMs: 10_000,
  /** How often an engine that was lost is asked whether it is back. */
  readyPollMs: 250,
  /** How long requests wait for a lost engine: a large model takes minutes to load again. */
  outageMaxMs: 300_000
}

export interface Options extends Partial<typeof defaults> {
  readonly engine: Engine
  readonly queueMax: number
}

interface Turn extends Schedule.Request {
  readonly id: string
  /** Done when this attempt has its slot; fails when it will never have one. */
  start: Deferred.Deferred<void, ModelFailed>
}

type Ticket = Schedule.Ticket<Turn>
type Request = Parameters<InferenceScheduler["Service"]["infer"]>[0]
type Signals = Queue.Queue<Signal, Failure | Cause.Done>

export interface Floor {
  readonly engine: Engine
  readonly limits: typeof defaults
  readonly clock: Clock.Clock
  readonly schedule: Schedule.Schedule<Turn>
  readonly tickets: Map<string, Ticket>
  /** Open until the engine is ready first, and from a loss until it is back; meanwhile nobody starts. */
  readonly lost: Latch.Latch
  lossReason: string
  /** Losses since an answer was last finished. */
  lossesInRow: number
  refused: number
  restarts: number
  turnMs: number
}

/** Before anything was measured. */
const turnGuessMs = 5_000
/** How much one turn moves the average. */
const turnWeight = 0.1
const retryAfterMinMs = 1_000
const retryAfterMaxMs = 60_000

export const layer = ({ engine, queueMax, ...limits }: Options): Layer.Layer<InferenceScheduler> =>
  Layer.effect(
    InferenceScheduler,
    Effect.gen(function* () {
      const floor: Floor = {
        engine,
        limits: { ...defaults, ...limits },
        clock: yield* Clock.Clock,
        schedule: Schedule.empty({ slotsMax: engine.slotsMax, queueMax }),
        tickets: new Map(),
        lost: Latch.makeUnsafe(!(yield* engine.isReady)),
        lossReason: "",
        lossesInRow: 0,
        refused: 0,
        restarts: 0,
        turnMs: turnGuessMs
      }
      yield* Effect.forkScoped(Effect.forever(recover(floor)))
      return InferenceScheduler.of({
        infer: (request) => Stream.unwrap(open(floor, request)),
        waitOf: (id) => Effect.sync(() => waitOf(floor, id)),
        stats: statsOf(floor)
      })
    })
  )

const open = Effect.fnUntraced(function* (floor: Floor, request: Request) {
  const ticket = yield* Effect.acquireRelease(enter(floor, request), (ticket) =>
    Effect.sync(() => leave(floor, ticket))
  )
  // As long as an answer may be, so that a slow reader does not hold a slot.
  const signals: Signals = yield* Queue.unbounded<Signal, Failure | Cause.Done>()
  yield* Effect.forkScoped(
    Effect.onExit(work(floor, ticket, request, signals), (exit) =>
      Effect.sync(() => {
        leave(floor, ticket)
        if (Exit.isSuccess(exit)) Queue.endUnsafe(signals)
        else Queue.failCauseUnsafe(signals, exit.cause)
      })
    ),
    { startImmediately: true }
  )
  return Stream.fromQueue(signals)
})

function enter(floor: Floor, { id, user }: Request): Effect.Effect<Ticket, QueueFull> {
  return Effect.suspend(() => {
    const { schedule, tickets } = floor
    const ticket = Schedule.admit(schedule, { id, user, start: Deferred.makeUnsafe<void, ModelFailed>() })
    if (ticket === undefined) {
      floor.refused++
      return Effect.fail(new QueueFull({ queueMax: schedule.limits.queueMax, retryAfterMs: retryAfterMsOf(floor) }))
    }
    tickets.set(id, ticket)
    startNext(floor)
    return Effect.succeed(ticket)
  })
}

/** A second time it changes nothing: first at the end of the engine's work, then at the end of the reader's. */
function leave(floor: Floor, ticket: Ticket): void {
  if (floor.tickets.get(ticket.request.id) === ticket) floor.tickets.delete(ticket.request.id)
  Schedule.release(floor.schedule, ticket)
  startNext(floor)
}

function startNext({ lost, schedule }: Floor): void {
  if (Latch.isOpen(lost)) return
  for (const { request } of Schedule.fill(schedule)) Deferred.doneUnsafe(request.start, Effect.void)
}

const work = Effect.fnUntraced(function* (floor: Floor, ticket: Ticket, request: Request, signals: Signals) {
  const { backoffMinMs: busyMinMs, busyMaxMs } = floor.limits
  for (let attempt = request.firstAttempt; ; ) {
    yield* Deferred.await(ticket.request.start)
    Queue.offerUnsafe(signals, { type: "started", attempt })
    const startedMs = floor.clock.currentTimeMillisUnsafe()
    const pass = (token: Token) =>
      void (token.type === "progress" || Queue.offerUnsafe(signals, signalOf(token, attempt)))
    const result = yield* Effect.result(runAttempt(floor.engine, request, { busyMinMs, busyMaxMs }, pass))
    if (Result.isSuccess(result)) {
      floor.turnMs += turnWeight * (floor.clock.currentTimeMillisUnsafe() - startedMs - floor.turnMs)
      floor.lossesInRow = 0
      return
    }
    if (result.failure._tag !== "EngineLost") return yield* failureOf(result.failure)
    yield* comeBack(floor, ticket, result.failure, attempt - request.firstAttempt + 1)
    attempt++
    Queue.offerUnsafe(signals, { type: "restarted", attempt, reason: result.failure.reason })
  }
})

function signalOf(token: Exclude<Token, { readonly type: "progress" }>, attempt: number): Signal {
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
  floor: Floor,
  ticket: Ticket,
  { reason }: EngineLost,
  tried: number
): Effect.Effect<void, ModelFailed> {
  return Effect.suspend(() => {
    floor.lossReason = reason
    if (!Latch.isOpen(floor.lost)) floor.lossesInRow++
    ticket.request.start = Deferred.makeUnsafe()
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
const recover = Effect.fnUntraced(function* (floor: Floor) {
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
  for (const { request } of [...Schedule.allWaiting(schedule)]) Deferred.doneUnsafe(request.start, failure)
}

function waitOf({ schedule, tickets, turnMs }: Floor, id: string): Wait | undefined {
  const ticket = tickets.get(id)
  const ahead = ticket && Schedule.placeOf(schedule, ticket)
  if (ahead === undefined) return undefined
  return { ahead, waitMs: Math.round(((ahead + 1) / schedule.limits.slotsMax) * turnMs) }
}

function retryAfterMsOf({ schedule, turnMs }: Floor): number {
  const expectedMs = (schedule.waiting / schedule.limits.slotsMax) * turnMs
  return Math.round(Math.min(Math.max(expectedMs, retryAfterMinMs), retryAfterMaxMs))
}
