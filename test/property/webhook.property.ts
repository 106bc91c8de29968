import { Effect, Redacted } from "effect"
import { TestClock } from "effect/testing"
import fc from "fast-check"
import { expect, test } from "vitest"
import { type Accept, NotAccepted } from "../../src/adapters/adapter.ts"
import { openWebhook } from "../../src/adapters/webhook/webhook.ts"
import { idMaxBytes, nameMaxBytes, textMaxBytes } from "../../src/adapters/webhook/wire.ts"
import { type Inbound, storable } from "../../src/domain/inbound.ts"
import { sealed, secret } from "../integration/webhook-bench.ts"

interface Reply {
  readonly status: number
  readonly inbound: Inbound | undefined
  readonly words: string
}

/** The answer to a signed body, and what reached intake, which keeps it or not. */
const receive = (body: Uint8Array, isKept: boolean): Promise<Reply> =>
  Effect.gen(function* () {
    let inbound: Inbound | undefined
    const accept: Accept = (event) =>
      Effect.suspend(() => {
        inbound = event
        const refusal = new NotAccepted({ reason: "database", retryAfterMs: 1 })
        return isKept ? Effect.succeed({ conversation: "", position: 1, duplicate: false }) : Effect.fail(refusal)
      })
    const callback = "http://127.0.0.1:1/"
    const adapter = yield* openWebhook({ account: "demo", secret: Redacted.make(secret), callback })
    yield* Effect.forkScoped(adapter.listen(accept), { startImmediately: true })
    const { body: answer, status } = yield* adapter.receive!(yield* sealed("id", body))
    return { status, inbound, words: JSON.stringify(answer) }
  }).pipe(Effect.scoped, Effect.provide(TestClock.layer()), Effect.runPromise)

const wild = fc.oneof(fc.string({ unit: "binary" }), fc.string(), fc.constantFrom("", "\0", "\ud800", "a\u0085"))
const id = fc.oneof({ weight: 4, arbitrary: fc.string({ minLength: 1, maxLength: 20 }) }, wild)
// Mostly of the form, with one field or another that is not.
const message = fc.record(
  {
    conversation: fc.oneof({ weight: 9, arbitrary: id }, fc.jsonValue()),
    user: fc.oneof({ weight: 9, arbitrary: fc.record({ id, name: wild }, { requiredKeys: ["id"] }) }, fc.jsonValue()),
    text: fc.oneof({ weight: 9, arbitrary: wild }, fc.jsonValue())
  },
  { requiredKeys: [] }
)
const json = fc.oneof({ weight: 4, arbitrary: message }, fc.jsonValue({ maxDepth: 6 }))
const body = fc.oneof(
  { weight: 4, arbitrary: json.map((value) => Buffer.from(JSON.stringify(value))) },
  fc.uint8Array({ maxLength: 200, size: "max" }).map(Buffer.from)
)

test("whatever a signed body holds, it is kept, refused by field or asked for again", () =>
  fc.assert(
    fc.asyncProperty(body, fc.boolean(), async (body, isKept) => {
      const { inbound, status, words } = await receive(body, isKept)
      expect([202, 413, 422, 503]).toContain(status)
      expect(inbound === undefined).toBe(status === 413 || status === 422)
      expect(status === 202).toBe(inbound !== undefined && isKept)
      if (status === 422) expect(words).toMatch(/"(body|conversation|user|user\.id|user\.name|text): expected /)
    }),
    { numRuns: 1_000 }
  ))

test("what reaches intake can be stored, is within its limits and keeps its ids", () =>
  fc.assert(
    fc.asyncProperty(message, async (message) => {
      const { inbound } = await receive(Buffer.from(JSON.stringify(message)), true)
      if (inbound === undefined) return
      const { text, thread, user } = inbound
      for (const stored of [thread, user.id, user.name ?? "", text]) expect(storable(stored)).toBe(stored)
      for (const id of [thread, user.id]) expect(Buffer.byteLength(id)).toBeLessThanOrEqual(idMaxBytes)
      expect(Buffer.byteLength(user.name ?? "")).toBeLessThanOrEqual(nameMaxBytes)
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(textMaxBytes)
      expect({ conversation: thread, id: user.id }).toEqual({
        conversation: message.conversation,
        id: (message.user as { readonly id: string }).id
      })
    }),
    { numRuns: 1_000 }
  ))

test("the bodies above reach every fate", async () => {
  const seen = new Set<number>()
  for (const [nth, sample] of fc.sample(body, { numRuns: 400, seed: 1 }).entries()) {
    seen.add((await receive(sample, nth % 2 === 0)).status)
  }
  expect([...seen].sort()).toEqual([202, 422, 503])
})
