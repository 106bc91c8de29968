/**
 * The cookie that stands for the token in a browser: `<expiryMs>.<base64url HMAC-SHA256>`, keyed by the token. Nothing
 * is stored, so a restart logs nobody out, and another token everybody.
 */
import { createHmac, timingSafeEqual } from "node:crypto"

export const cookieName = "parley_session"
const ageMaxMs = 30 * 86_400_000
/** Another page of this machine, on another port, can set cookies for us too. */
const cookiesMax = 4

export function sessionValue(token: string, expiryMs: number): string {
  return `${expiryMs}.${signatureOf(token, expiryMs).toString("base64url")}`
}

export type Session = "valid" | "expired" | "forged" | "garbled"

export function sessionOf(token: string, value: string, nowMs: number): Session {
  const [, expiry = "", signature = ""] = /^([1-9][0-9]{0,14})\.([A-Za-z0-9_-]{43})$/.exec(value) ?? []
  if (expiry === "") return "garbled"
  const sent = Buffer.from(signature, "base64url")
  if (!timingSafeEqual(sent, signatureOf(token, Number(expiry)))) return "forged"
  return Number(expiry) > nowMs ? "valid" : "expired"
}

function signatureOf(token: string, expiryMs: number): Buffer {
  return createHmac("sha256", token).update(`parley session\n${expiryMs}`).digest()
}

/** `Set-Cookie` of a login. `isSecure`: the browser came over https, and shall send it over nothing else. */
export function loginCookie(token: string, nowMs: number, isSecure: boolean): string {
  const value = sessionValue(token, nowMs + ageMaxMs)
  return `${cookieName}=${value}; Path=/; Max-Age=${ageMaxMs / 1000}; HttpOnly; SameSite=Strict${isSecure ? "; Secure" : ""}`
}

export const logoutCookie = `${cookieName}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict`

/** The values that a `Cookie` header has for the session. */
export function sessionsIn(headers: ReadonlyArray<string>): ReadonlyArray<string> {
  return headers
    .flatMap((header) => header.split(";"))
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${cookieName}=`))
    .map((pair) => pair.slice(cookieName.length + 1))
    .slice(0, cookiesMax)
}
