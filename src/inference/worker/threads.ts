/**
 * How many threads decode one kind of step, learnt from how long its steps take.
 *
 *                    a neighbour may be tried
 *      steady ───────────────────────────────────→ trying ──→ steady, with the better of the two
 *        │ ↑                                          │
 *        └─┘ a step                                   └→ steady as before, as soon as it cannot win any more
 *
 *   H1. A step has at least one thread, and at most `coresMax`.
 *   H2. In an hour the choice changes at most twice for each of `upsMax`, and once for each rung of the ladder.
 *   H3. What trials cost beyond what their steps would have cost is at most a tenth of all, and one trial each way.
 *   H4. Where steps cost what they cost, the choice comes to rest, and then the next rung up is less than a tenth
 *       better, and the next one down is worse.
 *   H5. When they come to cost something else, it comes to rest again.
 *
 * ggml's threads spin at a barrier after each operation: one that loses its core to somebody else stalls all of them
 * for a time slice. So one thread too many costs a factor of seven, or eighty (measured: 0.2 and 15 ms), one too few
 * at most two, and a mean tells more than a median: such steps are fast, or a hundred times slower. A higher count has
 * to win clearly, and a lower one only to be as good.
 *
 * Who is contended sees it at once (`alarm`). Who is no longer contended sees nothing, and so has to try: after pauses
 * that become longer each time that it was in vain.
 */
export interface Threads {
  readonly coresMax: number
  readonly count: number
  readonly trial: Trial | undefined
  /** What the latest steps with `count` cost. */
  readonly recent: ReadonlyArray<number>
  /** What they cost when all was well. */
  readonly usual: number
  /** Of this kind, so far. */
  readonly steps: number
  readonly up: Direction
  readonly down: Direction
  /** When the choice went up, in the last hour. */
  readonly ups: ReadonlyArray<number>
}

interface Trial {
  readonly way: "up" | "down"
  readonly count: number
  readonly steps: number
  readonly cost: number
  /** What one of its steps would have cost. */
  readonly expected: number
}

interface Direction {
  /** Not tried before. */
  readonly dueMs: number
  readonly pauseMs: number
  /** What its trials cost more than their steps would have, in steps: costs of another time are another measure. */
  readonly lost: number
}

export const upsMax = 12
const hourMs = 3_600_000
const trialSteps = 4
const recentMax = 32
/** What a higher count may cost, and a lower one, of what is usual. */
const bearable = { up: 0.9, down: 1 }
/** Rows of one kind differ by less than two, and so does what they cost. */
const alarmFactor = 2
/** Of all steps, what trials may have lost before the next one of their direction. */
const lossMax = { up: 0.02, down: 0.08 }
const pauseMinMs = 10_000
const pauseMaxMs = 160_000
/** A higher count that was good for so long was no mistake. */
const provenMs = 600_000

export function begin(coresMax: number, count: number): Threads {
  const way = { dueMs: Number.NEGATIVE_INFINITY, pauseMs: pauseMinMs, lost: 0 }
  const chosen = Math.min(Math.max(1, count), Math.max(1, coresMax))
  const learnt = { recent: [], usual: Number.POSITIVE_INFINITY, steps: 0, ups: [] }
  return { coresMax: Math.max(1, coresMax), count: chosen, trial: undefined, ...learnt, up: way, down: way }
}

/** Of the next step. */
export const countOf = ({ count, trial }: Threads): number => trial?.count ?? count

/** Whether both neighbours are known to be no better. */
export const isSettled = (threads: Threads, nowMs: number): boolean =>
  threads.trial === undefined && ways.every((way) => !isDue(threads, way, nowMs))

/**
 * A step with `countOf` threads is over.
 *
 * @param cost in units that are the same for all steps of this kind: milliseconds, or milliseconds a token
 * @param nowMs of a clock that does not go back
 */
export function heard(threads: Threads, cost: number, nowMs: number): Threads {
  const after = { ...threads, steps: threads.steps + 1 }
  return after.trial === undefined ? steady(after, cost, nowMs) : trying(after, after.trial, cost, nowMs)
}

/** Whether this step was so dear that the cores are somebody else's: no kind of step had better try more threads. */
export function isCrowded(before: Threads, after: Threads): boolean {
  return after.up.lost - before.up.lost > trialSteps
}

