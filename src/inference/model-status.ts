/** What a model of the pool says of itself, to an operator. */
import * as Effect from "effect/Effect"
import * as Breaker from "./breaker.ts"
import type { ServerStatus } from "./engine.ts"
import type { Life } from "./model-life.ts"

/**
 * `cold`: not in memory, and loaded when it is asked. `lost`: its worker or server is gone, and awaited back. `broken`:
 * it cannot be loaded. `breaker-open`: it died too often, and is not asked for a while.
 */
export type ModelState = "cold" | "loading" | "ready" | "answering" | "lost" | "unloading" | "broken" | "breaker-open"

export const modelStates: ReadonlyArray<ModelState> = [
  "cold",
  "loading",
  "ready",
  "answering",
  "lost",
  "unloading",
  "broken",
  "breaker-open"
]

export interface ModelStatus {
  readonly name: string
  readonly state: ModelState
  /** Of the state, in milliseconds since the epoch. */
  readonly sinceMs: number
  /** Of a state that is none to be wished for. */
  readonly why?: string
  /** That it takes at work, estimated from its file; 0 of one on another server. Undefined until that was read. */
  readonly memoryBytes?: number
  /** When a request last ended. */
  readonly lastRequestMs?: number
  /** Of its worker, since the server started. */
  readonly deaths: number
  readonly loads: number
  /** Of the servers that run it, where others do. */
  readonly servers?: ReadonlyArray<ServerStatus>
  /** A request that comes now would be answered, after loading it if need be. */
  readonly isUsable: boolean
}

export const statusOf = Effect.fnUntraced(function* (life: Life, nowMs: number): Effect.fn.Return<ModelStatus> {
  const { bytes, deaths, lastRequestMs, loads, model, sinceMs } = life
  const { state, why } = yield* stateOf(life, nowMs)
  const servers = yield* life.engine?.servers ?? Effect.undefined
  const isFirstLoad = loads === 0 && model.keepAliveMs === Number.POSITIVE_INFINITY
  return {
    name: model.name,
    state,
    sinceMs,
    ...(why !== undefined && { why }),
    ...(bytes !== undefined && { memoryBytes: bytes }),
    ...(lastRequestMs !== undefined && { lastRequestMs }),
    deaths,
    loads,
    ...(servers && { servers }),
    isUsable: isServing[state] && !(isFirstLoad && (state === "cold" || state === "loading"))
  }
})

const isServing: Readonly<Record<ModelState, boolean>> = {
  cold: true,
  loading: true,
  ready: true,
  answering: true,
  lost: false,
  unloading: true,
  broken: false,
  "breaker-open": false
}

interface Stated {
  readonly state: ModelState
  readonly why?: string | undefined
}

const stateOf = Effect.fnUntraced(function* (life: Life, nowMs: number): Effect.fn.Return<Stated> {
  const { answering, engine, phase, refusal } = life
  if (refusal !== undefined) return { state: "broken", why: refusal.reason }
  const breaker = Breaker.at(life.breaker, nowMs)
  const isIn = phase === "loading" || phase === "ready"
  // Until it is loaded again, and answers, it is what it was.
  if (breaker.state === "open" || (breaker.state === "half-open" && !isIn)) {
    return { state: breaker.isUnloadable ? "broken" : "breaker-open", why: breaker.reason }
  }
  const why = breaker.state === "half-open" ? `the next answer is a trial: ${breaker.reason}` : undefined
  if (phase !== "ready") return { state: phase, why: why ?? (phase === "loading" ? "it is being loaded" : undefined) }
  const trouble = yield* engine?.trouble ?? Effect.undefined
  if (trouble !== undefined) return { state: "lost", why: trouble }
  return { state: answering > 0 ? "answering" : "ready", why }
})
