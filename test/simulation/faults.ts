/** Which step meets which fault: planned by a seed, each at the nth time that its failpoint is passed. */
import type { Dice } from "./dice.ts"
import { type Failpoint, type Fault, failpoints, type Point } from "./failpoints.ts"

export interface PlannedFault {
  readonly point: Point
  readonly fault: Fault
  /** 1 is the first time that the point is passed. */
  readonly nth: number
}

interface Cell extends Failpoint {
  readonly point: Point
  readonly fault: Fault
}

const cells: ReadonlyArray<Cell> = Object.entries(failpoints).flatMap(([point, failpoint]) =>
  failpoint.faults.map((fault) => ({ ...(failpoint as Failpoint), point: point as Point, fault }))
)

/** So many are planned where every run passes, and passes early. */
const sureCount = 4
const oftenPassed = 20

/** Of all cells of failpoint × fault, those of `only` where it is given. */
export function planOf(dice: Dice, count: number, only?: ReadonlySet<string>): ReadonlyArray<PlannedFault> {
  const meant = cells.filter(({ fault }) => only?.has(fault) ?? true)
  if (meant.length === 0) return []
  const frequent = meant.filter(({ passes }) => passes >= oftenPassed)
  const sure = Array.from({ length: frequent.length > 0 ? sureCount : 0 }, () => {
    const { fault, passes, point } = dice.pick(frequent)
    return { point, fault, nth: dice.int(1, passes >> 2) }
  })
  const others = Array.from({ length: count }, () => dice.pick(meant)).flatMap(({ after, fault, passes, point }) => {
    const one = { point, fault, nth: nthOf(dice, passes) }
    if (after === undefined) return [one]
    const [from, leading] = after as readonly [Point, Fault]
    const leads = [1, 2].map(() => ({ point: from, fault: leading, nth: nthOf(dice, failpoints[from].passes) }))
    return [...leads, one]
  })
  return [...sure, ...others]
}

/** More often early than late, so that most of them are met. */
function nthOf(dice: Dice, passes: number): number {
  return 1 + Math.floor(dice.next() * dice.next() * passes)
}

export class Faults {
  readonly #planned: ReadonlyMap<string, Fault>
  readonly #passed = new Map<Point, number>()
  readonly #tell: (fault: PlannedFault) => void
  readonly fired: Array<PlannedFault> = []
  #isOver = false

  constructor(plan: ReadonlyArray<PlannedFault>, tell: (fault: PlannedFault) => void) {
    this.#planned = new Map(plan.map(({ fault, nth, point }) => [`${point} ${nth}`, fault]))
    this.#tell = tell
  }

  /** What meets whoever passes now. */
  pass(point: Point): Fault | undefined {
    if (this.#isOver) return undefined
    const nth = (this.#passed.get(point) ?? 0) + 1
    this.#passed.set(point, nth)
    const fault = this.#planned.get(`${point} ${nth}`)
    if (fault === undefined) return undefined
    const met = { point, fault, nth }
    this.fired.push(met)
    this.#tell(met)
    return fault
  }

  passes(): ReadonlyMap<Point, number> {
    return this.#passed
  }

  /** From here on nothing goes wrong. */
  end(): void {
    this.#isOver = true
  }
}
