/** kill -9 of the model worker: the server lives on, and every turn is answered, once. */
import { expect, test } from "vitest"
import { missedBy } from "./kill-columns.ts"
import { killsOf, killTestMaxMs, runKills } from "./kill-run.ts"
import { killWorker } from "./kill-strikes.ts"

test("kill -9 of the model worker", { timeout: killTestMaxMs }, async () => {
  const kills = killsOf(6)
  const { autopsies, exited, violations } = await runKills({
    title: "kill -9 of the model worker",
    strike: killWorker,
    model: "built-in",
    moments: ["any-time", "acknowledged", "streaming", "replying"],
    kills,
    events: 300
  })
  expect(violations).toEqual([])
  expect(missedBy(autopsies)).toEqual([])
  expect(exited).toEqual({ code: 0, signal: null })
})
