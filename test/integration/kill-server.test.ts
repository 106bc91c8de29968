/** kill -9 of the server at any moment: nothing that it accepted is lost, doubled or reordered. */
import { expect, test } from "vitest"
import { missedBy } from "./kill-columns.ts"
import { killsOf, runKills } from "./kill-run.ts"
import { killServer } from "./kill-strikes.ts"

const minute = 60_000

test("kill -9 of the server", { timeout: 4 * minute + killsOf(0) * 10_000 }, async () => {
  const kills = killsOf(10)
  const outcome = await runKills({
    title: "kill -9 of the server",
    strike: killServer,
    model: "echo",
    kills,
    events: 300 + 10 * (kills - 10)
  })
  expect(outcome.violations).toEqual([])
  expect(missedBy(outcome.autopsies)).toEqual([])
  expect(outcome.exited).toEqual({ code: 0, signal: null })
})
