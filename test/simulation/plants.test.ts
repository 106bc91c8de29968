/** The checker is checked: each planted bug is found, and for what it is. */
import { expect, test } from "vitest"
import { type PlantedBug, plantedBugs } from "./plants.ts"
import { kindOf } from "./shrink.ts"
import { simulate } from "./simulate.ts"

const seedsMax = 2_000
const plants: ReadonlyArray<readonly [string, PlantedBug]> = Object.entries(plantedBugs)

test("there are at least 25 of them", () => expect(plants.length).toBeGreaterThanOrEqual(25))

test.each(plants)("found: %s", (_, plant) => {
  for (let seed = plant.from ?? 1; seed <= seedsMax; seed++) {
    const { violations } = simulate({ seed, plant })
    if (violations.some((violation) => plant.breaks.includes(kindOf(violation)))) return
  }
  expect.fail(`not found in ${seedsMax} seeds`)
})
