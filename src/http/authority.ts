/** What `Host` and `Origin` name: RFC 9110 §7.2 and RFC 6454 §7, read strictly. */
import { isIPv4, isIPv6 } from "node:net"

export interface Authority {
  /** In lower case; an IPv6 address keeps its brackets. */
  readonly name: string
  readonly port: number | undefined
}

const authority = /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(?::([0-9]{1,5}))?$/

export function parseAuthority(text: string): Authority | undefined {
  const [, name, port] = authority.exec(text.toLowerCase()) ?? []
  if (name === undefined || (name.startsWith("[") && !isAddress(name))) return undefined
  if (port !== undefined && Number(port) > 65_535) return undefined
  return { name, port: port === undefined ? undefined : Number(port) }
}

/** An address cannot be pointed elsewhere, as a name can by whoever owns its DNS. */
export function isAddress(name: string): boolean {
  return name.startsWith("[") ? isIPv6(name.slice(1, -1)) : isIPv4(name)
}

export interface Origin extends Authority {
  readonly scheme: "http" | "https"
  readonly port: number
}

/** Undefined for `null`, other schemes, and anything that no browser sends. */
export function parseOrigin(text: string): Origin | undefined {
  const [, scheme, rest] = /^(https?):\/\/(.*)$/s.exec(text.toLowerCase()) ?? []
  const found = rest === undefined ? undefined : parseAuthority(rest)
  if (found === undefined || (scheme !== "http" && scheme !== "https")) return undefined
  return { name: found.name, scheme, port: portOf(found, scheme) }
}

/** A `Host` has no scheme: the origin's decides what a missing port means. */
export function isSameOrigin(origin: Origin, host: Authority): boolean {
  return origin.name === host.name && origin.port === portOf(host, origin.scheme)
}

function portOf({ port }: Authority, scheme: "http" | "https"): number {
  return port ?? (scheme === "https" ? 443 : 80)
}
