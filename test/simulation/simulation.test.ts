/** The whole system under a seeded clock: as many seeds as fit into a test run. `npm run simulate` runs the others. */
import { expect, test } from "vitest"
import { diagramOf } from "./diagram.ts"
import { failpoints } from "./failpoints.ts"
import { regressions } from "./regressions.ts"
import { shrink } from "./shrink.ts"
import { type Outcome, simulate } from "./simulate.ts"
import { stepsOf, storyOf } from "./story.ts"
import { count, empty, summaryOf, tableOf } from "./tally.ts"

const seeds = Number(process.env["PARLEY_SEEDS"] ?? 120)

test("whatever goes wrong: nothing is lost, doubled, disordered, spliced or stuck", () => {
  const tally = empty()
  for (let seed = 1; seed <= seeds; seed++) count(tally, simulate({ seed }))
  expect(tally.failures).toEqual([])
  expect(tally.conversationsMin).toBeGreaterThanOrEqual(5)
  expect(tally.eventsMin).toBeGreaterThanOrEqual(30)
  expect(tally.firedMin).toBeGreaterThanOrEqual(3)
  const kinds = new Set(Object.keys(tally.cells).map((cell) => cell.split(" ")[1]))
  expect(kinds.size).toBeGreaterThanOrEqual(16)
})

test("the same seed is the same run, to the last step", () => {
  for (let seed = 1; seed <= 10; seed++) {
    const [first, second] = [simulate({ seed }), simulate({ seed })] as const
    expect(second.trace).toEqual(first.trace)
    expect(second.digest).toBe(first.digest)
  }
  expect(simulate({ seed: 1 }).digest).not.toBe(simulate({ seed: 2 }).digest)
})

test("without faults nothing goes wrong, and every failpoint that needs none is passed", () => {
  const passed = new Set<string>()
  for (let seed = 1; seed <= 10; seed++) {
    const outcome = simulate({ seed, plan: [] })
    expect([outcome.violations, outcome.fired]).toEqual([[], []])
    for (const point of outcome.passes.keys()) passed.add(point)
  }
  const needed = Object.entries(failpoints).filter(([point, failpoint]) => !("after" in failpoint || isRare(point)))
  expect(needed.map(([point]) => point).filter((point) => !passed.has(point))).toEqual([])
})

const isRare = (point: string) => point.startsWith("resumed.")

test.each(Object.entries(regressions))("%s", (_, given) => {
  expect(simulate(given).violations).toEqual([])
})

test("a failure is told as a story that a person can follow, in words and as a diagram", () => {
  const plant = { craft: { flushesFirst: false } }
  const failed = firstFailure(plant)
  const smallest = shrink(failed, { seed: failed.seed, plant, isTold: true }, 150)
  expect(smallest.violations.length).toBeGreaterThan(0)
  expect(smallest.plan.length).toBeLessThan(failed.fired.length)
  expect(smallest.writings.length).toBeLessThan(failed.writings.length)
  const story = storyOf(smallest)
  expect(story).toContain(smallest.violations[0])
  expect(story.split("\n").length).toBeLessThan(200)
  const svg = diagramOf(smallest.violations[0]!, stepsOf(smallest))
  expect(svg).toMatch(/^<svg xmlns[\s\S]*PostgreSQL is gone[\s\S]*<\/svg>\n$/)
  expect(svg).not.toMatch(/&(?!amp;|lt;|gt;)/)
})

function firstFailure(plant: object): Outcome {
  for (let seed = 1; ; seed++) {
    const outcome = simulate({ seed, plant })
    if (outcome.violations.length > 0) return outcome
  }
}

test("what many seeds came to stands in a table of every failpoint and fault", () => {
  const tally = empty()
  count(tally, simulate({ seed: 1 }))
  for (const point of Object.keys(failpoints)) expect(tableOf(tally)).toContain(`${point} `)
  expect(summaryOf(tally, 1_000)).toMatch(/^1 seeds in 1 s: /)
})