/** Another kind of step found the cores taken: it is not tried here before it is there. */
export function forewarned(threads: Threads, { up }: Threads): Threads {
  const dueMs = Math.max(threads.up.dueMs, up.dueMs)
  return { ...threads, up: { ...threads.up, dueMs, pauseMs: Math.max(threads.up.pauseMs, up.pauseMs) } }
}

/** Counts worth a try: from 4 on in steps of a half, as one of 64 is not worth a comparison. */
export function ladder(coresMax: number): ReadonlyArray<number> {
  const rungs = [1, 2, 3]
  for (let power = 4; power < coresMax; power *= 2) rungs.push(power, power * 1.5)
  return [...rungs.filter((rung) => rung < coresMax), coresMax]
}

const ways = ["down", "up"] as const

function neighbour({ coresMax, count }: Threads, way: "up" | "down"): number | undefined {
  const rungs = ladder(coresMax)
  return way === "up" ? rungs.find((rung) => rung > count) : rungs.findLast((rung) => rung < count)
}

function isDue(threads: Threads, way: "up" | "down", nowMs: number): boolean {
  if (neighbour(threads, way) === undefined || nowMs < threads[way].dueMs) return false
  return way === "down" || threads.ups.filter((upMs) => nowMs - upMs < hourMs).length < upsMax
}

function steady(before: Threads, cost: number, nowMs: number): Threads {
  const recent = [...before.recent, cost].slice(-recentMax)
  if (recent.length < trialSteps) return { ...before, recent }
  const isAlarmed = isAlarming(recent, before.usual)
  const kept = isAlarmed ? recent.slice(-trialSteps) : recent
  const expected = meanOf(kept)
  const usual = isAlarmed ? expected : Math.min(before.usual, expected)
  const down = isAlarmed ? { ...before.down, dueMs: nowMs } : before.down
  const threads = { ...before, recent: kept, usual, down }
  const way = ways.find((way) => isDue(threads, way, nowMs) && threads[way].lost <= lossMax[way] * threads.steps)
  if (way === undefined) return threads
  return { ...threads, trial: { way, count: neighbour(threads, way)!, steps: 0, cost: 0, expected } }
}

/** Two of four: one alone may be anything. */
function isAlarming(recent: ReadonlyArray<number>, usual: number): boolean {
  return recent.slice(-trialSteps).filter((cost) => cost > alarmFactor * usual).length > 1
}

function trying(threads: Threads, before: Trial, cost: number, nowMs: number): Threads {
  const trial = { ...before, steps: before.steps + 1, cost: before.cost + cost }
  const costMax = bearable[trial.way] * trialSteps * trial.expected
  if (trial.cost <= costMax && trial.steps < trialSteps) return { ...threads, trial }
  const lost = threads[trial.way].lost + Math.max(0, trial.cost / trial.expected - trial.steps)
  const over = { ...threads, trial: undefined, [trial.way]: { ...threads[trial.way], lost } }
  return trial.cost <= costMax ? taken(over, trial, nowMs) : refused(over, trial.way, nowMs)
}

function refused(threads: Threads, way: "up" | "down", nowMs: number): Threads {
  const { lost, pauseMs } = threads[way]
  return { ...threads, [way]: { dueMs: nowMs + pauseMs, pauseMs: longer(pauseMs), lost } }
}

function taken(threads: Threads, { cost, count, steps, way }: Trial, nowMs: number): Threads {
  const moved = { ...threads, count, recent: [], usual: cost / steps }
  if (way === "up") {
    const ups = [...threads.ups, nowMs].filter((upMs) => nowMs - upMs < hourMs)
    return { ...moved, ups, down: { ...threads.down, dueMs: nowMs + pauseMinMs, pauseMs: pauseMinMs } }
  }
  const heldMs = nowMs - (threads.ups.at(-1) ?? nowMs)
  const { pauseMs } = threads.up
  const next = heldMs > provenMs ? pauseMinMs : longer(pauseMs)
  return { ...moved, up: { ...threads.up, dueMs: nowMs + pauseMs, pauseMs: next } }
}

const longer = (pauseMs: number) => Math.min(pauseMaxMs, 2 * pauseMs)

function meanOf(costs: ReadonlyArray<number>): number {
  return costs.reduce((sum, cost) => sum + cost, 0) / costs.length
}
