/** Tells a process from a later one that was given the same pid. */
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs"

export interface ProcessIdentity {
  readonly pid: number
  /** Boot and start time of the process; empty where the system has no /proc, and then the pid alone counts. */
  readonly started: string
}

/** Who has this pid; undefined when nobody has it, or only a zombie that nobody has reaped. */
export function identify(pid: number): ProcessIdentity | undefined {
  try {
    process.kill(pid, 0)
  } catch (error) {
    // EPERM: it is there and belongs to another user.
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return undefined
  }
  return fromProc(pid)
}

/** Whether this very process still runs. */
export function isRunning({ pid, started }: ProcessIdentity): boolean {
  return identify(pid)?.started === started
}

/** Who works in the directory or below it. Empty where the system has no /proc, and for what belongs to others. */
export function processesIn(dir: string): ReadonlyArray<number> {
  const names = existsSync("/proc/self/cwd") ? readdirSync("/proc").filter((name) => /^\d+$/.test(name)) : []
  return names.map(Number).filter((pid) => {
    const cwd = workingDirectory(pid)
    return cwd === dir || cwd?.startsWith(dir + "/")
  })
}

/** Undefined where the system does not tell. */
export function workingDirectory(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch {
    return undefined
  }
}

/** It may be gone already. */
export function kill(pid: number, signal: NodeJS.Signals = "SIGKILL"): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It is.
  }
}

function fromProc(pid: number): ProcessIdentity | undefined {
  const boot = read("/proc/sys/kernel/random/boot_id")
  const stat = read(`/proc/${pid}/stat`)
  if (stat === undefined) return read("/proc/self/stat") === undefined ? { pid, started: "" } : undefined
  // proc_pid_stat(5): the name, in parentheses, may hold anything; then come the state (field 3) and the start (22).
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return fields[0] === "Z" ? undefined : { pid, started: `${boot?.trim()} ${fields[19]}` }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return undefined
  }
}
