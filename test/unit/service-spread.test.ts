/** How far apart those are who wait, as `/metrics` has it: of each class apart, in weighted tokens. */
import { expect, test } from "vitest"
import { spreadOf } from "../../src/inference/lane.ts"
import * as Schedule from "../../src/inference/schedule.ts"

const limits = { slotsMax: 1, cacheTokensMax: 1_000, queueMax: 10, queueTokensMax: 10_000, agedAfterMs: 60_000 }

test("the spread is between the most and the least served of those who wait, whoever else was served", () => {
  const schedule = Schedule.empty(limits)
  const ask = (user: string, promptTokens = 10, priority: Schedule.Class = "interactive") => {
    const ticket = Schedule.admit(schedule, { user, class: priority, promptTokens, answerTokensMax: 20 }, 0)
    if (typeof ticket === "string") throw new Error(ticket)
    return ticket
  }
  const spread = () => [spreadOf(schedule.lanes.interactive), spreadOf(schedule.lanes.background)]
  expect(spread()).toEqual([0, 0])
  const first = ask("ann")
  const later = ask("ann")
  ask("bob")
  expect(spread()).toEqual([0, 0])
  Schedule.fill(schedule, 0)
  expect(spread()).toEqual([10, 0])
  Schedule.progress(first, 5)
  expect(spread()).toEqual([20, 0])
  ask("eve", 7, "background")
  ask("flo", 7, "background")
  expect(spread()).toEqual([20, 0])
  Schedule.release(schedule, later, "cancelled")
  expect(spread()).toEqual([0, 0])
})
