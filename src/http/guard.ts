/**
 * Who may what: one verdict for each request and each upgrade, before any route sees it.
 *
 *   G1. A request that does not name exactly one well-formed host is refused with 400.
 *   G2. A host that is no IP address, `localhost` or configured name is refused with 421, whatever else is sent.
 *   G3. An origin that is neither the host's nor configured is refused with 403, whatever else is sent.
 *   G4. What changes something and comes from another site is refused with 403, unless its origin is configured.
 *   G5. With a token, what is not open is allowed only with the token as bearer, or with a session that it signed.
 *   G6. Whoever was wrong `failuresMax` times within `withinMs` is told to wait, even when the next guess is right;
 *       only a session that was believed before goes on.
 *   G7. A failure counts for its own network alone, and no more than `addressesMax` of them are remembered.
 *   G8. No refusal says a word of the token, or of what was sent in its place.
 *   G9. Health is open to everybody; without a token so is all that G1 to G4 let pass.
 *  G10. `isOperator` says of a request, on health as well, whether it would be allowed where nothing is open.
 *
 * An IP address in `Host` is safe because DNS rebinding needs a name. `X-Forwarded-*` is not read: behind a proxy all
 * clients share the proxy's failures, and sessions that were valid before go on. No CORS header is ever sent.
 */
import { createHash, timingSafeEqual } from "node:crypto"
import type { IncomingMessage } from "node:http"
import * as Redacted from "effect/Redacted"
import { type Authority, isAddress, isSameOrigin, parseAuthority, parseOrigin } from "./authority.ts"
import { makeFailureLimit } from "./failure-limit.ts"
import { loginCookie, logoutCookie, sessionOf, sessionsIn } from "./session-cookie.ts"

export interface GuardOptions {
  /** Where it listens; a name among `allowedHosts`. */
  readonly host: string
  readonly token: Redacted.Redacted | undefined
  readonly allowedHosts: ReadonlyArray<string>
  readonly allowedOrigins: ReadonlyArray<string>
}

export interface GuardedRequest {
  readonly method: string
  /** The target of the request line: a path with its query, or an absolute address. */
  readonly target: string
  /** By name in lower case, each with all its values: `headersDistinct` of node:http. */
  readonly headers: Readonly<Record<string, ReadonlyArray<string> | undefined>>
  readonly remoteAddress: string
  readonly nowMs: number
}

export type Verdict = { readonly isAllowed: true } | Refusal

export interface Refusal {
  readonly isAllowed: false
  readonly status: 303 | 400 | 401 | 403 | 421 | 429 | 431
  readonly code: string
  /** A sentence for a person. */
  readonly message: string
  readonly headers: Readonly<Record<string, string>>
}

export type Login =
  | { readonly result: "right"; readonly cookie: string }
  | { readonly result: "wrong" }
  | { readonly result: "limited"; readonly retryAfterS: number }

export interface Guard {
  readonly check: (request: GuardedRequest) => Verdict
  /** For a request that `check` allowed: what was typed into the login page. */
  readonly login: (request: GuardedRequest, typed: string) => Login
  /** Whether it has a session that is valid, on a route that is open as well. */
  readonly isLoggedIn: (request: GuardedRequest) => boolean
  /** Whether it may read what is not for everybody; a wrong token counts as everywhere. */
  readonly isOperator: (request: GuardedRequest) => boolean
  readonly hasToken: boolean
}

export const failureLimits = { failuresMax: 10, withinMs: 60_000, addressesMax: 10_000 }
const sessionsKnownMax = 10_000
const fieldsMax = 100
const openPaths = ["/login", "/logout"]
/** The page's assets are the published code; what people said comes over `/ws`. Webhooks have their signature. */
const openFolders = ["/assets/", "/api/webhook/"]

