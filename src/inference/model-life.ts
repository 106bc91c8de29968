/** One model's life in the pool: its engine while it is in memory, who asks it, and whether it is let be asked. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { askOf } from "./attempt.ts"
import * as Breaker from "./breaker.ts"
import type { Engine, EngineBroken, EngineRequest, OpenEngine } from "./engine.ts"
import type { Resident } from "./residency.ts"
import { ModelFailed } from "./scheduler.ts"
import type { WorkerEvent } from "./worker-process.ts"

/** A model as the configuration names it. */
export interface PooledModel {
  readonly name: string
  readonly slotsMax: number
  readonly contextTokens?: number
  readonly cacheTokensMax?: number
  /** How long it stays in memory after its last request; infinite: for ever, and from the start. */
  readonly keepAliveMs: number
  readonly need: Effect.Effect<Need>
  readonly open: (watch: (event: WorkerEvent) => void) => OpenEngine
}

/** What a model takes of memory at work. `isDoubtful`: its file looks broken, and loading it will say how. */
export interface Need {
  readonly bytes: number
  readonly isDoubtful: boolean
}

export interface Life {
  readonly model: PooledModel
  /** Open while it is ready and has not been told to stand back. */
  readonly gate: Latch.Latch
  /** Succeeds when it is loaded for the first time, and fails when that does. */
  readonly loaded: Deferred.Deferred<void, EngineBroken>
  /** Requests that were let in and have not ended; and their ids. */
  asking: number
  readonly requests: Set<string>
  /** Undefined until its file has been looked at. */
  bytes: number | undefined
  phase: Resident["phase"]
  sinceMs: number
  /** What of the engine's scope is to be closed when it is unloaded. */
  scope: Scope.Closeable | undefined
  engine: Engine | undefined
  answering: number
  /** Its worker is gone, and awaited back. */
  isLost: boolean
  usedMs: number
  readySinceMs: number
  waitingSinceMs: number
  /** When a request last ended. */
  lastRequestMs: number | undefined
  /** How long it took to load, the last time. */
  loadMs: number | undefined
  loads: number
  deaths: number
  breaker: Breaker.Breaker
  /** Why it can never be loaded, whatever is waited for. */
  refusal: ModelFailed | undefined
  /** Fails when its breaker opens: whoever asks is told at once. */
  tripped: Deferred.Deferred<never, ModelFailed>
}

export function newLife(model: PooledModel, nowMs: number): Life {
  return {
    model,
    gate: Latch.makeUnsafe(false),
    loaded: Deferred.makeUnsafe(),
    asking: 0,
    requests: new Set(),
    bytes: undefined,
    phase: "cold",
    sinceMs: nowMs,
    scope: undefined,
    engine: undefined,
    answering: 0,
    isLost: false,
    usedMs: nowMs,
    readySinceMs: nowMs,
    waitingSinceMs: nowMs,
    lastRequestMs: undefined,
    loadMs: undefined,
    loads: 0,
    deaths: 0,
    breaker: Breaker.closed,
    refusal: undefined,
    tripped: Deferred.makeUnsafe()
  }
}

/** Undefined until it is known how large it is, and when it can never be loaded. */
export function residentOf(life: Life, nowMs: number): Resident | undefined {
  const { answering, asking, breaker, bytes, model, phase, readySinceMs, refusal, usedMs, waitingSinceMs } = life
  if (bytes === undefined || refusal !== undefined) return undefined
  const { keepAliveMs, name } = model
  const mayLoad = Breaker.at(breaker, nowMs).state !== "open"
  return { name, bytes, keepAliveMs, phase, asking, answering, usedMs, readySinceMs, waitingSinceMs, mayLoad }
}

export function turn(life: Life, phase: Life["phase"], nowMs: number): void {
  life.phase = phase
  life.sinceMs = nowMs
  if (phase !== "ready" && life.asking > 0) life.waitingSinceMs = nowMs
  if (phase === "ready") {
    life.usedMs = nowMs
    life.readySinceMs = nowMs
  }
}

/** Whoever asks is told at once when it opens. */
export function setBreaker(life: Life, breaker: Breaker.Breaker, nowMs: number): void {
  const isOpening = breaker.state === "open" && life.breaker.state !== "open"
  life.breaker = breaker
  if (!isOpening) return
  life.sinceMs = nowMs
  tellAll(life, downOf(life, breaker.reason, breaker.untilMs - nowMs))
}

/** Its requests fail by this, and those that come after them are not concerned. */
export function tellAll(life: Life, failure: ModelFailed): void {
  const { tripped } = life
  life.tripped = Deferred.makeUnsafe()
  Deferred.doneUnsafe(tripped, Effect.fail(failure))
}

export function downOf({ model }: Life, reason: string, retryAfterMs: number): ModelFailed {
  return new ModelFailed({ kind: "down", reason: `${model.name} is out of order: ${reason}`, retryAfterMs })
}

/**
 * What its scheduler works with: it waits for the model at the gate. It is not ready only while a worker or a server
 * that was there is gone; one that is to be loaded takes requests, and they wait.
 */
export function engineOf(life: Life, nowMs: () => number, changed: () => void): Engine {
  const { cacheTokensMax, contextTokens, name, slotsMax } = life.model
  const answer = (request: EngineRequest) => Stream.unwrap(answered(life, request, nowMs, changed))
  return {
    name,
    slotsMax,
    ...(contextTokens !== undefined && { contextTokens }),
    ...(cacheTokensMax !== undefined && { cacheTokensMax }),
    generate: answer,
    embed: answer,
    isReady: Effect.suspend(() => life.engine?.isReady ?? Effect.succeed(true)),
    trouble: Effect.suspend(() => life.engine?.trouble ?? Effect.undefined),
    steps: Effect.suspend(() => life.engine?.steps ?? Effect.undefined),
    slots: slotsOf(life)
  }
}

/** Of one engine after another, as each is loaded; what one says ends when it is unloaded. */
function slotsOf(life: Life): Stream.Stream<number> {
  const next = Effect.map(life.gate.await, () => life.engine?.slots ?? Stream.never)
  return Stream.forever(Stream.unwrap(next))
}

const answered = Effect.fnUntraced(function* (
  life: Life,
  request: EngineRequest,
  nowMs: () => number,
  changed: () => void
) {
  const engine = yield* Effect.acquireRelease(enter(life, nowMs), () =>
    Effect.sync(() => {
      life.answering--
      if (life.answering === 0) life.sinceMs = nowMs()
      changed()
    })
  )
  return Stream.onEnd(
    askOf(engine, request),
    Effect.sync(() => {
      life.breaker = Breaker.answered(life.breaker)
    })
  )
})

/** What awaits the gate may find that it was closed again meanwhile. */
const enter = Effect.fnUntraced(function* (life: Life, nowMs: () => number) {
  for (;;) {
    yield* Effect.interruptible(life.gate.await)
    if (!Latch.isOpen(life.gate) || life.engine === undefined) continue
    life.answering++
    if (life.answering === 1) life.sinceMs = nowMs()
    return life.engine
  }
})
