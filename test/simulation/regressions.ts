/** What the simulation found, under the name of the promise that was broken, with the fewest faults that show it. */
import type { PlannedFault } from "./faults.ts"

interface Found {
  readonly seed: number
  readonly plan: ReadonlyArray<PlannedFault>
}

export const regressions: Readonly<Record<string, Found>> = {
  "O1: a reply whose commit was in doubt is not overtaken by the next one": {
    seed: 2,
    plan: [
      { point: "finished.asked", fault: "connection-cut", nth: 1 },
      { point: "finished.asked", fault: "connection-cut", nth: 2 }
    ]
  },
  "P1: an attempt whose number is not on record is not shown, for the next actor gives it again": {
    seed: 3,
    plan: [
      { point: "generate.token", fault: "model-crash", nth: 5 },
      { point: "restarted.flushing", fault: "postgres-kill", nth: 1 }
    ]
  },
  "P2: a clock that is set back does not hold an armed timer": {
    seed: 4,
    plan: [{ point: "second", fault: "clock-jump", nth: 28 }]
  },
  "P2: a clock that is set back does not hold a timer that was decided on before": {
    seed: 89,
    plan: [
      { point: "message.flushing", fault: "postgres-kill", nth: 2 },
      { point: "second", fault: "clock-jump", nth: 9 }
    ]
  },
  "P2: a clock that is set back does not hold a message that is taken up again": {
    seed: 4,
    plan: [
      { point: "delivered.asked", fault: "crash", nth: 6 },
      { point: "second", fault: "clock-jump", nth: 17 }
    ]
  },
  "P2: a clock that is set back does not hold a repetition that was decided on before": {
    seed: 3,
    plan: [
      { point: "send.arrived", fault: "throttled", nth: 1 },
      { point: "undelivered.asked", fault: "stall", nth: 1 },
      { point: "second", fault: "clock-jump", nth: 6 }
    ]
  }
}