export function makeGuard(options: GuardOptions): Guard {
  const token = options.token === undefined ? undefined : Redacted.value(options.token)
  const hosts = ["localhost", options.host, ...options.allowedHosts].flatMap((text) => parseAuthority(text) ?? [])
  const origins = options.allowedOrigins.map((text) => JSON.stringify(parseOrigin(text)))
  const doors = token === undefined ? undefined : makeDoors(token)
  return {
    hasToken: token !== undefined,
    check: (request) => {
      const path = targetOf(request).path
      if (path === "/health" || path.startsWith("/health/")) return allowed
      return checkSite(request, hosts, origins) ?? doors?.check(request, path) ?? allowed
    },
    login: (request, typed) => doors?.login(request, typed) ?? { result: "wrong" },
    isLoggedIn: (request) => doors?.isLoggedIn(request) ?? true,
    isOperator: (request) => checkSite(request, hosts, origins) === undefined && (doors?.isLoggedIn(request) ?? true)
  }
}

/** Everything the guard wants to know of a request that node:http has read. */
export function guardedRequest(message: IncomingMessage, nowMs: number): GuardedRequest {
  return {
    method: message.method ?? "",
    target: message.url ?? "",
    headers: message.headersDistinct,
    remoteAddress: message.socket.remoteAddress ?? "",
    nowMs
  }
}

const allowed: Verdict = { isAllowed: true }

/** The authority of an absolute target is the host, whatever `Host` says (RFC 9112 §3.2.2). */
function targetOf({ target }: GuardedRequest): { readonly path: string; readonly host: string | undefined } {
  const url = /^https?:\/\//i.test(target) && URL.canParse(target) ? new URL(target) : undefined
  const [path = ""] = (url?.pathname ?? target).split("?")
  return { path, host: url?.host }
}

/** G1 to G4. */
function checkSite(
  request: GuardedRequest,
  hosts: ReadonlyArray<Authority>,
  origins: ReadonlyArray<string>
): Refusal | undefined {
  const { headers, method } = request
  const fields = Object.values(headers).reduce((sum, values) => sum + (values?.length ?? 0), 0)
  if (fields > fieldsMax) return refusal(431, "too_many_headers", `More than ${fieldsMax} header fields.`)
  const named = headers["host"] ?? []
  const host = named.length > 1 ? undefined : parseAuthority(targetOf(request).host ?? named[0] ?? "")
  if (host === undefined) return refusal(400, "bad_host", "The request must name one host, in its header `Host`.")
  const isOurs = ({ name, port }: Authority) => name === host.name && (port === undefined || port === host.port)
  if (!isAddress(host.name) && !hosts.some(isOurs)) return unknownHost(host.name)
  const sent = headers["origin"] ?? []
  const origin = sent.length === 1 ? parseOrigin(sent[0] ?? "") : undefined
  const isConfigured = origin !== undefined && origins.includes(JSON.stringify(origin))
  if (sent.length > 0 && !isConfigured && !(origin !== undefined && isSameOrigin(origin, host))) return otherOrigin
  const isChange = !["GET", "HEAD", "OPTIONS"].includes(method)
  if (isChange && !isConfigured && headers["sec-fetch-site"]?.includes("cross-site")) return otherOrigin
  return undefined
}

function unknownHost(name: string): Refusal {
  const mend = `If it is yours, add it to parley.yaml: allowedHosts: ["${name}"]`
  return refusal(421, "unknown_host", `This server does not answer to the name ${name}. ${mend}`)
}

const otherOrigin = refusal(
  403,
  "other_origin",
  "A page of another origin asked for this. If it is yours, add its origin to parley.yaml: allowedOrigins"
)

