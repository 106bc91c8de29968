import fc from "fast-check"
import { expect, test } from "vitest"
import * as Threads from "../../src/inference/worker/threads.ts"
import {
  bounded,
  contended,
  coresMax,
  hyperthreads,
  ideal,
  live,
  type Machine,
  machineOf,
  tableOf
} from "./machines.ts"

const minuteMs = 60_000
const hourMs = 60 * minuteMs

interface Setting {
  readonly cores: number
  readonly start: number
  readonly machines: ReadonlyArray<Machine>
}

/** Machines that follow each other, each for as long as the other. */
const settings = (machine: (cores: number) => fc.Arbitrary<Machine>, most: number) =>
  coresMax.chain((cores) =>
    fc.record<Setting>({
      cores: fc.constant(cores),
      start: fc.integer({ min: 1, max: cores }),
      machines: fc.array(machine(cores), { minLength: 1, maxLength: most, size: "max" })
    })
  )
const anyMachine = (cores: number) => fc.oneof(machineOf(cores), tableOf(cores))

const turns = (machines: ReadonlyArray<Machine>, eachMs: number) => (nowMs: number) =>
  machines[Math.floor(nowMs / eachMs) % machines.length]!

const wander = fc.tuple(settings(anyMachine, 5), fc.integer({ min: 50, max: 10 * minuteMs }))

test("H1: a step has at least one thread, and at most `coresMax`", () => {
  fc.assert(
    fc.property(wander, ([{ cores, machines, start }, eachMs]) => {
      const { counts } = live(Threads.begin(cores, start), turns(machines, eachMs), 0, 5 * minuteMs)
      expect(Math.min(...counts)).toBeGreaterThanOrEqual(1)
      expect(Math.max(...counts)).toBeLessThanOrEqual(cores)
    }),
    { numRuns: 40 }
  )
  for (const count of [-1, 0, 9]) expect(Threads.begin(4, count).count).toBe(Math.min(4, Math.max(1, count)))
  expect(Threads.begin(0, 0)).toMatchObject({ coresMax: 1, count: 1 })
})

/** What is chosen becomes bad, and what is next to it good: whoever follows changes at once, and for ever. */
function harassed(cores: number, start: number, hours: number) {
  let threads = Threads.begin(cores, start)
  const changes: Array<number> = []
  for (let nowMs = 0; nowMs < hours * hourMs; nowMs += 100) {
    const isTrial = threads.trial !== undefined
    const after = Threads.heard(threads, isTrial ? 1 : 10 + (threads.recent.length > 2 ? 1000 : 0), nowMs)
    if (after.count !== threads.count) changes.push(nowMs)
    threads = after
  }
  return changes
}

test("H2: in an hour the choice changes at most twice for each of `upsMax`, and once for each rung of the ladder", () => {
  const most = (cores: number) => 2 * Threads.upsMax + Threads.ladder(cores).length - 1
  const inAnHour = (changes: ReadonlyArray<number>) =>
    Math.max(0, ...changes.map((at) => changes.filter((other) => other >= at && other - at < hourMs).length))
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 64 }), (cores, start) => {
      expect(inAnHour(harassed(cores, start, 2))).toBeLessThanOrEqual(most(cores))
    }),
    { numRuns: 6 }
  )
  expect(inAnHour(harassed(2, 1, 3))).toBeGreaterThan(Threads.upsMax)
})

test("H3: what trials cost beyond what their steps would have is at most a tenth of all, and one trial each way", () => {
  fc.assert(
    fc.property(settings(anyMachine, 1), ({ cores, machines: [machine], start }) => {
      const { lostMs, spentMs } = live(Threads.begin(cores, start), () => machine!, 0, hourMs, 2_000)
      const dearest = Math.max(...Threads.ladder(cores).map(machine!), machine!(start))
      expect(lostMs).toBeLessThanOrEqual(spentMs / 10 + 8 * dearest)
    }),
    { numRuns: 40 }
  )
})

