/** Which background requests are stopped for an interactive one (S12 of schedule.ts). */
import type { Request, Schedule, Ticket } from "./schedule.ts"

/**
 * Spares the longest started, for they have the most to do again. None when stopping every one of them would not be
 * enough, or when what stops already is.
 */
export function inTheWayOf<R extends Request>(schedule: Schedule<R>, next: Ticket<R>): ReadonlyArray<Ticket<R>> {
  const { lanes, limits, reservedTokens, running, young } = schedule
  if (young.size === 0 || next.deaths > 0 || next.account.lane !== lanes.interactive) return []
  let slots = schedule.slots - running.size
  let tokens = limits.cacheTokensMax - reservedTokens - next.tokens
  const hasRoom = () => slots > 0 && tokens >= 0
  const all = [...running]
  for (const ticket of all.filter(({ isStopping }) => isStopping)) {
    slots++
    tokens += ticket.tokens
  }
  if (hasRoom()) return []
  const may = all.filter((ticket) => young.has(ticket) && ticket.deaths === 0 && !ticket.isPinned && !ticket.isStopping)
  slots += may.length
  tokens += may.reduce((sum, ticket) => sum + ticket.tokens, 0)
  if (!hasRoom()) return []
  return may.filter((ticket) => {
    const isSpared = slots > 1 && tokens >= ticket.tokens
    if (isSpared) {
      slots--
      tokens -= ticket.tokens
    }
    return !isSpared
  })
}
