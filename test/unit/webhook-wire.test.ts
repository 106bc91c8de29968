import { Result } from "effect"
import { expect, test } from "vitest"
import { Ambiguous, NotSent, Rejected, type SendError, Throttled } from "../../src/adapters/adapter.ts"
import { keyOf, sign } from "../../src/adapters/webhook/signature.ts"
import { fromOutbound, receiptOf, retryAfterMaxMs, toInbound } from "../../src/adapters/webhook/wire.ts"
import recorded from "../recorded/webhook.json" with { type: "json" }

const nowMs = Date.UTC(2026, 0, 1)

test("a recorded event is read, and what is not of it left out", () => {
  const { account, event, inbound } = recorded
  const read = toInbound(account, event.headers["webhook-id"], Buffer.from(event.body))
  expect(read).toEqual(Result.succeed(inbound))
})

test("a recorded callback is written and signed, byte by byte", () => {
  const { atMs, callback, outbound, secret } = recorded
  const body = fromOutbound({ ...outbound, outcome: "answered" })
  expect(body).toBe(callback.body)
  expect(sign(keyOf(secret)!, outbound.key, atMs, body)).toEqual(callback.headers)
})

const reason = (status: number) => `the callback answered ${status}`
const answers: ReadonlyArray<readonly [status: number, retryAfter: string | undefined, error: SendError]> = [
  [400, undefined, new Rejected({ status: 400, reason: reason(400) })],
  [404, "5", new Rejected({ status: 404, reason: reason(404) })],
  [410, undefined, new Rejected({ status: 410, reason: reason(410) })],
  [408, undefined, new NotSent({ reason: reason(408) })],
  [425, undefined, new NotSent({ reason: reason(425) })],
  [429, undefined, new NotSent({ reason: reason(429) })],
  [429, "7", new Throttled({ retryAfterMs: 7_000 })],
  [429, "0", new Throttled({ retryAfterMs: 0 })],
  [429, "soon", new NotSent({ reason: reason(429) })],
  [429, "1.5", new NotSent({ reason: reason(429) })],
  [429, "-1", new NotSent({ reason: reason(429) })],
  [429, "9".repeat(400), new Throttled({ retryAfterMs: retryAfterMaxMs })],
  [500, undefined, new Ambiguous({ reason: reason(500) })],
  [503, undefined, new Ambiguous({ reason: reason(503) })],
  [503, "Thu, 01 Jan 2026 00:01:00 GMT", new Throttled({ retryAfterMs: 60_000 })],
  [503, "Wed, 31 Dec 2025 23:59:00 GMT", new Throttled({ retryAfterMs: 0 })],
  [503, "Fri, 02 Jan 2026 00:00:00 GMT", new Throttled({ retryAfterMs: retryAfterMaxMs })],
  [503, "GMT", new Ambiguous({ reason: reason(503) })]
]

test.each(answers)("an answer %i with Retry-After %o is %o", (status, retryAfter, error) => {
  expect(receiptOf({ status, retryAfter, location: undefined }, nowMs)).toEqual(Result.fail(error))
})

test.each([200, 201, 202, 204, 299])("an answer %i is a delivery", (status) => {
  expect(receiptOf({ status, retryAfter: "9", location: "/" }, nowMs)).toEqual(Result.succeed(""))
})

test("a redirect names the host it leads to, without what may be a token", () => {
  const moved = (location: string | undefined) => receiptOf({ status: 301, retryAfter: undefined, location }, nowMs)
  const mend = "and redirects are not followed: set `callback` to the address it ends at"
  const rejected = (reason: string) => Result.fail(new Rejected({ status: 301, reason }))
  expect(moved("https://a:b@new.example:8443/t0ken?x=1")).toEqual(
    rejected(`the callback redirects to new.example:8443, ${mend}`)
  )
  for (const location of [undefined, "/elsewhere", "http://["]) {
    expect(moved(location)).toEqual(rejected(`the callback redirects, ${mend}`))
  }
})
