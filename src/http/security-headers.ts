/**
 * What every answer says to a browser, whichever route it is of. `Strict-Transport-Security` is the proxy's to say: it
 * alone knows whether all of its names have a certificate.
 */
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import { setHeaders } from "effect/http/HttpServerResponse"

const everywhere = {
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
}

const pagePolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: https: http:",
  "connect-src 'self'",
  "font-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'"
].join("; ")

const ofPages = {
  "content-security-policy": pagePolicy,
  // `no-referrer` would make the browser send `Origin: null` with the forms of these pages.
  "referrer-policy": "same-origin",
  "cache-control": "no-store"
}

const ofOthers = {
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "cache-control": "no-store"
}

/** Of an answer that no route gives. */
export const headersOfRefusals: Readonly<Record<string, string>> = { ...everywhere, ...ofOthers }

/**
 * A header that the route set itself stays. Those of a 304 replace the ones that the browser has kept (RFC 9111,
 * 4.3.4): it says nothing of what it does not bring.
 */
export function hardened(response: HttpServerResponse.HttpServerResponse): HttpServerResponse.HttpServerResponse {
  if (response.status === 304) return response
  const type = response.headers["content-type"] ?? ""
  const own = type.startsWith("text/html") ? ofPages : ofOthers
  return setHeaders(response, { ...everywhere, ...own, ...response.headers })
}
