/**
 * One class of requests: a line for each user, and the virtual token counter that says whose turn it is (Sheng et al.,
 * "Fairness in Serving Large Language Models", OSDI 2024, algorithm 2).
 *
 *   V1. The next is the first in the line of the user who was served least; of equals, the one admitted first.
 *   V2. Who begins to wait is lifted to the least served of those who wait, or, when nobody does, to the one whose line
 *       was the last to become empty: time in which somebody asked for nothing is no credit.
 *   V3. An account is remembered while lifting would not give it back.
 */
import { type Chain, emptyChain, insert, type Link, remove } from "./chain.ts"
import { type Placed, pull, push, resettle } from "./heap.ts"

/** What stands in a line. */
export interface Queued<T> extends Link<T> {
  /** Counts admissions: the lower is the older. */
  readonly admission: number
  /** What it needs of the cache. */
  tokens: number
}

export interface Account<T extends Queued<T>> extends Placed {
  readonly user: string
  readonly lane: Lane<T>
  readonly line: Chain<T>
  /** Weighted tokens of service. */
  served: number
  /** Of the requests in the line. */
  tokens: number
  /** Requests that wait, or run and will be charged to it. */
  open: number
}

export interface Lane<T extends Queued<T>> {
  readonly accounts: Map<string, Account<T>>
  /** A heap of the accounts with a line that is not empty. */
  readonly order: Array<Account<T>>
  lastEmptied: Account<T> | undefined
  forgetAt: number
}

const forgetMin = 64

export function emptyLane<T extends Queued<T>>(): Lane<T> {
  return { accounts: new Map(), order: [], lastEmptied: undefined, forgetAt: forgetMin }
}

export function firstOf<T extends Queued<T>>({ order }: Lane<T>): T | undefined {
  return order[0]?.line.first
}

/** The account that is charged for a user from now on, until `close`. */
export function open<T extends Queued<T>>(lane: Lane<T>, user: string): Account<T> {
  const account = lane.accounts.get(user) ?? opened(lane, user)
  account.open++
  return account
}

export function close<T extends Queued<T>>(account: Account<T>): void {
  account.open--
}

/** Takes its place in the line by its admission: one that ran before is older than most. */
export function enter<T extends Queued<T>>(account: Account<T>, ticket: T): void {
  const { lane, line } = account
  if (line.size === 0) account.served = Math.max(account.served, levelOf(lane))
  let next = line.last !== undefined && line.last.admission > ticket.admission ? line.first : undefined
  while (next !== undefined && next.admission < ticket.admission) next = next.next
  insert(line, ticket, next)
  account.tokens += ticket.tokens
  if (account.place < 0) push(lane.order, account, isBefore)
  else resettle(lane.order, account, isBefore)
}

export function exit<T extends Queued<T>>(account: Account<T>, ticket: T): void {
  const { lane, line } = account
  remove(line, ticket)
  account.tokens -= ticket.tokens
  if (line.size > 0) resettle(lane.order, account, isBefore)
  else {
    pull(lane.order, account, isBefore)
    lane.lastEmptied = account
  }
}

/** Less than nothing is given back: what was charged was an estimate. */
export function charge<T extends Queued<T>>(account: Account<T>, service: number): void {
  if (service === 0) return
  account.served += service
  if (account.place >= 0) resettle(account.lane.order, account, isBefore)
}

/** How far the served of those who wait are apart. Linear in them. */
export function spreadOf<T extends Queued<T>>({ order }: Lane<T>): number {
  const least = order[0]?.served ?? 0
  return order.reduce((spread, { served }) => Math.max(spread, served - least), 0)
}

/** Nobody waits and nobody runs: nobody has to be served less for what anybody was served before. */
export function forgetAll<T extends Queued<T>>(lane: Lane<T>): void {
  lane.accounts.clear()
  lane.lastEmptied = undefined
}

function opened<T extends Queued<T>>(lane: Lane<T>, user: string): Account<T> {
  if (lane.accounts.size >= lane.forgetAt) forget(lane)
  const account = { user, lane, line: emptyChain<T>(), served: 0, tokens: 0, open: 0, place: -1 }
  lane.accounts.set(user, account)
  return account
}

/** Halves the map at least, or lets it double, so that an admission pays a constant share of it. */
function forget<T extends Queued<T>>(lane: Lane<T>): void {
  const level = levelOf(lane)
  for (const [user, { open, served }] of lane.accounts) {
    if (open === 0 && served <= level) lane.accounts.delete(user)
  }
  lane.forgetAt = Math.max(forgetMin, 2 * lane.accounts.size)
}

function levelOf<T extends Queued<T>>({ lastEmptied, order }: Lane<T>): number {
  return order[0]?.served ?? lastEmptied?.served ?? 0
}

function isBefore<T extends Queued<T>>(a: Account<T>, b: Account<T>): boolean {
  return a.served === b.served ? a.line.first!.admission < b.line.first!.admission : a.served < b.served
}
