/**
 * kill -9 of PostgreSQL, whole or in part: the server lives on, and nothing that it accepted is lost, doubled or
 * reordered.
 */
import { expect, test } from "vitest"
import { missedBy } from "./kill-columns.ts"
import { killsOf, killTestMaxMs, runKills } from "./kill-run.ts"
import { killPostgres } from "./kill-strikes.ts"

test("kill -9 of postgres", { timeout: killTestMaxMs }, async () => {
  const kills = killsOf(8)
  const { autopsies, exited, violations } = await runKills({
    title: "kill -9 of postgres",
    strike: killPostgres,
    model: "echo",
    moments: ["any-time", "acknowledged", "streaming", "replying"],
    kills,
    events: 300
  })
  expect(violations).toEqual([])
  expect(missedBy(autopsies)).toEqual([])
  expect(exited).toEqual({ code: 0, signal: null })
})
