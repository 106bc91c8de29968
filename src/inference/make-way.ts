/** Which background requests are stopped for an interactive one (S12 of schedule.ts). */
import type { Request, Schedule, Ticket } from "./schedule.ts"

/**
 * The latest started first, for they have the least to do again. None when stopping every one of them would not be
 * enough, or when what stops already is.
 */
export function inTheWayOf<R extends Request>(schedule: Schedule<R>, next: Ticket<R>): ReadonlyArray<Ticket<R>> {
  const { lanes, limits, reservedTokens, running, young } = schedule
  if (young.size === 0 || next.deaths > 0 || next.account.lane !== lanes.interactive) return []
  let slots = limits.slotsMax - running.size
  let tokens = limits.cacheTokensMax - reservedTokens - next.tokens
  const hasRoom = () => slots > 0 && tokens >= 0
  const all = [...running]
  for (const ticket of all.filter(({ isStopping }) => isStopping)) {
    slots++
    tokens += ticket.tokens
  }
  const stopped: Array<Ticket<R>> = []
  for (let index = all.length - 1; index >= 0 && !hasRoom(); index--) {
    const ticket = all[index]!
    if (!young.has(ticket) || ticket.deaths > 0 || ticket.isPinned || ticket.isStopping) continue
    stopped.push(ticket)
    slots++
    tokens += ticket.tokens
  }
  if (!hasRoom()) return []
  // The last one may have made room enough alone: spare whom it can, the longest started first.
  for (const ticket of stopped.toReversed()) {
    if (slots <= 1 || tokens < ticket.tokens) continue
    stopped.splice(stopped.indexOf(ticket), 1)
    slots--
    tokens -= ticket.tokens
  }
  return stopped
}
