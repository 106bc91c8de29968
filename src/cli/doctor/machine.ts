/** The cores and the memory that this process has, which a control group may bound. */
import { availableParallelism, cpus, freemem, totalmem } from "node:os"
import { cpuQuota, type ReadText, readText } from "../../inference/control-group.ts"

export interface Machine {
  /** May be a part of one: a control group gives time, not cores. */
  readonly cores: number
  readonly memoryBytes: number
  /** What could be taken now, without swapping. */
  readonly freeBytes: number
  readonly isBounded: boolean
}

export const thisMachine = (): Machine =>
  boundedBy(readText, { cores: availableParallelism(), memoryBytes: totalmem(), freeBytes: freeOf(readText) })

/**
 * Control groups, version 2 and then 1. Files that the kernel could drop from its cache count as free.
 * https://docs.kernel.org/admin-guide/cgroup-v2.html
 */
export function boundedBy(read: ReadText, system: Omit<Machine, "isBounded">): Machine {
  const group = read("/proc/self/cgroup") ?? ""
  const unified = /^0::(.*)$/m.exec(group)?.[1] ?? "/"
  const own = /^\d+:[^:]*\bmemory\b[^:]*:(.*)$/m.exec(group)?.[1] ?? "/"
  const v2 = (name: string) => first(read, [`/sys/fs/cgroup${unified}/${name}`, `/sys/fs/cgroup/${name}`])
  const v1 = (controller: string, at: string, name: string) =>
    first(read, [`/sys/fs/cgroup/${controller}${at}/${name}`, `/sys/fs/cgroup/${controller}/${name}`])
  const limit = countOf(v2("memory.max") ?? v1("memory", own, "memory.limit_in_bytes"))
  const used = countOf(v2("memory.current") ?? v1("memory", own, "memory.usage_in_bytes")) ?? 0
  const stat = v2("memory.stat") ?? v1("memory", own, "memory.stat") ?? ""
  const cached = countOf(/^(?:total_)?inactive_file (\d+)$/m.exec(stat)?.[1]) ?? 0
  const quota = cpuQuota(read)
  const isMemoryBounded = limit !== undefined && limit < system.memoryBytes
  const isCpuBounded = quota !== undefined && quota < system.cores
  return {
    cores: isCpuBounded ? quota : system.cores,
    memoryBytes: isMemoryBounded ? limit : system.memoryBytes,
    freeBytes: isMemoryBounded
      ? Math.max(0, Math.min(system.freeBytes, limit - Math.max(0, used - cached)))
      : system.freeBytes,
    isBounded: isMemoryBounded || isCpuBounded
  }
}

function freeOf(read: ReadText): number {
  const kibibytes = countOf(/^MemAvailable:\s+(\d+) kB$/m.exec(read("/proc/meminfo") ?? "")?.[1])
  return kibibytes === undefined ? freemem() : kibibytes * 1024
}

/** What the processor is called; empty where the system does not say. */
export const processorName = () => cpus()[0]?.model.trim() ?? ""

/** `max` is no number. */
function countOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text.trim()) ? Number(text) : undefined
}

function first(read: ReadText, paths: ReadonlyArray<string>): string | undefined {
  for (const path of paths) {
    const text = read(path)
    if (text !== undefined) return text
  }
  return undefined
}
