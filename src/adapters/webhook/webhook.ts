/** The generic channel: signed HTTP requests both ways (DESIGN.md, §8). */
import type { KeyObject } from "node:crypto"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { Accept, Adapter, NotAccepted, WebRequest, WebResponse } from "../adapter.ts"
import { openCallback } from "./callback.ts"
import { keyOf, sign, verify } from "./signature.ts"
import { fromOutbound, problem, receiptOf, textMaxBytes, toInbound } from "./wire.ts"

/** Sends under way at once; more wait for their turn before their time counts. */
export const sendsMax = 64
export const sendMaxMs = 10_000

export interface WebhookOptions {
  readonly account: string
  readonly secret: Redacted.Redacted<string>
  readonly callback: string
}

/** `reason` never repeats the value: it may be a secret. */
export class BadWebhookAccount extends Data.TaggedError("BadWebhookAccount")<{
  readonly account: string
  readonly field: "account" | "secret" | "callback"
  readonly reason: string
}> {}

/** Opens nothing yet: connections to the callback are made by sends, and kept until the scope closes. */
export const openWebhook = (options: WebhookOptions): Effect.Effect<Adapter, BadWebhookAccount, Scope.Scope> =>
  Effect.gen(function* () {
    const { account, key, url } = yield* Effect.fromResult(checked(options))
    const callback = yield* openCallback(url)
    const sends = yield* Semaphore.make(sendsMax)
    let listener: Accept | undefined

    const receive = Effect.fnUntraced(function* (request: WebRequest) {
      if (listener === undefined) return notAccepted("the account is being opened", 1000)
      const eventKey = verify(key, request.headers, request.body, yield* Clock.currentTimeMillis)
      if (Result.isFailure(eventKey)) return problem(401, "unauthorized", eventKey.failure.reason)
      const inbound = toInbound(account, eventKey.success, request.body)
      if (Result.isFailure(inbound)) return inbound.failure
      return yield* Effect.match(listener(inbound.success), {
        onSuccess: ({ duplicate }): WebResponse => ({ status: 202, body: { accepted: true, duplicate } }),
        onFailure: ({ reason, retryAfterMs }) => notAccepted(sentences[reason], retryAfterMs)
      })
    })

    const send: Adapter["send"] = Effect.fnUntraced(function* (outbound) {
      const body = fromOutbound(outbound)
      const signed = sign(key, outbound.key, yield* Clock.currentTimeMillis, body)
      const answer = yield* callback.post(signed, body, sendMaxMs)
      return yield* Effect.fromResult(receiptOf(answer, yield* Clock.currentTimeMillis))
    }, sends.withPermit)

    return {
      channel: "webhook",
      account,
      delivery: "idempotent",
      limits: { textMax: textMaxBytes, textUnit: "utf8-bytes", sendMaxMs },
      capabilities: { edit: false, typing: false, attachments: false },
      listen: (accept) =>
        Effect.andThen(
          Effect.acquireRelease(
            Effect.sync(() => (listener = accept)),
            () => Effect.sync(() => (listener = undefined))
          ),
          Effect.never
        ),
      receive,
      send
    }
  })

const sentences: Readonly<Record<NotAccepted["reason"], string>> = {
  database: "the event could not be stored",
  "inbox-full": "too many events are waiting",
  stopping: "the server is stopping"
}

function notAccepted(sentence: string, retryAfterMs: number): WebResponse {
  const headers = { "retry-after": `${Math.ceil(retryAfterMs / 1000)}` }
  return { ...problem(503, "not_accepted", `${sentence}: send it again, with the same webhook-id`), headers }
}

function checked(options: WebhookOptions): Result.Result<Checked, BadWebhookAccount> {
  const { account, callback, secret } = options
  const bad = (field: BadWebhookAccount["field"], reason: string) =>
    Result.fail(new BadWebhookAccount({ account, field, reason }))

  if (!/^[\w-]{1,64}$/.test(account)) return bad("account", "expected 1 to 64 letters, digits, `_` and `-`")
  const key = keyOf(Redacted.value(secret))
  if (key === undefined) {
    return bad(
      "secret",
      "expected `whsec_` and the base64 of 24 to 64 bytes; make one: echo whsec_$(openssl rand -base64 32)"
    )
  }
  const url = URL.canParse(callback) ? new URL(callback) : undefined
  if (url?.protocol !== "http:" && url?.protocol !== "https:")
    return bad("callback", "expected an http or https address")
  if (url.username !== "" || url.password !== "") {
    return bad("callback", "expected no name or password in the address: the signature says who calls")
  }
  return Result.succeed({ account, key, url })
}

interface Checked {
  readonly account: string
  readonly key: KeyObject
  readonly url: URL
}
