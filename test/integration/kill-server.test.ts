/** kill -9 of the server at any moment: nothing that it accepted is lost, doubled or reordered. */
import { expect, test } from "vitest"
import { missedBy } from "./kill-columns.ts"
import { killsOf, killTestMaxMs, runKills } from "./kill-run.ts"
import { killServer } from "./kill-strikes.ts"

test("kill -9 of the server", { timeout: killTestMaxMs }, async () => {
  const kills = killsOf(8)
  const { autopsies, exited, violations } = await runKills({
    title: "kill -9 of the server",
    strike: killServer,
    model: "echo",
    kills,
    events: 300
  })
  expect(violations).toEqual([])
  expect(missedBy(autopsies)).toEqual([])
  expect(exited).toEqual({ code: 0, signal: null })
})

test("kill -9 of the server while its own worker answers", { timeout: killTestMaxMs }, async () => {
  const kills = killsOf(5)
  const { autopsies, exited, violations } = await runKills({
    title: "kill -9 of the server, with the built-in model",
    strike: killServer,
    model: "built-in",
    kills,
    events: 150
  })
  expect(violations).toEqual([])
  expect(missedBy(autopsies)).toEqual([])
  expect(exited).toEqual({ code: 0, signal: null })
})
