import { createSecretKey } from "node:crypto"
import { inspect } from "node:util"
import { Result } from "effect"
import fc from "fast-check"
import { Webhook } from "standardwebhooks"
import { expect, test } from "vitest"
import { idMax, keyOf, sign, toleranceMs, verify } from "../../src/adapters/webhook/signature.ts"
import recorded from "../recorded/webhook.json" with { type: "json" }

const secret = `whsec_${Buffer.alloc(32, 7).toString("base64")}`
const key = keyOf(secret)!
const nowMs = 1_767_225_600_250
const body = Buffer.from("{}")
const id = fc.string({ unit: fc.constantFrom(..."abcXYZ019_-."), minLength: 1, maxLength: idMax })

test("what the official library signs is verified", () => {
  const payload = fc.string({ unit: "grapheme", maxLength: 200 })
  fc.assert(
    fc.property(id, payload, (id, payload) => {
      const headers = {
        "webhook-id": id,
        "webhook-timestamp": String(Math.floor(nowMs / 1000)),
        "webhook-signature": new Webhook(secret).sign(id, new Date(nowMs), payload)
      }
      expect(verify(key, headers, Buffer.from(payload), nowMs)).toEqual(Result.succeed(id))
    })
  )
})

test("what is signed here is verified by the official library", () => {
  // It reads the system's clock: the only test that has to.
  const official = new Webhook(secret)
  const systemNowMs = performance.timeOrigin + performance.now()
  fc.assert(
    fc.property(id, fc.json(), (id, payload) => {
      expect(official.verify(payload, { ...sign(key, id, systemNowMs, payload) })).toEqual(JSON.parse(payload))
    })
  )
})

test("the signature of the specification's example comes out", () => {
  const { "webhook-signature": signature } = sign(
    keyOf("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")!,
    "msg_p5jXN8AQM9LWM0D4loKWxJek",
    1_614_265_330_000,
    '{"test": 2432232314}'
  )
  expect(signature).toBe("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
})

test("a recorded event is verified with its secret", () => {
  const { atMs, event, secret } = recorded
  const verified = verify(keyOf(secret)!, event.headers, Buffer.from(event.body), atMs)
  expect(verified).toEqual(Result.succeed(event.headers["webhook-id"]))
})

test("one of several signatures is enough, wherever it stands", () => {
  const headers = sign(key, "id", nowMs, body)
  const other = sign(keyOf(recorded.secret)!, "id", nowMs, body)["webhook-signature"]
  const own = headers["webhook-signature"]
  for (const signatures of [`${other} ${own}`, `${own} ${other}`, `v1a,${own.slice(3)} ${own}`]) {
    expect(verify(key, { ...headers, "webhook-signature": signatures }, body, nowMs)).toEqual(Result.succeed("id"))
  }
  for (const signatures of [other, `v1a,${own.slice(3)}`, own.slice(3), `${own},${own}`, "v1,", " "]) {
    expect(reasonOf({ ...headers, "webhook-signature": signatures })).toContain("webhook-signature")
  }
})

test("another spelling of the same base64 is another signature", () => {
  const headers = sign(key, "id", nowMs, body)
  const spelling = headers["webhook-signature"].replace(
    /.=$/,
    (end) => `${String.fromCharCode(end.charCodeAt(0) + 1)}=`
  )
  const bytes = (signature: string) => Buffer.from(signature.slice(3), "base64")
  expect(bytes(spelling)).toEqual(bytes(headers["webhook-signature"]))
  expect(reasonOf({ ...headers, "webhook-signature": spelling })).toContain("webhook-signature")
})

test("a clock may be off by five minutes either way, and no more", () => {
  const wholeMs = 1_767_225_600_000
  const headers = sign(key, "id", wholeMs, body)
  for (const offMs of [-toleranceMs, 0, toleranceMs]) {
    expect(verify(key, headers, body, wholeMs + offMs)).toEqual(Result.succeed("id"))
  }
  expect(reasonOf(headers, wholeMs + toleranceMs + 1)).toBe(
    "webhook-timestamp: 300 s behind this server's clock, more than 300 s"
  )
  expect(reasonOf(headers, wholeMs - toleranceMs - 5_000)).toContain("305 s ahead of")
})

test.each(["-1767225600", "1767225600.0", "1767225600x", "0x69", "1e9", " 1767225600", "٣", "1".repeat(13)])(
  "the timestamp %o is refused in words",
  (timestamp) => {
    const headers = { ...sign(key, "id", nowMs, body), "webhook-timestamp": timestamp }
    expect(reasonOf(headers)).toBe("webhook-timestamp: expected whole seconds since 1970")
  }
)

test.each(["a b", "a\u0000", "ü", "a\n", "x".repeat(idMax + 1)])("the id %o is refused in words", (id) => {
  expect(reasonOf(sign(key, id, nowMs, body))).toContain("webhook-id: expected 1 to 256 printable ASCII")
})

test("a secret is `whsec_` and the base64 of 24 to 64 bytes", () => {
  const of = (bytes: number) => `whsec_${Buffer.alloc(bytes, 1).toString("base64")}`
  for (const bytes of [24, 32, 64]) expect(keyOf(of(bytes))?.equals(createSecretKey(Buffer.alloc(bytes, 1)))).toBe(true)
  const bad = [
    "",
    "whsec_",
    of(23),
    of(65),
    secret.slice(6),
    `${secret}\n`,
    secret.slice(0, -1),
    `whsec_${"-".repeat(43)}=`
  ]
  for (const secret of bad) expect(keyOf(secret)).toBeUndefined()
})

test("a key that is printed says nothing of its bytes", () => {
  expect(inspect(key, { depth: 9, showHidden: true })).not.toMatch(/BwcH|07 07|7, 7/)
  expect(JSON.stringify(key)).toBe("{}")
})

function reasonOf(headers: Parameters<typeof verify>[1], atMs = nowMs): string {
  const verified = verify(key, headers, body, atMs)
  return Result.isFailure(verified) ? verified.failure.reason : "verified"
}
