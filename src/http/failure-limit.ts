/** How often somebody may be wrong: so many failures an address, in a window that slides. */
import { isIPv6 } from "node:net"

export interface FailureLimits {
  readonly failuresMax: number
  readonly withinMs: number
  /** The address that failed longest ago is forgotten for another. */
  readonly addressesMax: number
}

export interface FailureLimit {
  /** How long this address must wait before it may try; 0 when it may. */
  readonly waitMs: (address: string, nowMs: number) => number
  readonly failed: (address: string, nowMs: number) => void
  readonly size: () => number
}

export function makeFailureLimit({ addressesMax, failuresMax, withinMs }: FailureLimits): FailureLimit {
  /** The times of the failures, oldest first; the address that failed last is last. */
  const failures = new Map<string, ReadonlyArray<number>>()
  // A failure of the future is one before the clock was put back: it may not lock anybody out until then.
  const counting = (key: string, nowMs: number) =>
    (failures.get(key) ?? []).filter((atMs) => atMs > nowMs - withinMs && atMs <= nowMs)
  return {
    waitMs: (address, nowMs) => {
      const recent = counting(networkOf(address), nowMs)
      const oldest = recent.at(-failuresMax)
      return oldest === undefined ? 0 : oldest + withinMs - nowMs
    },
    failed: (address, nowMs) => {
      const key = networkOf(address)
      const recent = [...counting(key, nowMs), nowMs].slice(-failuresMax)
      failures.delete(key)
      failures.set(key, recent)
      const [oldest] = failures.keys()
      if (failures.size > addressesMax && oldest !== undefined) failures.delete(oldest)
    },
    size: () => failures.size
  }
}

/** IPv4 as it is; IPv6 by its /64, which is what one customer gets at least (RFC 6177). */
export function networkOf(address: string): string {
  const [bare = ""] = address.toLowerCase().split("%")
  const mapped = /^::ffff:([0-9.]+)$/.exec(bare)?.[1]
  if (mapped !== undefined) return mapped
  if (!isIPv6(bare)) return bare
  const [head = "", tail] = bare.split("::")
  const before = head === "" ? [] : head.split(":")
  const after = tail === undefined || tail === "" ? [] : tail.split(":")
  // An IPv4 address at the end stands for two groups.
  const groups = before.length + after.length + (bare.includes(".") ? 1 : 0)
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - groups }, () => "0")
  return [...before, ...zeros, ...after]
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":")
}