/** A few refusals, and the pauses after them, and until dear ones are made up for. */
const restMs = 20 * minuteMs

function expectRest(threads: Threads.Threads, machine: Machine): void {
  const rungs = Threads.ladder(threads.coresMax)
  const up = rungs.find((rung) => rung > threads.count)
  const down = rungs.findLast((rung) => rung < threads.count)
  const cost = machine(threads.count)
  if (up !== undefined) expect(machine(up)).toBeGreaterThan(0.9 * cost * (1 - 1e-9))
  if (down !== undefined) expect(machine(down)).toBeGreaterThan(cost * (1 - 1e-9))
}

test("H4: the choice comes to rest, where the next rung up is no tenth better, and the next one down is worse", () => {
  fc.assert(
    fc.property(settings(anyMachine, 1), ({ cores, machines: [machine], start }) => {
      const first = live(Threads.begin(cores, start), () => machine!, 0, restMs)
      const second = live(first.threads, () => machine!, first.nowMs, first.nowMs + restMs)
      expect(second.changes).toEqual([])
      expectRest(second.threads, machine!)
    }),
    { numRuns: 40 }
  )
})

test("H5: when steps come to cost something else, it comes to rest again", () => {
  fc.assert(
    fc.property(settings(anyMachine, 4), ({ cores, machines, start }) => {
      let threads = Threads.begin(cores, start)
      let nowMs = 0
      for (const machine of machines) {
        const lived = live(threads, () => machine, nowMs, nowMs + 2 * restMs)
        expectRest(lived.threads, machine)
        ;({ nowMs, threads } = lived)
      }
    }),
    { numRuns: 15 }
  )
})

test.each<[string, number, number, Machine, number]>([
  ["an ideal machine", 8, 1, ideal(10), 8],
  ["one core", 1, 1, ideal(10), 1],
  ["hyperthreads", 16, 15, hyperthreads(10, 8), 8],
  ["memory that three threads fill", 8, 7, bounded(10, 3), 3],
  ["two cores, one of them taken", 2, 2, contended(ideal(0.4), 1, 80), 1],
  ["eight cores, three of them taken", 8, 7, contended(ideal(40), 5, 7), 4]
])("%s is found out, and costs a quarter more than knowing it at most", (_, cores, start, machine, best) => {
  const lived = live(Threads.begin(cores, start), () => machine, 0, 10 * minuteMs)
  expect(lived.threads.count).toBe(best)
  const steps = (10 * minuteMs) / 100
  expect(lived.spentMs).toBeLessThan(1.25 * steps * machine(best))
  expect(lived.changes.length).toBeLessThan(Threads.ladder(cores).length)
})

test("a neighbour that starts is made room for within a few steps, and its end is seen within some minutes", () => {
  const alone = ideal(10)
  const crowded = contended(alone, 1, 40)
  const quiet = live(Threads.begin(2, 1), () => alone, 0, 10 * minuteMs)
  expect(quiet.threads.count).toBe(2)
  const busy = live(quiet.threads, () => crowded, quiet.nowMs, quiet.nowMs + 10 * minuteMs)
  expect(busy.changes.at(0)).toMatchObject({ count: 1 })
  expect(busy.changes.at(0)!.nowMs - quiet.nowMs).toBeLessThanOrEqual(2 * crowded(2) + 4 * crowded(2) + 4 * crowded(1))
  expect(busy.threads.count).toBe(1)
  const after = live(busy.threads, () => alone, busy.nowMs, busy.nowMs + 5 * minuteMs)
  expect(after.changes).toMatchObject([{ count: 2 }])
})

test("steps that are slow once in a while change nothing", () => {
  let step = 0
  const hiccup: Machine = (threads) => ideal(10)(threads) * (step++ % 20 === 19 ? 5 : 1)
  const lived = live(Threads.begin(4, 4), () => hiccup, 0, 20 * minuteMs)
  expect(lived.threads.count).toBe(4)
  expect(lived.changes).toEqual([])
})
