/** Whether the queue takes one more (S1, S9 and S10 of schedule.ts). */
import type { Refusal, Request, Schedule } from "./schedule.ts"

/**
 * One user may have this many times what the queue has left (Choudhury and Hahne, "Dynamic Queue Length Thresholds for
 * Shared-Memory Packet Switches", 1998): alone eight ninths of it, so that somebody else always finds room.
 */
export const shareOfFree = 8

export function refusalOf<R extends Request>(
  { lanes, limits, running, waiting, waitingTokens }: Schedule<R>,
  request: R,
  tokens: number
): Refusal | undefined {
  const free = limits.slotsMax + limits.queueMax - running.size - waiting
  if (free <= 0) return "count"
  // Alone it would be refused for ever otherwise.
  if (waiting === 0) return undefined
  const freeTokens = limits.queueTokensMax - waitingTokens
  if (tokens > freeTokens) return "tokens"
  const own = lanes[request.class].accounts.get(request.user)
  if (own === undefined) return undefined
  return own.line.size > shareOfFree * free || own.tokens > shareOfFree * freeTokens ? "share" : undefined
}
