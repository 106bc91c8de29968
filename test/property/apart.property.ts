import fc from "fast-check"
import { expect, test } from "vitest"
import * as Apart from "../../src/inference/worker/apart.ts"

type Way = ReturnType<typeof Apart.wayOf>
/** What a step of so many rows costs, in milliseconds. */
type Machine = (rows: number, way: Way) => number

const ms = fc.double({ min: 10, max: 1_000, noNaN: true })
/** One row alone, and by the number of rows what they cost together. */
const machines = fc
  .tuple(ms, fc.array(ms, { minLength: 20, maxLength: 20 }), fc.double({ min: 0.8, max: 1.2, noNaN: true }))
  .map(([single, together, beside]): Machine => {
    return (rows, way) => (rows === 1 ? single : way === "apart" ? rows * single * beside : together[rows - 1]!)
  })
const counts = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 6, size: "max" })

interface Step {
  readonly rows: number
  readonly way: Way
  readonly atMs: number
}

/** Steps of these numbers of rows in turn, for so long. */
function live(before: Apart.Apart, machine: Machine, rowsOf: ReadonlyArray<number>, fromMs: number, forMs: number) {
  const steps: Array<Step> = []
  let apart = before
  let atMs = fromMs
  while (atMs < fromMs + forMs || steps.length < 3 * rowsOf.length) {
    const rows = rowsOf[steps.length % rowsOf.length]!
    const way = Apart.wayOf(apart, rows, atMs)
    const cost = machine(rows, way)
    steps.push({ rows, way, atMs })
    atMs += cost
    apart = Apart.heard(apart, rows, way, cost, atMs)
  }
  return { steps, apart, atMs }
}

/** The way that is chosen, and not the one that is being tried. */
const chosen = (apart: Apart.Apart, rows: number) => apart.steps.get(rows)?.way ?? "together"
const otherOf = (way: Way): Way => (way === "apart" ? "together" : "apart")

test("A1: one row, and more than `apartMax`, are decoded together", () => {
  fc.assert(
    fc.property(machines, counts, (machine, rowsOf) => {
      const { steps } = live(Apart.empty, machine, [1, ...rowsOf, Apart.apartMax + 1], 0, 60_000)
      for (const { rows, way } of steps) if (rows === 1 || rows > Apart.apartMax) expect(way).toBe("together")
    }),
    { numRuns: 50 }
  )
})

test("A2: what cannot be cheaper by what a row costs is never tried, and what is in vain ever more seldom", () => {
  const inMemory: Machine = (rows, way) => (way === "apart" ? rows * 50 : 50 + rows)
  const { steps } = live(Apart.empty, inMemory, [1, 2, 4, 16], 0, 600_000)
  expect(steps.every(({ way }) => way === "together")).toBe(true)
  // A tenth is not enough to change, so it stays, and looks again.
  const alike: Machine = (rows, way) => (rows === 1 ? 10 : way === "apart" ? rows * 9.5 : rows * 10)
  const tries = live(Apart.empty, alike, [1, 4], 0, 1_000_000).steps.filter(({ way }) => way === "apart")
  expect(tries.length).toBeGreaterThan(5)
  expect(tries.length).toBeLessThan(15)
  const pauses = tries.slice(1).map(({ atMs }, i) => atMs - tries[i]!.atMs)
  for (const [i, pause] of pauses.entries()) if (i > 0) expect(pause).toBeGreaterThan(0.9 * pauses[i - 1]!)
})

test("A3: where steps cost what they cost, the other way is less than a tenth better", () => {
  fc.assert(
    fc.property(machines, counts, (machine, rowsOf) => {
      const { apart } = live(Apart.empty, machine, [1, ...rowsOf], 0, 60_000)
      for (const rows of rowsOf.filter((rows) => rows > 1 && rows <= Apart.apartMax)) {
        const way = chosen(apart, rows)
        // By reckoning, single rows cost no less than eight tenths of what they cost beside others.
        expect(machine(rows, otherOf(way))).toBeGreaterThanOrEqual(0.9 * machine(rows, way) - 1e-9)
      }
    })
  )
})

test("A4: when they come to cost something else it comes to rest again, after the longest pause at the latest", () => {
  fc.assert(
    fc.property(machines, machines, counts, (first, second, rowsOf) => {
      const rowsAll = [1, ...rowsOf]
      const before = live(Apart.empty, first, rowsAll, 0, 400_000)
      const { apart, atMs } = live(before.apart, second, rowsAll, before.atMs, Apart.pauseMaxMs + 20_000)
      expect(atMs).toBeGreaterThan(before.atMs)
      for (const rows of rowsOf.filter((rows) => rows > 1 && rows <= Apart.apartMax)) {
        const way = chosen(apart, rows)
        expect(second(rows, otherOf(way))).toBeGreaterThanOrEqual(0.9 * second(rows, way) - 1e-6)
      }
    }),
    { numRuns: 30 }
  )
})
