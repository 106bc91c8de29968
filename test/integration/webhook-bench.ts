/** The webhook account under the conformance kit: its platform is the callback server. */
import { Clock, Effect, Exit, Redacted, Scope } from "effect"
import type { Adapter, WebRequest, WebResponse } from "../../src/adapters/adapter.ts"
import { keyOf, sign, toleranceMs } from "../../src/adapters/webhook/signature.ts"
import { openWebhook } from "../../src/adapters/webhook/webhook.ts"
import { idMaxBytes, nameMaxBytes, textMaxBytes } from "../../src/adapters/webhook/wire.ts"
import { type Fate, openCallbackServer } from "./callback-server.ts"
import type { Bench, Harness, HttpBench, Meeting, PlatformEvent, Told } from "./conformance-bench.ts"

export const secret = `whsec_${Buffer.from("parley: a secret of the tests...").toString("base64")}`
export const key = keyOf(secret)!

const fates: Readonly<Record<Meeting, Fate>> = {
  taken: "take",
  "cut-before": "cut-before",
  "cut-after": "cut-after",
  silent: "late",
  failed: "error-after",
  overloaded: "unavailable",
  throttled: "busy",
  refused: "unwanted",
  gone: "gone",
  moved: "moved",
  nobody: "take"
}

/** `disturb` makes another adapter of it: the kit has to notice what it breaks. */
export const webhookHarness = (disturb: (adapter: Adapter) => Adapter = (adapter) => adapter): Harness =>
  Effect.gen(function* () {
    const planned: Array<Fate> = []
    const scope = yield* Scope.fork(yield* Scope.Scope)
    const server = yield* openCallbackServer({
      secret,
      lateMs: 11_000,
      fateOf: () => planned.shift() ?? "take"
    }).pipe(Scope.provide(scope))
    const options = { account: "demo", secret: Redacted.make(secret), callback: server.url }
    const adapter = disturb(yield* openWebhook(options))
    return {
      adapter,
      platform: {
        deliver: (event) => Effect.flatMap(signed(event), (request) => Effect.map(adapter.receive!(request), toldBy)),
        meet: (...meetings) => {
          planned.push(...meetings.map((meeting) => fates[meeting]))
        },
        throttleMs: 1_000,
        arrivals: () => server.deliveries().map(({ body, key, shown }) => ({ key, bytes: body, shown })),
        arrived: server.arrived,
        stop: Scope.close(scope, Exit.void)
      },
      secrets: [secret, secret.slice("whsec_".length), Buffer.from(secret.slice("whsec_".length), "base64").toString()],
      http: {
        signed,
        sealed: (body) => sealed("event-of-bytes", body),
        signedHeaders: ["webhook-id", "webhook-timestamp", "webhook-signature"],
        replayMaxMs: toleranceMs,
        textMax: textMaxBytes,
        malformed
      }
    } satisfies Bench
  })

export const signed = ({ key: id, text, thread, user }: PlatformEvent): Effect.Effect<WebRequest> =>
  sealed(id, Buffer.from(JSON.stringify({ conversation: thread, user, text })))

export const sealed = (id: string, body: Uint8Array): Effect.Effect<WebRequest> =>
  Effect.map(Clock.currentTimeMillis, (nowMs) => ({ headers: { ...sign(key, id, nowMs, body) }, body }))

function toldBy({ body, headers, status }: WebResponse): Told {
  if (status === 503) return { as: "later", afterMs: Number(headers?.["retry-after"]) * 1000 }
  const { duplicate } = body as { readonly duplicate?: boolean }
  return status === 202 && duplicate !== undefined
    ? { as: "acknowledged", duplicate }
    : { as: "refused", words: JSON.stringify(body) }
}

const good = { conversation: "c", user: { id: "u" }, text: "t" }
const bad = (names: string, change: Readonly<Record<string, unknown>>, status = 422) => ({
  body: JSON.stringify({ ...good, ...change }),
  names,
  status
})

const malformed: HttpBench["malformed"] = [
  { body: "", names: "body", status: 422 },
  { body: "{", names: "body", status: 422 },
  { body: "[".repeat(100_000), names: "body", status: 422 },
  // Latin-1 is no UTF-8.
  { body: Buffer.from('{"conversation":"c","user":{"id":"u"},"text":"ü"}', "latin1"), names: "body", status: 422 },
  ...["null", "[]", '"text"', "1"].map((body) => ({ body, names: "body", status: 422 })),
  ...[undefined, null, 7, "", "a\0b", "a\nb", "\ud83d", "ü".repeat(idMaxBytes / 2 + 1)].flatMap((id) => [
    bad("conversation", { conversation: id }),
    bad("user.id", { user: { id } })
  ]),
  ...[undefined, null, "u", 1].map((user) => bad("user", { user })),
  ...[null, 1, "n".repeat(nameMaxBytes + 1), "\0".repeat(nameMaxBytes / 3 + 1)].map((name) =>
    bad("user.name", { user: { id: "u", name } })
  ),
  ...[undefined, null, 1, "", ["t"]].map((text) => bad("text", { text })),
  bad("text", { text: "\0".repeat(textMaxBytes / 3 + 1) }, 413)
]
