/**
 * Whether the rows of a step are decoded together or one after another, learnt from what both cost.
 *
 *   A1. One row, and more than `apartMax`, are decoded together.
 *   A2. The other way is tried once it may be the cheaper one by what a single row costs, and then after pauses that
 *       become longer each time that it was in vain. A trial is one step.
 *   A3. Where steps cost what they cost, the choice comes to rest, and the other way is less than a tenth better.
 *   A4. When they come to cost something else, it comes to rest again, after the longest pause at the latest.
 *
 * One row is a matrix by a vector, several are a matrix by a matrix, and for few of them llama.cpp has no kernel that
 * is made for that. Measured (135M model, Q8_0, AVX-512, one thread): 1 row 6.6 ms, 2 rows 31, 4 rows 41, 8 rows 47,
 * 16 rows 49. With a model that waits for its memory it is the opposite: two rows cost what one costs.
 */
export interface Apart {
  /** By the number of rows. */
  readonly steps: ReadonlyMap<number, Learnt>
}

type Way = "together" | "apart"

interface Learnt {
  readonly way: Way
  /** What the latest steps of the way that is chosen cost, the last one counting the most. */
  readonly cost: number
  /** The other way is not tried before. */
  readonly dueMs: number
  readonly pauseMs: number
}

export const apartMax = 16
const pauseMinMs = 5_000
export const pauseMaxMs = 160_000
/** Of the cost of the way that was chosen, for another one to be taken. */
const clearly = 0.9
/** Of the last step, in what is known of a way. */
const newest = 0.25
/** What single rows may cost by reckoning, for a trial to be worth it: beside others they may cost less than alone. */
const hopeful = 1.2

export const empty: Apart = { steps: new Map() }

/** How the next step of so many rows is decoded. */
export function wayOf({ steps }: Apart, rows: number, nowMs: number): Way {
  const learnt = steps.get(rows)
  if (learnt === undefined || rows < 2 || rows > apartMax) return "together"
  const isDue = nowMs >= learnt.dueMs && (learnt.way === "apart" || mayBeCheaper(steps, rows, learnt.cost))
  return isDue ? other(learnt.way) : learnt.way
}

const other = (way: Way): Way => (way === "apart" ? "together" : "apart")

function mayBeCheaper(steps: Apart["steps"], rows: number, cost: number): boolean {
  const single = steps.get(1)
  return single === undefined || rows * single.cost < hopeful * cost
}

/** @param cost of the step, which was decoded this way @param nowMs of a clock that does not go back */
export function heard({ steps }: Apart, rows: number, way: Way, cost: number, nowMs: number): Apart {
  if (rows > apartMax) return { steps }
  const before = steps.get(rows) ?? { way, cost, dueMs: Number.NEGATIVE_INFINITY, pauseMs: pauseMinMs }
  return { steps: new Map(steps).set(rows, way === before.way ? steady(before, cost) : tried(before, cost, nowMs)) }
}

const steady = (before: Learnt, cost: number): Learnt => ({
  ...before,
  cost: before.cost + newest * (cost - before.cost)
})

function tried(before: Learnt, cost: number, nowMs: number): Learnt {
  if (cost < clearly * before.cost) {
    return { way: other(before.way), cost, dueMs: nowMs + pauseMinMs, pauseMs: pauseMinMs }
  }
  return { ...before, dueMs: nowMs + before.pauseMs, pauseMs: Math.min(pauseMaxMs, 2 * before.pauseMs) }
}
