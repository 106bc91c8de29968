/**
 * All models that are served: each with its own scheduler, loaded and unloaded under one limit of memory. Which are in
 * memory is decided in residency.ts, whether one is asked at all in breaker.ts.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Breaker from "./breaker.ts"
import { EngineBroken } from "./engine.ts"
import type { Wait } from "./floor.ts"
import {
  downOf,
  engineOf,
  type Life,
  newLife,
  type PooledModel,
  residentOf,
  setBreaker,
  tellAll,
  turn
} from "./model-life.ts"
import { type ModelStatus, statusOf } from "./model-status.ts"
import { review } from "./residency.ts"
import { type Failure, type InferenceScheduler, ModelFailed, makeScheduler, type Signal } from "./scheduler.ts"
import type { WorkerEvent } from "./worker-process.ts"

export interface PoolOptions {
  /** The first one is the default. */
  readonly models: readonly [PooledModel, ...ReadonlyArray<PooledModel>]
  /** Of all that are in memory, as estimated. */
  readonly bytesMax: number
  /** Whether the operator set it: a model that needs more than we only guess that there is may have all of it. */
  readonly isBytesMaxSet: boolean
  /** Of each model. */
  readonly queueMax: number
  readonly queueTokensMax: number
  readonly breaker?: Breaker.BreakerLimits
  readonly patienceMs?: number
}

export interface ServedModel {
  readonly name: string
  readonly scheduler: InferenceScheduler["Service"]
  readonly status: Effect.Effect<ModelStatus>
  /** What it keeps in memory of prompts and answers that have ended. */
  readonly forget: Effect.Effect<void>
}

export interface ModelPool {
  /** In the order of the configuration. */
  readonly models: readonly [ServedModel, ...ReadonlyArray<ServedModel>]
  /** Succeeds when the first model is loaded for the first time; fails when it cannot be. */
  readonly opened: Effect.Effect<void, EngineBroken>
}

/** A worker that dies now and then is followed; a minute's worth of crashes at its load time is given up. */
const breakerDefault: Breaker.BreakerLimits = {
  deathsMax: 5,
  withinMs: 300_000,
  pauseMinMs: 30_000,
  pauseMaxMs: 600_000
}
/** A model is not loaded for less than it takes to load one. */
const patienceDefaultMs = 20_000
/** Before it was measured: what a disk reads in a millisecond, and what is done besides. */
const loadGuess = { bytesPerMs: 500_000, besideMs: 1_000 }

interface Pool {
  readonly options: PoolOptions
  readonly lives: ReadonlyArray<Life>
  readonly scope: Scope.Scope
  readonly nowMs: () => number
  /** Something happened that may change what is decided. */
  readonly changed: () => void
  readonly changes: Queue.Queue<void>
}

/** Everything ends with the scope. */
export const openModelPool = Effect.fn("openModelPool")(function* (
  options: PoolOptions
): Effect.fn.Return<ModelPool, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const changes = yield* Queue.sliding<void>(1)
  const nowMs = () => clock.currentTimeMillisUnsafe()
  const [first, ...others] = options.models
  const pool: Pool = {
    options,
    lives: [first, ...others].map((model) => newLife(model, nowMs())),
    scope: yield* Scope.Scope,
    nowMs,
    changed: () => void Queue.offerUnsafe(changes, undefined),
    changes
  }
  const [firstServed, ...otherServed] = yield* Effect.forEach(pool.lives, (life) => serve(pool, life))
  for (const life of pool.lives) yield* Effect.forkScoped(lookAtFile(pool, life))
  yield* Effect.forkScoped(Effect.forever(keep(pool)))
  return { models: [firstServed!, ...otherServed], opened: Deferred.await(pool.lives[0]!.loaded) }
})

const serve = Effect.fnUntraced(function* (pool: Pool, life: Life) {
  const { queueMax, queueTokensMax } = pool.options
  const engine = engineOf(life, pool.nowMs, pool.changed)
  const scheduler = yield* makeScheduler({ engine, queueMax, queueTokensMax })
  const served: ServedModel = {
    name: life.model.name,
    scheduler: {
      infer: (request) => Stream.unwrap(ask(pool, life, request.id, (givenUp) => scheduler.infer(request, givenUp))),
      waitOf: (id) => Effect.map(scheduler.waitOf(id), (wait) => waitOf(pool, life, id, wait)),
      stats: scheduler.stats
    },
    status: Effect.suspend(() => statusOf(life, pool.nowMs())),
    forget: Effect.suspend(() => life.engine?.forget ?? Effect.void)
  }
  return served
})