/** G5 to G8: the doors that the token opens. */
function makeDoors(token: string) {
  const limit = makeFailureLimit(failureLimits)
  // While a network must wait, a session is only believed if it was before: whoever can guess a token can sign one.
  const known = new Set<string>()
  const right = digest(token)
  const isToken = (sent: string) => timingSafeEqual(digest(sent), right)
  const remember = (session: string) => {
    known.add(digest(session).toString("hex"))
    const [oldest] = known
    if (known.size > sessionsKnownMax && oldest !== undefined) known.delete(oldest)
  }
  const identify = (request: GuardedRequest): "right" | "wrong" | "nothing" | "limited" => {
    const { headers, nowMs, remoteAddress } = request
    const failed = () => limit.failed(remoteAddress, nowMs)
    const isLimited = limit.waitMs(remoteAddress, nowMs) > 0
    const bearers = bearersIn(headers["authorization"] ?? [])
    if (bearers.length > 0) {
      if (isLimited) return "limited"
      if (bearers.length === 1 && bearers.every(isToken)) return "right"
      failed()
      return "wrong"
    }
    const sessions = sessionsIn(headers["cookie"] ?? []).map((value) => ({ value, is: sessionOf(token, value, nowMs) }))
    const valid = sessions.find(({ is }) => is === "valid")?.value
    if (isLimited && sessions.some(({ is }) => is === "valid" || is === "forged")) {
      return valid !== undefined && known.has(digest(valid).toString("hex")) ? "right" : "limited"
    }
    if (valid !== undefined) {
      remember(valid)
      return "right"
    }
    for (const { is } of sessions) if (is === "forged") failed()
    return sessions.length === 0 ? "nothing" : "wrong"
  }
  const retryAfterS = ({ nowMs, remoteAddress }: GuardedRequest) => Math.ceil(limit.waitMs(remoteAddress, nowMs) / 1000)
  return {
    check: (request: GuardedRequest, path: string): Refusal | undefined => {
      if (openPaths.includes(path) || openFolders.some((folder) => path.startsWith(folder))) return undefined
      const found = identify(request)
      if (found === "right") return undefined
      return found === "limited" ? tooMany(retryAfterS(request)) : unauthorized(request, path, found === "wrong")
    },
    login: (request: GuardedRequest, typed: string): Login => {
      const { headers, nowMs, remoteAddress } = request
      if (limit.waitMs(remoteAddress, nowMs) > 0) return { result: "limited", retryAfterS: retryAfterS(request) }
      if (!isToken(typed)) {
        limit.failed(remoteAddress, nowMs)
        return { result: "wrong" }
      }
      // A browser says with every form where it comes from: no proxy needs to be believed for that.
      const isSecure = headers["origin"]?.[0]?.toLowerCase().startsWith("https:") === true
      return { result: "right", cookie: loginCookie(token, nowMs, isSecure) }
    },
    isLoggedIn: (request: GuardedRequest) => identify(request) === "right"
  }
}

function bearersIn(headers: ReadonlyArray<string>): ReadonlyArray<string> {
  return headers.flatMap((header) => /^bearer +(.+)$/i.exec(header)?.[1] ?? [])
}

/** Of one length, whatever was sent, so that a comparison takes the same time. */
function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest()
}

/** A session that is no good is taken away, so that it does not go on counting as a failure. */
function unauthorized({ headers, method }: GuardedRequest, path: string, isWrong: boolean): Refusal {
  const mended: Record<string, string> =
    isWrong && sessionsIn(headers["cookie"] ?? []).length > 0 ? { "set-cookie": logoutCookie } : {}
  const isNavigation = method === "GET" && headers["accept"]?.some((accept) => accept.includes("text/html")) === true
  if (isNavigation && (path === "/" || path === "/index.html")) {
    return refusal(303, "login", "Log in first.", { location: "/login", ...mended })
  }
  return refusal(401, "unauthorized", "Send `Authorization: Bearer` with PARLEY_TOKEN, or log in at /login.", {
    "www-authenticate": "Bearer",
    ...mended
  })
}

function tooMany(retryAfterS: number): Refusal {
  return refusal(429, "too_many_failures", `Too many wrong tokens came from there. Wait ${retryAfterS} s.`, {
    "retry-after": String(retryAfterS)
  })
}

function refusal(
  status: Refusal["status"],
  code: string,
  message: string,
  headers: Readonly<Record<string, string>> = {}
): Refusal {
  return { isAllowed: false, status, code, message, headers }
}
