/**
 * Which of several servers is asked next.
 *
 *   C1. One that is up, does not rest, has room and was not tried: of these the one with the least part of its limit in
 *       flight; of equals, the one whose last turn is the longest ago.
 *   C2. Those that are down are asked only when all are: what is believed of them may be over.
 *   C3. While one has room no request waits, and none waits for servers that all rest, as nothing would wake it.
 */

export interface Candidate {
  readonly isUp: boolean
  readonly restsUntilMs: number
  readonly inFlight: number
  /** How many it may have in flight, at least 1. */
  readonly limit: number
  /** Which choice of all it was last. */
  readonly chosenAs: number
  readonly isTried: boolean
}

export type Choice<C> =
  | { readonly type: "ask"; readonly candidate: C }
  /** All that could be asked are full. */
  | { readonly type: "wait" }
  /** All that could be asked rest, and the first of them until then. */
  | { readonly type: "rest"; readonly untilMs: number }
  /** All were tried. */
  | { readonly type: "none" }

export function choose<C extends Candidate>(candidates: ReadonlyArray<C>, nowMs: number): Choice<C> {
  const isAnyUp = candidates.some(({ isUp }) => isUp)
  const left = candidates.filter(({ isTried, isUp }) => !isTried && (isUp || !isAnyUp))
  if (left.length === 0) return { type: "none" }
  const awake = left.filter(({ restsUntilMs }) => restsUntilMs <= nowMs)
  if (awake.length === 0) return { type: "rest", untilMs: Math.min(...left.map(({ restsUntilMs }) => restsUntilMs)) }
  const free = awake.filter(({ inFlight, limit }) => inFlight < limit)
  if (free.length === 0) return { type: "wait" }
  const candidate = free.reduce((best, one) => (isBefore(one, best) ? one : best))
  return { type: "ask", candidate }
}

/** What all take together: who rests or is down, and who has more than it may, takes no more than it has. */
export function slotsOfAll(candidates: ReadonlyArray<Candidate>, nowMs: number): number {
  return candidates.reduce((sum, { inFlight, isUp, limit, restsUntilMs }) => {
    return sum + (isUp && restsUntilMs <= nowMs ? Math.max(limit, inFlight) : inFlight)
  }, 0)
}

function isBefore(a: Candidate, b: Candidate): boolean {
  const difference = a.inFlight / a.limit - b.inFlight / b.limit
  return difference === 0 ? a.chosenAs < b.chosenAs : difference < 0
}
