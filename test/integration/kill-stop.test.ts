/** SIGTERM: the server ends within its budget, and the next one goes on where it stopped. */
import { expect, test } from "vitest"
import { missedBy } from "./kill-columns.ts"
import { killsOf, killTestMaxMs, runKills } from "./kill-run.ts"
import { stopServer } from "./kill-strikes.ts"

test("SIGTERM", { timeout: killTestMaxMs }, async () => {
  const kills = killsOf(6)
  const { autopsies, exited, violations } = await runKills({
    title: "SIGTERM",
    strike: stopServer,
    model: "echo",
    kills,
    events: 300
  })
  expect(violations).toEqual([])
  expect(missedBy(autopsies)).toEqual([])
  expect(exited).toEqual({ code: 0, signal: null })
})
