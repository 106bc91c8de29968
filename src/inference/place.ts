/** Where a request stands in the queue, and when it is expected to start. */
import { type Chain, itemsOf, type Link } from "./chain.ts"
import type { Account, Lane } from "./lane.ts"
import { type Request, type Schedule, type Ticket, weights } from "./schedule.ts"

/**
 * How many start before it if nothing else happens; undefined for one that does not wait. Linear in those who do:
 * up to 1 ms for 10,000 of 5,000 users.
 */
export function placeOf<R extends Request>(schedule: Schedule<R>, ticket: Ticket<R>): number | undefined {
  const { lanes, returned } = schedule
  if (ticket.state !== "waiting") return undefined
  if (ticket.deaths > 0) return countBefore(returned, ticket)
  const { account } = ticket
  const isBehind = account.lane === lanes.background
  const before = returned.size + (isBehind ? sizeOf(lanes.interactive) : 0)
  let served = account.served
  let ahead = 0
  for (let other = account.line.first; other !== ticket; other = other!.next) {
    served += duesOf(other!)
    ahead++
  }
  for (const other of account.lane.order) {
    if (other !== account) ahead += countBeforeTurn(other, served, ticket.admission)
  }
  return before + ahead
}

/** Everybody who waits, in no order that matters. */
export function* allWaiting<R extends Request>({ lanes, returned }: Schedule<R>): Generator<Ticket<R>> {
  yield* itemsOf(returned)
  for (const lane of Object.values(lanes)) for (const { line } of lane.order) yield* itemsOf(line)
}

/** Those of a line who start before an account has been served so much. */
function countBeforeTurn<R extends Request>(
  account: Account<Ticket<R>>,
  turnServed: number,
  turnAdmission: number
): number {
  let { served } = account
  let count = 0
  for (const ticket of itemsOf(account.line)) {
    if (served > turnServed || (served === turnServed && ticket.admission > turnAdmission)) return count
    served += duesOf(ticket)
    count++
  }
  return count
}

/** What it is charged when it starts. */
function duesOf<R extends Request>({ charged, promptTokens }: Ticket<R>): number {
  return weights.prompt * (promptTokens - charged.prompt)
}

function sizeOf<R extends Request>({ order }: Lane<Ticket<R>>): number {
  return order.reduce((sum, { line }) => sum + line.size, 0)
}

function countBefore<A extends Link<A>>({ first }: Chain<A>, item: A): number {
  let count = 0
  for (let other = first; other !== item && other !== undefined; other = other.next) count++
  return count
}
