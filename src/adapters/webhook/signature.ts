/** Signs and verifies requests as Standard Webhooks 1.0.0 says: `v1`, HMAC-SHA256 over `id.timestamp.body`. */
import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from "node:crypto"
import * as Data from "effect/Data"
import * as Result from "effect/Result"

/** How far the sender's clock may be off, and for how long a recorded request can be replayed. */
export const toleranceMs = 300_000
export const idMax = 256
const keyBytes = { min: 24, max: 64 }

/** Signed headers; the timestamp is in seconds since 1970. */
export type Signed = Readonly<Record<"webhook-id" | "webhook-timestamp" | "webhook-signature", string>>

/** Says in words what is wrong with the headers; never what the right signature would be. */
export class Unverified extends Data.TaggedError("Unverified")<{ readonly reason: string }> {}

/** The key in a secret of the form `whsec_` + base64 of 24 to 64 bytes; undefined for any other text. */
export function keyOf(secret: string): KeyObject | undefined {
  const [, base64 = ""] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret) ?? []
  const bytes = Buffer.from(base64, "base64")
  const isWhole = bytes.toString("base64") === base64
  return isWhole && bytes.length >= keyBytes.min && bytes.length <= keyBytes.max ? createSecretKey(bytes) : undefined
}

export function sign(key: KeyObject, id: string, nowMs: number, body: Uint8Array | string): Signed {
  const timestamp = String(Math.floor(nowMs / 1000))
  return {
    "webhook-id": id,
    "webhook-timestamp": timestamp,
    "webhook-signature": `v1,${macOf(key, id, timestamp, body)}`
  }
}

/** The `webhook-id` of a request that was signed with this key, at most `toleranceMs` before or after `nowMs`. */
export function verify(
  key: KeyObject,
  headers: Readonly<Record<string, string | undefined>>,
  body: Uint8Array,
  nowMs: number
): Result.Result<string, Unverified> {
  const { "webhook-id": id, "webhook-signature": signatures, "webhook-timestamp": timestamp } = headers
  if (!id || !timestamp || !signatures) {
    const missing = ["webhook-id", "webhook-timestamp", "webhook-signature"].filter((name) => !headers[name])
    return unverified(`the header ${missing.join(", ")} is missing`)
  }
  if (!isId(id)) return unverified(`webhook-id: expected 1 to ${idMax} printable ASCII characters without spaces`)
  if (!/^\d{1,12}$/.test(timestamp)) return unverified("webhook-timestamp: expected whole seconds since 1970")
  const aheadMs = Number(timestamp) * 1000 - nowMs
  if (Math.abs(aheadMs) > toleranceMs) {
    const where = aheadMs > 0 ? "ahead of" : "behind"
    const off = Math.round(Math.abs(aheadMs) / 1000)
    return unverified(`webhook-timestamp: ${off} s ${where} this server's clock, more than ${toleranceMs / 1000} s`)
  }
  const expected = Buffer.from(`v1,${macOf(key, id, timestamp, body)}`)
  const isSigned = signatures.split(" ").some((signature) => isSame(expected, Buffer.from(signature)))
  return isSigned ? Result.succeed(id) : unverified("webhook-signature: no signature fits this body, id and secret")
}

/**
 * A full stop in an id is let through though the scheme delimits with it: a boundary moved to a later one would need a
 * body whose rest, from within a JSON string, is a JSON object again, and there every quote is escaped.
 */
function isId(id: string): boolean {
  return id.length <= idMax && /^[\x21-\x7e]+$/.test(id)
}

function macOf(key: KeyObject, id: string, timestamp: string, body: Uint8Array | string): string {
  return createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest("base64")
}

/** As text: base64 has spellings that differ in unused bits, and only one of them was sent. */
function isSame(expected: Buffer, given: Buffer): boolean {
  return given.length === expected.length && timingSafeEqual(given, expected)
}

function unverified(reason: string): Result.Result<never, Unverified> {
  return Result.fail(new Unverified({ reason }))
}