/** Lasts as long as the stream. Whoever asks is told at once when the breaker opens. */
const ask = Effect.fnUntraced(function* (
  pool: Pool,
  life: Life,
  id: string,
  infer: (givenUp: Effect.Effect<never, ModelFailed>) => Stream.Stream<Signal, Failure>
) {
  yield* Effect.acquireRelease(
    Effect.suspend(() => {
      if (life.refusal !== undefined) return Effect.fail(life.refusal)
      const { breaker, turnedAway } = Breaker.ask(life.breaker, id, pool.nowMs())
      life.breaker = breaker
      if (turnedAway !== undefined) return Effect.fail(downOf(life, turnedAway.reason, turnedAway.retryAfterMs))
      if (life.asking === 0 && life.phase !== "ready") life.waitingSinceMs = pool.nowMs()
      life.asking++
      life.requests.add(id)
      pool.changed()
      return Effect.void
    }),
    () =>
      Effect.sync(() => {
        life.asking--
        life.requests.delete(id)
        life.breaker = Breaker.leave(life.breaker, id)
        life.usedMs = pool.nowMs()
        life.lastRequestMs = life.usedMs
        pool.changed()
      })
  )
  return infer(Deferred.await(life.tripped))
})

function waitOf({ nowMs }: Pool, life: Life, id: string, wait: Wait | undefined): Wait | undefined {
  if (Latch.isOpen(life.gate) || !life.requests.has(id)) return wait
  const { besideMs, bytesPerMs } = loadGuess
  const { bytes = 0, loadMs = besideMs + bytes / bytesPerMs, phase, sinceMs } = life
  const spentMs = phase === "loading" ? nowMs() - sinceMs : 0
  const leftMs = Math.max(0, Math.round(loadMs - spentMs))
  return { ahead: wait?.ahead ?? 0, waitMs: (wait?.waitMs ?? 0) + leftMs, loading: true }
}

/** How much it needs. One whose file looks broken is tried at once: an operator is told before anybody asks it. */
const lookAtFile = Effect.fnUntraced(function* (pool: Pool, life: Life) {
  const { bytes, isDoubtful } = yield* life.model.need
  const { bytesMax, isBytesMaxSet } = pool.options
  const { keepAliveMs, name } = life.model
  if (bytes > bytesMax && isBytesMaxSet) yield* refuse(life, bytes, bytesMax)
  if (bytes > bytesMax && !isBytesMaxSet) yield* Effect.logWarning(tooLarge(life, bytes, bytesMax))
  if (isDoubtful && life !== pool.lives[0]) {
    const tried = yield* Effect.exit(Effect.scoped(life.model.open(() => undefined)))
    if (Exit.isFailure(tried)) yield* cannotLoad(pool, life, tried.cause)
  } else if (keepAliveMs !== Infinity) {
    yield* Effect.logInfo(`model ${name} is loaded when it is asked; it takes ${mebibytes(bytes)}`)
  }
  life.bytes = Math.min(bytes, bytesMax)
  pool.changed()
})

function tooLarge({ model }: Life, bytes: number, bytesMax: number): string {
  return `model ${model.name} needs ${mebibytes(bytes)} at work, and models may have ${mebibytes(bytesMax)}`
}

const mendOfSize = "Raise limits.modelsMemory, lower slots or contextTokens of the model, or take a smaller one."

const refuse = Effect.fnUntraced(function* (life: Life, bytes: number, bytesMax: number) {
  const reason = `${tooLarge(life, bytes, bytesMax)}. ${mendOfSize}`
  yield* Effect.logError(reason)
  life.refusal = new ModelFailed({ kind: "down", reason })
  tellAll(life, life.refusal)
  yield* Deferred.fail(life.loaded, new EngineBroken({ model: life.model.name, reason }))
})

