/** `POST /api/webhook/{account}`: hands a bounded body to the account's adapter. */
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { Account } from "../actors/account.ts"
import { accountId } from "../domain/ids.ts"
import { notFound, problem } from "./problem.ts"

export const webhookRoute = (accountOf: (id: string) => Account | undefined, bodyMaxBytes: number) =>
  HttpRouter.add(
    "POST",
    "/api/webhook/:account",
    Effect.gen(function* () {
      const request = yield* HttpServerRequest.HttpServerRequest
      const { account = "" } = yield* HttpRouter.params
      const receive = accountOf(accountId("webhook", account))?.adapter.receive
      if (receive === undefined) return notFound
      // Whoever announces too much is not read at all.
      if (Number(request.headers["content-length"] ?? 0) > bodyMaxBytes) return tooLarge(bodyMaxBytes)
      const body = yield* Effect.option(request.arrayBuffer)
      if (body._tag === "None") return tooLarge(bodyMaxBytes)
      const { status, headers, ...response } = yield* receive({
        headers: request.headers,
        body: new Uint8Array(body.value)
      })
      return HttpServerResponse.jsonUnsafe(response.body, { status, ...(headers && { headers }) })
    })
  )

function tooLarge(bodyMaxBytes: number) {
  return problem(413, "too_large", `The body is longer than ${bodyMaxBytes} bytes.`, { connection: "close" })
}
