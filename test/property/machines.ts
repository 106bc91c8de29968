/** Machines that a choice of threads is tried on: what a step costs by the number of its threads. */
import fc from "fast-check"
import * as Threads from "../../src/inference/worker/threads.ts"

/** Milliseconds of a step with so many threads. */
export type Machine = (threads: number) => number

/** Every thread is worth one. */
export const ideal =
  (ms: number): Machine =>
  (threads) =>
    ms / threads

/** The memory is as fast as it is, and each thread has to be waited for. */
export const bounded =
  (ms: number, useful: number): Machine =>
  (threads) =>
    ms / Math.min(threads, useful) + 0.002 * threads * ms

/** The second thread of a core is worth nothing, and in the way. */
export const hyperthreads =
  (ms: number, cores: number): Machine =>
  (threads) =>
    threads <= cores ? ms / threads : (1.2 * ms) / cores

/** Others have so many of the cores: one thread too many waits for a time slice, again and again. */
export const contended =
  (machine: Machine, free: number, factor: number): Machine =>
  (threads) =>
    threads <= Math.max(1, free) ? machine(threads) : factor * machine(Math.max(1, free))

export const coresMax = fc.oneof(fc.constantFrom(1, 2), fc.integer({ min: 1, max: 64 }))

export const machineOf = (cores: number): fc.Arbitrary<Machine> => {
  const ms = fc.double({ min: 0.2, max: 400, noNaN: true })
  const plain = fc.oneof(
    ms.map(ideal),
    fc.tuple(ms, fc.integer({ min: 1, max: cores })).map(([ms, useful]) => bounded(ms, useful)),
    fc.tuple(ms, fc.integer({ min: 1, max: cores })).map(([ms, half]) => hyperthreads(ms, half))
  )
  const factor = fc.double({ min: 2, max: 80, noNaN: true })
  const crowded = fc
    .tuple(plain, fc.integer({ min: 0, max: cores - 1 }), factor)
    .map(([machine, free, factor]) => contended(machine, free, factor))
  return fc.oneof(plain, crowded)
}

/** A machine without any shape. */
export const tableOf = (cores: number): fc.Arbitrary<Machine> =>
  fc
    .array(fc.double({ min: 1, max: 20, noNaN: true }), { minLength: cores, maxLength: cores, size: "max" })
    .map((costs) => (threads: number) => costs[threads - 1]!)

export interface Lived {
  readonly threads: Threads.Threads
  readonly nowMs: number
  /** Of all steps. */
  readonly spentMs: number
  /** What trials cost more than the choice would have at the time. */
  readonly lostMs: number
  readonly changes: ReadonlyArray<{ readonly nowMs: number; readonly count: number }>
  readonly counts: ReadonlySet<number>
}

/**
 * Decodes for so long, a step each `gapMs`, or as soon as it can. The machine may be another at another time.
 */
export function live(
  before: Threads.Threads,
  machineAt: (nowMs: number) => Machine,
  sinceMs: number,
  untilMs: number,
  gapMs = 100
) {
  let threads = before
  let nowMs = sinceMs
  let spentMs = 0
  let lostMs = 0
  const changes: Array<{ readonly nowMs: number; readonly count: number }> = []
  const counts = new Set<number>()
  while (nowMs < untilMs) {
    const machine = machineAt(nowMs)
    const cost = machine(Threads.countOf(threads))
    counts.add(Threads.countOf(threads))
    lostMs += Math.max(0, cost - machine(threads.count))
    spentMs += cost
    nowMs += Math.max(cost, gapMs)
    const after = Threads.heard(threads, cost, nowMs)
    if (after.count !== threads.count) changes.push({ nowMs, count: after.count })
    threads = after
  }
  return { threads, nowMs, spentMs, lostMs, changes, counts } satisfies Lived
}
