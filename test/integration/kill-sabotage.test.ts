/** The kill test is shown to fail: with one promise of Parley's broken, it says which one. */
import { expect, test } from "vitest"
import type { Kind } from "./kill-checker.ts"
import { type Moment, moments } from "./kill-moments.ts"
import { runKills } from "./kill-run.ts"
import { killServer } from "./kill-strikes.ts"

test.each<[sabotage: string, moments: ReadonlyArray<Moment>, kind: Kind]>([
  ["acknowledge-before-commit", ["acknowledged"], "lost"],
  ["no-dedup", ["any-time"], "doubled"],
  ["attempt-after-send", ["replying"], "unrecorded"]
])("with %s it fails", { timeout: 120_000 }, async (sabotage, when, kind) => {
  expect(moments).toEqual(expect.arrayContaining([...when]))
  const { violations } = await runKills({
    title: `kill -9 of a server with ${sabotage}`,
    strike: killServer,
    model: "echo",
    sabotage,
    moments: when,
    columns: [],
    kills: 3,
    events: 90,
    conversations: 10
  })
  expect(new Set(violations.map((violation) => violation.kind))).toContain(kind)
})
