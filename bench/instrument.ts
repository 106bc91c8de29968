/** Asks instruments.ts in another process. */
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"

export type Wanted = "watch delay" | "delay" | "live heap"

/** Of the event loop: how much later than planned a timer of 1 ms fired, and that millisecond. */
export interface Reading {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly mostMs: number
}

export const instrumentFlags = ["--import", join(import.meta.dirname, "instruments.ts")]

/** In bytes, after everything that nobody needs was collected: of objects, and of buffers beside them. */
export async function liveHeapOf(child: ChildProcess): Promise<{ readonly heap: number; readonly external: number }> {
  const answered = once(child, "message")
  child.send("live heap" satisfies Wanted)
  const [live] = await answered
  return live
}

/** While `work` goes on. The watch itself costs about 1 % of a core. */
export async function loopDelayDuring(child: ChildProcess, work: () => Promise<unknown>): Promise<Reading> {
  child.send("watch delay" satisfies Wanted)
  await work()
  const answered = once(child, "message")
  child.send("delay" satisfies Wanted)
  const [reading] = (await answered) as [Reading]
  return reading
}
