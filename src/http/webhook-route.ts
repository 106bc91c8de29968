/** `POST /api/webhook/{account}`: hands a bounded body to the account's adapter. */
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { Account } from "../actors/account.ts"
import { accountId } from "../domain/ids.ts"
import { notFound, problem } from "./problem.ts"

export interface WebhookRouteOptions {
  /** The account of `channel/account`, while it is open. */
  readonly accountOf: (id: string) => Account | undefined
  readonly configured: ReadonlyArray<string>
  readonly bodyMaxBytes: number
}

export const webhookRoute = ({ accountOf, bodyMaxBytes, configured }: WebhookRouteOptions) =>
  HttpRouter.add(
    "POST",
    "/api/webhook/:account",
    Effect.gen(function* () {
      const request = yield* HttpServerRequest.HttpServerRequest
      const { account = "" } = yield* HttpRouter.params
      const id = accountId("webhook", account)
      if (!configured.includes(id)) return notFound
      const receive = accountOf(id)?.adapter.receive
      if (receive === undefined) return beingOpened
      // Whoever announces too much is not read at all.
      if (Number(request.headers["content-length"] ?? 0) > bodyMaxBytes) return tooLarge(bodyMaxBytes)
      const body = yield* Effect.option(request.arrayBuffer)
      if (body._tag === "None") return tooLarge(bodyMaxBytes)
      const { status, headers, ...response } = yield* receive({
        headers: request.headers,
        body: new Uint8Array(body.value)
      })
      return HttpServerResponse.jsonUnsafe(response.body, { status, ...(headers && { headers }) })
    }).pipe(Effect.tapDefect((defect) => Effect.logError("a webhook request broke", defect)))
  )

/** A platform gives an event up on 404. */
const beingOpened = problem(
  503,
  "not_accepted",
  "the account is being opened: send it again, with the same webhook-id",
  {
    "retry-after": "1"
  }
)

function tooLarge(bodyMaxBytes: number) {
  return problem(413, "too_large", `The body is longer than ${bodyMaxBytes} bytes.`, { connection: "close" })
}
