/**
 * Whether a model that keeps dying is asked at all: a circuit breaker (Nygard, "Release It!", 2nd edition, 5.2).
 *
 *            deathsMax deaths, or it cannot be loaded
 *   closed ───────────────────────────────────────────→ open
 *     ↑                                            pause │ ↑ a death, or it cannot be loaded
 *     └──────────── the probe is answered ──────── half-open
 *
 *   B1. Closed, it lets everybody through.
 *   B2. It opens at the `deathsMax`th death within `withinMs` without an answer between, and when the model cannot be
 *       loaded; at nothing else.
 *   B3. Open, it lets nobody through until its pause is over, and says how long that is.
 *   B4. Half-open, it lets one through, and another one only when that one is gone without an end.
 *   B5. An answer to whom it let through closes it, and what was before is forgotten.
 *   B6. Each time it opens again without an answer between, its pause is twice as long, up to `pauseMaxMs`.
 *
 * Who kills the worker alone is found at the third death (schedule.ts, S7), and is then given up: `deathsMax` has to be
 * more, so that one such request does not turn everybody away.
 */
export interface BreakerLimits {
  readonly deathsMax: number
  readonly withinMs: number
  readonly pauseMinMs: number
  readonly pauseMaxMs: number
}

export type Breaker =
  | { readonly state: "closed"; readonly deathsMs: ReadonlyArray<number> }
  | ({ readonly state: "open"; readonly untilMs: number } & Trouble)
  | ({ readonly state: "half-open"; readonly probe: string | undefined } & Trouble)

interface Trouble {
  readonly pauseMs: number
  readonly reason: string
  /** Whether the model could not be loaded; otherwise it died too often. */
  readonly isUnloadable: boolean
}

export interface TurnedAway {
  readonly reason: string
  readonly retryAfterMs: number
}

/** While the one that was let through is answered: nobody knows how long that takes. */
const probeRetryMs = 5_000

export const closed: Breaker = { state: "closed", deathsMs: [] }

/** What it is at this time. */
export function at(breaker: Breaker, nowMs: number): Breaker {
  if (breaker.state !== "open" || nowMs < breaker.untilMs) return breaker
  const { isUnloadable, pauseMs, reason } = breaker
  return { state: "half-open", probe: undefined, isUnloadable, pauseMs, reason }
}

/** Whether the request is let through. */
export function ask(before: Breaker, id: string, nowMs: number): { breaker: Breaker; turnedAway?: TurnedAway } {
  const breaker = at(before, nowMs)
  if (breaker.state === "closed") return { breaker }
  const { reason } = breaker
  if (breaker.state === "open") return { breaker, turnedAway: { reason, retryAfterMs: breaker.untilMs - nowMs } }
  if (breaker.probe !== undefined) return { breaker, turnedAway: { reason, retryAfterMs: probeRetryMs } }
  return { breaker: { ...breaker, probe: id } }
}

/** The request has ended, however. */
export function leave(breaker: Breaker, id: string): Breaker {
  return breaker.state === "half-open" && breaker.probe === id ? { ...breaker, probe: undefined } : breaker
}

/** It has given a whole answer. One that is open let nobody through. */
export function answered(breaker: Breaker): Breaker {
  return breaker.state === "open" ? breaker : closed
}

export function died(limits: BreakerLimits, before: Breaker, reason: string, nowMs: number): Breaker {
  const breaker = at(before, nowMs)
  if (breaker.state !== "closed") return opened(limits, breaker, { reason, isUnloadable: false }, nowMs)
  const deathsMs = [...breaker.deathsMs.filter((atMs) => atMs > nowMs - limits.withinMs), nowMs]
  if (deathsMs.length < limits.deathsMax) return { state: "closed", deathsMs }
  return opened(limits, breaker, { reason, isUnloadable: false }, nowMs)
}

export function unloadable(limits: BreakerLimits, before: Breaker, reason: string, nowMs: number): Breaker {
  return opened(limits, at(before, nowMs), { reason, isUnloadable: true }, nowMs)
}

function opened(
  { pauseMaxMs, pauseMinMs }: BreakerLimits,
  breaker: Breaker,
  trouble: Omit<Trouble, "pauseMs">,
  nowMs: number
): Breaker {
  // A second death of what is given up already.
  if (breaker.state === "open") return breaker
  const pauseMs = breaker.state === "closed" ? pauseMinMs : Math.min(pauseMaxMs, 2 * breaker.pauseMs)
  return { state: "open", untilMs: nowMs + pauseMs, pauseMs, ...trouble }
}
