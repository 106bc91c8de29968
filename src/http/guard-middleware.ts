/** The guard in front of the router, unknown routes included, and of upgrades; and the headers behind it. */
import type { IncomingMessage } from "node:http"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { type Guard, guardedRequest, type Refusal } from "./guard.ts"
import { problem } from "./problem.ts"
import { hardened } from "./security-headers.ts"

export const guardMiddleware = (guard: Guard) =>
  HttpRouter.middleware(
    (route) =>
      Effect.gen(function* () {
        // Before the response is written, so that a route that fails or dies answers with them as well.
        yield* HttpEffect.appendPreResponseHandler((_, response) => Effect.succeed(hardened(response)))
        const verdict = guard.check(yield* guarded)
        return verdict.isAllowed ? yield* route : refused(verdict)
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

function refused({ code, headers, message, status }: Refusal): HttpServerResponse.HttpServerResponse {
  return status === 303 ? HttpServerResponse.empty({ status, headers }) : problem(status, code, message, headers)
}
