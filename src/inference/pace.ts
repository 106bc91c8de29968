/** How fast requests pass, of late, and how long one waits by that. */

/** Of one slot. */
export interface Pace {
  /** How long a request holds it. */
  readonly turnMs: number
  /** What a request reserves of the cache. */
  readonly turnTokens: number
}

/** Before anything was measured. */
export const paceGuess: Pace = { turnMs: 5_000, turnTokens: 1_000 }
/** How much one request moves the average. */
const weight = 0.1

export function paced({ turnMs, turnTokens }: Pace, ms: number, tokens: number): Pace {
  return { turnMs: turnMs + weight * (ms - turnMs), turnTokens: turnTokens + weight * (tokens - turnTokens) }
}

/** Until so many requests have had a slot. */
export function turnsWaitMs({ turnMs }: Pace, slotsMax: number, turns: number): number {
  return (turns / slotsMax) * turnMs
}

/** Until so many tokens that wait have had a slot. */
export function tokensWaitMs(pace: Pace, slotsMax: number, tokens: number): number {
  return turnsWaitMs(pace, slotsMax, tokens / pace.turnTokens)
}
