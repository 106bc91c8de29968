/** What the requests to models under `/v1` have in common: for whom they count, their body, model and patience. */
import * as Effect from "effect/Effect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as Scope from "effect/Scope"
import type { Sampling } from "../inference/engine.ts"
import type { InferenceScheduler } from "../inference/scheduler.ts"
import { type ApiError, invalid, notReady, stopping, tooLarge, unknownModel } from "./api-error.ts"

/** What the server waits for when it stops. */
export interface Calls {
  inFlight: number
  /** Set when it stops: nothing more is begun. */
  isOver: boolean
}

export interface V1Model {
  readonly name: string
  readonly scheduler: InferenceScheduler["Service"]
  /** What a request does not say of it. */
  readonly sampling: Partial<Sampling> | undefined
}

export interface V1Options {
  readonly calls: Calls
  /** All that are served, the default first. */
  readonly models: readonly [V1Model, ...ReadonlyArray<V1Model>]
  readonly limits: {
    readonly bodyMaxBytes: number
    /** A client that asks for more gets this much. */
    readonly answerTokensMax: number
    /** From the request to the end of its answer, the queue included. */
    readonly turnMaxMs: number
  }
}

/**
 * Whom the scheduler's fairness counts. There is one token, so there is one API key, and all of `/v1` is one user
 * beside those of the platforms. A `user` that a client makes up buys no share.
 */
export const user = "v1"
/** A worker that died is back within a second or two: nobody need know. */
const readyMaxMs = 5_000

/** Its body. It is in flight until its scope closes, which is when the last byte of the answer is written. */
export const begun = Effect.fnUntraced(function* (
  request: HttpServerRequest.HttpServerRequest,
  { calls, limits: { bodyMaxBytes } }: V1Options
): Effect.fn.Return<Uint8Array, ApiError, Scope.Scope> {
  if (calls.isOver) return yield* stopping
  yield* Effect.acquireRelease(
    Effect.sync(() => calls.inFlight++),
    () => Effect.sync(() => calls.inFlight--)
  )
  // Whoever announces too much is not read at all.
  if (Number(request.headers["content-length"] ?? 0) > bodyMaxBytes) return yield* tooLarge(bodyMaxBytes)
  const body = yield* Effect.mapError(request.arrayBuffer, ({ reason }) =>
    reason._tag === "RequestParseError" && reason.reason === "BodyTooLarge"
      ? tooLarge(bodyMaxBytes)
      : invalid("invalid_body", null, "The body could not be read to its end.")
  )
  return new Uint8Array(body)
})

export function modelOf(models: V1Options["models"], asked: string): Effect.Effect<V1Model, ApiError> {
  const model = models.find(({ name }) => name === asked)
  if (model !== undefined) return Effect.succeed(model)
  return Effect.fail(
    unknownModel(
      asked,
      models.map(({ name }) => name)
    )
  )
}

/** Present when the model is not ready as the request comes; fails when it stays so. */
export type Readiness = Effect.Effect<never, ApiError> | undefined

export const readinessOf = (scheduler: InferenceScheduler["Service"]): Effect.Effect<Readiness> =>
  Effect.map(scheduler.stats, ({ ready }) => (ready ? undefined : untilHopeless(scheduler)))

const untilHopeless = Effect.fnUntraced(function* (scheduler: InferenceScheduler["Service"]) {
  yield* Effect.sleep(readyMaxMs)
  const { ready, trouble } = yield* scheduler.stats
  return yield* ready ? Effect.never : notReady(trouble ?? "it is being loaded")
})

/** Of two that fail differently, whichever is first. */
export function whileReady<A, E>(work: Effect.Effect<A, E>, readiness: Readiness): Effect.Effect<A, E | ApiError> {
  return readiness === undefined ? work : Effect.raceFirst(work, readiness)
}
