/**
 * How many cores a control group gives, and to whom it is said: not every runtime counts them.
 *
 * https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu, https://docs.kernel.org/scheduler/sched-bwc.html
 */
import { readFileSync } from "node:fs"
import { availableParallelism } from "node:os"

/** Undefined where there is no such file. */
export type ReadText = (path: string) => string | undefined

/** A whole number, at least 1: the processors that this process may run on, and no more than its group has time for. */
export function wholeCores(read: ReadText = readText, processors = availableParallelism()): number {
  return Math.max(1, Math.floor(Math.min(processors, cpuQuota(read) ?? processors)))
}

/** In cores, and may be a part of one; undefined without a limit. A group has what the tightest above it gives. */
export function cpuQuota(read: ReadText): number | undefined {
  const groups = read("/proc/self/cgroup") ?? ""
  const unified = /^0::(.*)$/m.exec(groups)?.[1] ?? "/"
  const own = /^\d+:(?:[^:]*,)?cpu(?:,[^:]*)?:(.*)$/m.exec(groups)?.[1] ?? "/"
  const quotas = [
    ...upwards(unified).map((at) => quotaOf(read(`/sys/fs/cgroup${at}/cpu.max`))),
    ...upwards(own).map((at) => {
      const folder = `/sys/fs/cgroup/cpu${at}`
      return quotaOf(`${read(`${folder}/cpu.cfs_quota_us`)} ${read(`${folder}/cpu.cfs_period_us`)}`)
    })
  ].filter((quota) => quota !== undefined)
  return quotas.length === 0 ? undefined : Math.min(...quotas)
}

/** `/a/b`, `/a`, and the root as the empty text. A container may see the root alone, and be told of the others. */
function upwards(group: string): ReadonlyArray<string> {
  const names = group.split("/").filter((name) => name !== "" && name !== "..")
  return Array.from({ length: names.length + 1 }, (_, up) =>
    names
      .slice(0, names.length - up)
      .map((name) => `/${name}`)
      .join("")
  )
}

/** `max`, −1 and what is not there are no limit. */
function quotaOf(text = ""): number | undefined {
  const [quota, period] = text.trim().split(/\s+/).map(Number)
  return quota !== undefined && period !== undefined && quota > 0 && period > 0 ? quota / period : undefined
}

export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return undefined
  }
}