/** Decides once, does it, and waits until there is something to decide again. */
const keep = Effect.fnUntraced(function* (pool: Pool) {
  const { againMs, begun } = decide(pool)
  for (const life of begun) {
    yield* Effect.forkIn(life.phase === "loading" ? load(pool, life) : unload(pool, life), pool.scope)
  }
  const again = againMs === Infinity ? Effect.never : Effect.sleep(Math.max(1, againMs - pool.nowMs()))
  yield* Effect.raceFirst(Queue.take(pool.changes), again)
})

/** In one go, so that nothing changes between what is decided and what is begun. */
function decide({ lives, nowMs: now, options }: Pool) {
  const { bytesMax, patienceMs = patienceDefaultMs } = options
  const nowMs = now()
  const residents = lives.map((life) => residentOf(life, nowMs)).filter((one) => one !== undefined)
  const { againMs, load, standBack, unload } = review(residents, { bytesMax, patienceMs }, nowMs)
  const begun = lives.filter((life) => {
    const { name } = life.model
    if (unload.includes(name)) turn(life, "unloading", nowMs)
    else if (load.includes(name)) turn(life, "loading", nowMs)
    setGate(life, life.phase === "ready" && !standBack.has(name))
    return unload.includes(name) || load.includes(name)
  })
  const pauses = lives.map(({ breaker }) => (breaker.state === "open" ? breaker.untilMs : Infinity))
  return { begun, againMs: Math.min(againMs, ...pauses.filter((ms) => ms > nowMs)) }
}

function setGate({ gate }: Life, isOpen: boolean): void {
  if (isOpen) Latch.openUnsafe(gate)
  else Latch.closeUnsafe(gate)
}

const load = Effect.fnUntraced(function* (pool: Pool, life: Life) {
  const startedMs = pool.nowMs()
  const scope = yield* Scope.fork(pool.scope)
  const exit = yield* Effect.exit(Scope.provide(life.model.open(watchOf(pool, life)), scope))
  if (Exit.isFailure(exit)) {
    yield* Scope.close(scope, exit)
    turn(life, "cold", pool.nowMs())
    return yield* cannotLoad(pool, life, exit.cause)
  }
  life.scope = scope
  life.engine = exit.value
  life.loads++
  life.loadMs = pool.nowMs() - startedMs
  life.isLost = false
  turn(life, "ready", pool.nowMs())
  pool.changed()
  yield* Deferred.succeed(life.loaded, undefined)
  yield* Effect.logInfo(
    `model ${life.model.name} is ready after ${life.loadMs} ms; it takes ${mebibytes(life.bytes ?? 0)}`
  )
})

const unload = Effect.fnUntraced(function* (pool: Pool, life: Life) {
  const { scope } = life
  life.scope = undefined
  life.engine = undefined
  if (scope !== undefined) yield* Scope.close(scope, Exit.void)
  turn(life, "cold", pool.nowMs())
  pool.changed()
  yield* Effect.logInfo(`model ${life.model.name} is unloaded`)
})

const cannotLoad = Effect.fnUntraced(function* (pool: Pool, life: Life, cause: Cause.Cause<EngineBroken>) {
  if (Cause.hasInterruptsOnly(cause)) return
  const error = Cause.squash(cause)
  const reason = error instanceof EngineBroken ? error.reason : String(error)
  yield* Effect.logError(`model ${life.model.name} cannot be loaded: ${reason}`)
  yield* Deferred.fail(life.loaded, new EngineBroken({ model: life.model.name, reason }))
  const { breaker = breakerDefault } = pool.options
  setBreaker(life, Breaker.unloadable(breaker, life.breaker, reason, pool.nowMs()), pool.nowMs())
  pool.changed()
})

const watchOf = (pool: Pool, life: Life) => (event: WorkerEvent) => {
  const nowMs = pool.nowMs()
  if (event.type === "ready") {
    if (life.isLost) life.sinceMs = nowMs
    life.isLost = false
    return
  }
  life.deaths++
  life.isLost = true
  life.sinceMs = nowMs
  // Of one that is being loaded, `open` itself fails.
  if (life.phase !== "ready") return
  const { breaker = breakerDefault } = pool.options
  setBreaker(life, Breaker.died(breaker, life.breaker, `it keeps dying: ${event.how}`, nowMs), nowMs)
  pool.changed()
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 1024 ** 2)} MiB`
}
