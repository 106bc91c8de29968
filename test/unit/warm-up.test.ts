/** The first steps of a model, on a clock that only its steps move. */
import fc from "fast-check"
import { expect, test } from "vitest"
import type { Model } from "../../src/inference/worker/model.ts"
import { type Load, loadOf, openTuner } from "../../src/inference/worker/tuner.ts"
import { type WarmUp, warmUp } from "../../src/inference/worker/warm-up.ts"

const contextTokens = 64

/** Objects to a position that llama.cpp would object to. */
function bench(
  costOf: (load: Load, threads: number) => number,
  sizes: { readonly coresMax: number; readonly slotsMax: number; readonly threads?: number }
) {
  let nowMs = 0
  let left = 0
  const steps: Array<{ readonly load: Load; readonly threads: number; readonly tookMs: number }> = []
  const cells = Array.from({ length: sizes.slotsMax }, () => 0)
  const tuner = openTuner(sizes, () => nowMs)
  const model: WarmUp["model"] = {
    contextTokens,
    sampler: () => {
      left++
      return { applyConfig: () => {}, dispose: () => left-- } as ReturnType<Model["sampler"]>
    },
    decode: async (rows) => {
      for (const [id, { position, tokens }] of rows.entries()) {
        expect(position).toBe(cells[id])
        cells[id] = position + tokens.length
        expect(cells[id]).toBeLessThanOrEqual(contextTokens)
      }
      const load = loadOf(rows)
      const threads = tuner.countFor(load)
      const tookMs = costOf(load, threads)
      nowMs += tookMs
      tuner.heard(load, tookMs)
      steps.push({ load, threads, tookMs })
      return rows.map(() => 0)
    },
    clear: (id) => {
      cells[id] = 0
    }
  }
  const run = (loadedMs = 0) =>
    warmUp({ model, tuner, slotsMax: sizes.slotsMax, stepTokensMax: 256, loadedMs, nowMs: () => nowMs })
  return { run, tuner, steps, cells, nowMs: () => nowMs, samplersLeft: () => left }
}

/** As measured of a model of 135 million parameters on two cores: one row has little to share out. */
const small = ({ tokens }: Load, threads: number) => (tokens === 1 ? 0.2 * threads : (0.1 * tokens) / threads)

test("one row has one thread, many rows and prompts have two; nothing is left behind", async () => {
  const { cells, run, samplersLeft, tuner } = bench(small, { coresMax: 2, slotsMax: 32 })
  expect(await run()).toBe(0.2)
  expect(tuner.choices()).toEqual([
    { kind: "decode", tokens: 1, threads: 1 },
    { kind: "decode", tokens: 4, threads: 2 },
    { kind: "decode", tokens: 32, threads: 2 },
    { kind: "prefill", tokens: 32, threads: 2 }
  ])
  expect(cells).toEqual(cells.map(() => 0))
  expect(samplersLeft()).toBe(0)
  // Of steps that were not measured the likest one tells.
  expect(tuner.countFor({ kind: "prefill", tokens: 256 })).toBe(2)
  expect(tuner.countFor({ kind: "decode", tokens: 2 })).toBe(1)
})

test("it takes 300 ms, or a tenth of what loading took, and the first step and one that surprises", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 16 }),
      fc.integer({ min: 1, max: 64 }),
      fc.double({ min: 0.01, max: 2_000, noNaN: true }),
      fc.double({ min: 0.2, max: 20, noNaN: true }),
      fc.nat({ max: 60_000 }),
      async (coresMax, slotsMax, ms, crowd, loadedMs) => {
        const cost = ({ tokens }: Load, threads: number) => ms * Math.sqrt(tokens) * (threads > 1 ? crowd : 1)
        const { nowMs, run, steps } = bench(cost, { coresMax, slotsMax })
        await run(loadedMs)
        const longestMs = Math.max(...steps.map(({ tookMs }) => tookMs))
        expect(nowMs()).toBeLessThanOrEqual(steps[0]!.tookMs + Math.max(300, loadedMs / 10) + longestMs)
        expect(steps.every(({ threads }) => threads >= 1 && threads <= coresMax)).toBe(true)
      }
    ),
    { numRuns: 50 }
  )
})

test("a large model is asked no more than whether it can decode", async () => {
  const { run, steps } = bench(() => 400, { coresMax: 8, slotsMax: 4 })
  await run(2_000)
  expect(steps).toHaveLength(1)
})

test("a number of threads that is given is not measured, and one core has nothing to measure", async () => {
  const given = bench(small, { coresMax: 4, slotsMax: 2, threads: 3 })
  await given.run()
  expect(given.steps.map(({ threads }) => threads)).toEqual([3])
  expect(given.tuner.choices().every(({ threads }) => threads === 3)).toBe(true)
  const one = bench(small, { coresMax: 1, slotsMax: 2 })
  await one.run()
  expect(one.steps).toHaveLength(1)
})

test("where one kind of step finds the cores taken, the others do not try for as long, not even later ones", () => {
  let nowMs = 0
  const tuner = openTuner({ coresMax: 2 }, () => nowMs)
  const costs = { 1: 10, 2: 800 }
  const tried: Array<number> = []
  const decode = (tokens: number, steps: number) => {
    for (let i = 0; i < steps; i++) {
      const load = { kind: "decode", tokens } as const
      const threads = tuner.countFor(load) as 1 | 2
      if (threads === 2) tried.push(tokens)
      nowMs += costs[threads]
      tuner.heard(load, costs[threads])
    }
  }
  decode(8, 3)
  decode(1, 20)
  expect(tried).toEqual([1])
  decode(8, 40)
  decode(32, 40)
  expect(tried).toEqual([1])
  nowMs += 20_000
  decode(32, 40)
  expect(tried).toEqual([1, 32])
})

test("whoever is told of the revision is told of each kind of step and of each change", () => {
  let nowMs = 0
  const tuner = openTuner({ coresMax: 2 }, () => nowMs)
  const load = { kind: "decode", tokens: 5 } as const
  const before = tuner.revision()
  expect(tuner.countFor(load)).toBe(1)
  expect(tuner.revision()).not.toBe(before)
  const known = tuner.revision()
  for (let i = 0; i < 20; i++) {
    nowMs += 10
    tuner.heard(load, tuner.countFor(load) === 2 ? 5 : 10)
  }
  expect(tuner.revision()).not.toBe(known)
  expect(tuner.choices()).toEqual([{ kind: "decode", tokens: 4, threads: 2 }])
})
