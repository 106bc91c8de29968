/** Requests to a guard, by what is good and bad about them. */
import { Redacted } from "effect"
import fc from "fast-check"
import { type GuardedRequest, makeGuard, type Verdict } from "../../src/http/guard.ts"
import { sessionValue } from "../../src/http/session-cookie.ts"

export const token = "Zq7-the-operators-token"
const options = {
  host: "parley.example",
  allowedHosts: ["chat.example", "Proxy.example:8443"],
  allowedOrigins: ["https://App.example", "http://app.example:3000"]
}
export const guardWith = (text: string | undefined) =>
  makeGuard({ ...options, token: text === undefined ? undefined : Redacted.make(text) })

export const startMs = 1_800_000_000_000
const ours = ["127.0.0.1:8080", "10.1.2.3", "[::1]:9", "[fe80::1]", "localhost", "LocalHost:1", "parley.example:80"]
export const hostOk = fc.constantFrom(...ours, "chat.example", "CHAT.example:99", "proxy.example:8443")
export const hostUnknown = fc.constantFrom(
  ...["evil.example", "proxy.example", "proxy.example:8444", "chat.example.evil.example", "127.0.0.1.evil.example"],
  ...["localhost.", "xlocalhost", "0x7f.1", "127.1", "2130706433", "app.example"]
)
export const hostBad = fc.constantFrom<ReadonlyArray<string> | undefined>(
  ...[undefined, [], [""], ["127.0.0.1", "127.0.0.1"], ["localhost", "evil.example"], ["a b"], ["me@localhost"]],
  ...[["localhost:99999"], ["localhost:"], ["[::1"], ["[1:2]"], ["127.0.0.1:80:80"], ["localhost/"], ["localhost,x"]]
)
export const configured = ["https://app.example", "https://APP.example:443", "http://app.example:3000"]
export const originOk = (host: string) =>
  fc.constantFrom<ReadonlyArray<string> | undefined>(
    ...[undefined, [`http://${host}`], [`https://${host.toUpperCase()}`]],
    ...configured.map((origin) => [origin])
  )
export const originBad = fc.constantFrom<ReadonlyArray<string>>(
  ...[["null"], [""], ["http://evil.example"], ["http://app.example"], ["https://app.example:3000"], ["app.example"]],
  ...[["http://127.0.0.1:1"], ["http://localhost:1/"], ["file://localhost"], ["https://app.example", "null"]],
  ...[["http://127.0.0.1:8080", "http://127.0.0.1:8080"], ["http://localhost.evil.example"], ["ftp://127.0.0.1:8080"]]
)
export const method = fc.constantFrom("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "PROPFIND")
export const changes = fc.constantFrom("POST", "PUT", "PATCH", "DELETE", "PROPFIND")
export const closed = fc.constantFrom(
  ...["/", "/index.html", "/v1/models", "/v1/chat/completions?x=1", "/metrics", "/ws", "/api/session", "/nothing", "*"],
  ...["/healthy", "/assetsx", "/assets", "//login", "/login/", "/LOGIN", "/%6Cogin", "/login;x", "/v1/../health/live"],
  ...["/v1/assets/a.js", "/metrics/login", "/x/api/webhook/demo", "/x/health/live", "http://["]
)
export const open = fc.constantFrom(
  ...["/login", "/login?x", "/logout", "/assets/a.js", "/api/webhook/demo", "/assets/"]
)
export const health = fc.constantFrom("/health/live", "/health/ready?x", "http://evil.example/health/live")

export type Headers = Record<string, ReadonlyArray<string>>
const cookie = (value: string): Headers => ({
  cookie: [`theme=dark; parley_session=${value}; x=parley_session`]
})
export const later = startMs + 86_400_000
export const session = (text: string, expiryMs: number) => cookie(sessionValue(text, expiryMs))
const flipped = (text: string) => text.slice(0, -2) + (text.at(-2) === "A" ? "B" : "A") + text.at(-1)
export const right: Record<string, Headers> = {
  bearer: { authorization: [`Bearer ${token}`] },
  "bearer, in lower case": { authorization: [`bearer  ${token}`] },
  session: session(token, later),
  "a session behind a forged one": { cookie: [`parley_session=1.x; parley_session=${sessionValue(token, later)}`] },
  "basic of a proxy, and a session": { authorization: ["Basic eDp5"], ...session(token, later) }
}
export const guesses: Record<string, Headers> = {
  "another bearer": { authorization: ["Bearer x"] },
  "a prefix": { authorization: [`Bearer ${token.slice(0, -1)}`] },
  "a longer one": { authorization: [`Bearer ${token}x`] },
  "two bearers": { authorization: [`Bearer ${token}`, `Bearer ${token}`] },
  "a wrong bearer and a session": { authorization: ["Bearer x"], ...session(token, later) },
  "a session of another token": session("another", later),
  "a session whose signature differs": cookie(flipped(sessionValue(token, later))),
  "a session made longer": cookie(sessionValue(token, later).replace(String(later), String(later + 1)))
}
export const nothing: Record<string, Headers> = {
  none: {},
  basic: { authorization: [`Basic ${token}`] },
  "no scheme": { authorization: [token] },
  "an expired session": session(token, startMs - 1),
  "a session without signature": cookie(String(later)),
  "a session with an empty one": cookie(`${later}.`),
  garbage: cookie("\u0000;=.."),
  "the token as cookie": cookie(token),
  "another cookie": { cookie: [`xparley_session=${sessionValue(token, later)}`] }
}
const oneOf = (kinds: Record<string, Headers>) => fc.constantFrom(...Object.values(kinds))
export const credential = oneOf({ ...right, ...guesses, ...nothing })
export const site = fc.constantFrom<Headers>({}, { "sec-fetch-site": ["same-origin"] }, { "sec-fetch-site": ["none"] })
export const accept = fc.constantFrom<Headers>({}, { accept: ["text/html,*/*"] }, { accept: ["*/*"] })

export const request = (method: string, target: string, ...headers: ReadonlyArray<Headers>): GuardedRequest => ({
  method,
  target,
  headers: Object.assign({}, ...headers),
  remoteAddress: "192.0.2.1",
  nowMs: startMs
})
export const only = (name: string, values: ReadonlyArray<string> | undefined): Headers =>
  values === undefined ? {} : { [name]: values }
export const statusOf = (verdict: Verdict) => (verdict.isAllowed ? 200 : verdict.status)
