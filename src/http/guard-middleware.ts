/** The guard in front of the router, unknown routes included, and of upgrades; and the headers behind it. */
import type { IncomingMessage } from "node:http"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { ApiError, errorResponse } from "./api-error.ts"
import { type Guard, guardedRequest, type Refusal } from "./guard.ts"
import { problem } from "./problem.ts"
import { hardened } from "./security-headers.ts"

export const guardMiddleware = (guard: Guard) =>
  HttpRouter.middleware(
    (route) =>
      Effect.gen(function* () {
        // Before the response is written, so that a route that fails or dies answers with them as well.
        yield* HttpEffect.appendPreResponseHandler((_, response) => Effect.succeed(hardened(response)))
        const request = yield* guarded
        const verdict = guard.check(request)
        return verdict.isAllowed ? yield* route : refused(verdict, request.target)
      }),
    { global: true }
  )

/** Why an upgrade is refused, if it is. */
export const guardUpgrades = (guard: Guard) =>
  Clock.clockWith((clock) =>
    Effect.succeed((message: IncomingMessage): Refusal | undefined => {
      const verdict = guard.check(guardedRequest(message, clock.currentTimeMillisUnsafe()))
      return verdict.isAllowed ? undefined : verdict
    })
  )

/** The request as the guard sees it. */
export const guarded = Effect.gen(function* () {
  const { source } = yield* HttpServerRequest.HttpServerRequest
  return guardedRequest(source as IncomingMessage, yield* Clock.currentTimeMillis)
})

function refused(refusal: Refusal, target: string): HttpServerResponse.HttpServerResponse {
  const { code, headers, message, status } = refusal
  if (status === 303) return HttpServerResponse.empty({ status, headers })
  if (!target.startsWith("/v1/")) return problem(status, code, message, headers)
  return errorResponse(new ApiError({ status, type: "invalid_request_error", code, param: null, message, headers }))
}
