/** What processes have used, as Linux counts it (proc(5)). */
import { readdirSync, readFileSync } from "node:fs"

/** Of the clock of /proc, on every Linux there is. */
const ticksPerSecond = 100

interface Stat {
  readonly parent: number
  /** Of the process itself, user and system. */
  readonly ownMs: number
  /** Of its children that have ended. */
  readonly endedMs: number
}

function statOf(pid: number | string): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8")
    // The name, in brackets, may hold anything.
    const fields = text
      .slice(text.lastIndexOf(")") + 2)
      .split(" ")
      .map(Number)
    const ms = (ticks = 0) => (ticks * 1000) / ticksPerSecond
    return {
      parent: fields[1] ?? 0,
      ownMs: ms(fields[11]) + ms(fields[12]),
      endedMs: ms(fields[13]) + ms(fields[14])
    }
  } catch {
    return undefined // it ended
  }
}

/** User and system, of this process alone. */
export function cpuMsOf(pid: number): number {
  return statOf(pid)?.ownMs ?? Number.NaN
}

/** Of a process and all its children, those that ended as well. */
export function familyCpuMsOf(pid: number): number {
  const { endedMs = 0, ownMs = Number.NaN } = statOf(pid) ?? {}
  const children = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => statOf(name))
    .filter((stat) => stat?.parent === pid)
  return ownMs + endedMs + children.reduce((sum, stat) => sum + (stat?.ownMs ?? 0) + (stat?.endedMs ?? 0), 0)
}

/**
 * Resident memory now, in megabytes of 10⁶ bytes: all of it, and what is not pages of files, such as of node itself.
 */
export function residentMbOf(pid: number): { readonly all: number; readonly own: number } {
  const status = readFileSync(`/proc/${pid}/status`, "utf8")
  const mb = (name: string) => (Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) * 1024) / 1e6
  return { all: mb("VmRSS"), own: mb("RssAnon") }
}
