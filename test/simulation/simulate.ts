/** One seed, from its first message until nobody waits for anything, and what is to be said about it. */
import { checked } from "./checker.ts"
import { Dice } from "./dice.ts"
import type { Point } from "./failpoints.ts"
import { type PlannedFault, planOf } from "./faults.ts"
import type { Observation, Promised } from "./history.ts"
import { activeMs, type Writing, writingsOf } from "./people.ts"
import type { Craft } from "./postgres.ts"
import { attemptsMax, type Seams, turnMaxMs } from "./server.ts"
import { accountNames, type Line, slotsMax, World } from "./world.ts"

/** What a planted bug changes. */
export interface Plant {
  readonly seams?: Seams
  readonly craft?: Partial<Craft>
}

export interface SimulateOptions {
  readonly seed: number
  /** Of the faults, these alone. */
  readonly only?: ReadonlySet<string>
  readonly plant?: Plant
  /** Instead of what the seed says. */
  readonly plan?: ReadonlyArray<PlannedFault>
  readonly writings?: ReadonlyArray<Writing>
  readonly isTold?: boolean
}

export interface Outcome {
  readonly seed: number
  readonly digest: string
  readonly violations: ReadonlyArray<string>
  readonly plan: ReadonlyArray<PlannedFault>
  readonly writings: ReadonlyArray<Writing>
  readonly fired: ReadonlyArray<PlannedFault>
  readonly passes: ReadonlyMap<Point, number>
  readonly conversations: number
  readonly events: number
  readonly simulatedMs: number
  readonly observations: ReadonlyArray<Observation>
  readonly lines: ReadonlyArray<Line>
  readonly trace: ReadonlyArray<string>
}

const rightCraft: Craft = { flushesFirst: true, isAtomic: true }
/** Whoever waits so long after the last fault waits for ever. */
const quietMaxMs = 1_200_000
/** What would come too late to be right comes in this time. */
const afterMs = 45_000
const stepMs = 5_000

export function simulate({ isTold = false, only, plant = {}, seed, ...given }: SimulateOptions): Outcome {
  const dice = new Dice(`${seed} plan`)
  const writings = given.writings ?? writingsOf(new Dice(`${seed} people`), accountNames)
  const plan = given.plan ?? planOf(dice, dice.int(2, 9), only)
  const { seams = {} } = plant
  const world = new World({ seed, writings, plan, seams, craft: { ...rightCraft, ...plant.craft }, isTold })
  const lastMs = Math.max(activeMs, ...writings.map(({ atMs }) => atMs)) + 10_000
  world.run(lastMs)
  world.becomeQuiet()
  let untilMs = lastMs
  while (!world.isSettled && untilMs < lastMs + quietMaxMs) {
    untilMs += stepMs
    world.run(untilMs)
  }
  untilMs += afterMs
  world.run(untilMs)
  world.end()
  const observations = [...world.observations, world.report()]
  const promised: Promised = { attemptsMax, slotsMax, turnMaxMs }
  return {
    seed,
    digest: world.digest,
    violations: checked(observations, promised),
    plan,
    writings,
    fired: world.faults.fired,
    passes: world.faults.passes(),
    conversations: new Set(writings.map(({ account, thread }) => `${account}/${thread}`)).size,
    events: writings.length,
    simulatedMs: untilMs,
    observations,
    lines: world.lines,
    trace: world.trace
  }
}
