/**
 * Who runs next: a bounded, fair queue in front of a fixed number of slots.
 *
 *      admit            fill              release
 *   ● ───────→ waiting ──────→ running ───────────→ gone
 *   │             ↑               │                  ↑
 *   └→ refused    └───────────────┴──────────────────┘
 *                      requeue         requeue, when it ran alone
 *
 *   S1. At most `slotsMax` requests run, and at most `slotsMax + queueMax` run or wait.
 *   S2. A request waits, runs, or is gone: never two of these, and who is gone stays gone.
 *   S3. Requests of one user start for the first time in the order they were admitted.
 *   S4. While a user waits, every other user starts at most one request for the first time.
 *   S5. After `fill` nothing waits, or no slot is free, or a suspect runs or is the next to run.
 *   S6. Who comes back starts before all who never started, and among themselves they keep the order of admission.
 *   S7. A suspect, which was running at `deathsMax` deaths of its engine, runs alone; one more death, and it is gone.
 *
 * Users take turns: each has a line, and the lines stand in a ring. Whoever comes back has had their user's turn, and
 * stands before the ring. A requeued request is never refused: it was counted while it ran.
 *
 * A schedule is changed in place, by the functions of this file alone, so that admission, start and end take constant
 * time however many wait (under 1 µs each; a copy of a map of 10,000 is 450 µs). They say what happened, and return no
 * schedule.
 */
import { type Chain, emptyChain, insert, itemsOf, type Link, remove } from "./chain.ts"

export interface Limits {
  readonly slotsMax: number
  readonly queueMax: number
}

export interface Request {
  /** Whom fairness counts. */
  readonly user: string
}

/** One admitted request. Of its fields all but `request` belong to this file. */
export interface Ticket<R extends Request> extends Link<Ticket<R>> {
  readonly request: R
  readonly admission: number
  state: "waiting" | "running" | "gone"
  /** Deaths of the engine that it was running at. */
  deaths: number
}

interface Line<R extends Request> extends Link<Line<R>> {
  readonly user: string
  readonly tickets: Chain<Ticket<R>>
}

export interface Schedule<R extends Request> {
  readonly limits: Limits
  readonly running: Set<Ticket<R>>
  /** Those that lost their engine, in the order of admission. */
  readonly returned: Chain<Ticket<R>>
  /** The lines of the others, by user; none is empty. */
  readonly lines: Map<string, Line<R>>
  /** The same lines in the order of their next turns. */
  readonly ring: Chain<Line<R>>
  waiting: number
  admissions: number
}

/** After two deaths chance is no longer a likely explanation (DESIGN.md, P4). */
export const deathsMax = 2

export function empty<R extends Request>(limits: Limits): Schedule<R> {
  return {
    limits,
    running: new Set(),
    returned: emptyChain(),
    lines: new Map(),
    ring: emptyChain(),
    waiting: 0,
    admissions: 0
  }
}

/** Undefined when as many run or wait as may. */
export function admit<R extends Request>(schedule: Schedule<R>, request: R): Ticket<R> | undefined {
  const { limits, running, waiting } = schedule
  if (running.size + waiting >= limits.slotsMax + limits.queueMax) return undefined
  const ticket: Ticket<R> = {
    request,
    admission: schedule.admissions++,
    state: "waiting",
    deaths: 0,
    previous: undefined,
    next: undefined
  }
  insert(lineOf(schedule, request.user).tickets, ticket)
  schedule.waiting++
  return ticket
}

/** Moves waiting requests into free slots. Returns the batch that starts, in its order. */
export function fill<R extends Request>(schedule: Schedule<R>): ReadonlyArray<Ticket<R>> {
  const batch: Array<Ticket<R>> = []
  for (let next = nextOf(schedule); next !== undefined && mayStart(schedule, next); next = nextOf(schedule)) {
    leaveLine(schedule, next)
    const line = schedule.lines.get(next.request.user)
    if (next.deaths === 0 && line !== undefined) {
      remove(schedule.ring, line)
      insert(schedule.ring, line)
    }
    next.state = "running"
    schedule.running.add(next)
    batch.push(next)
  }
  return batch
}

/** Forgets a request, whether it waited or ran; one that is gone already changes nothing. */
export function release<R extends Request>(schedule: Schedule<R>, ticket: Ticket<R>): void {
  if (ticket.state === "waiting") leaveLine(schedule, ticket)
  schedule.running.delete(ticket)
  ticket.state = "gone"
}

/** Its engine died while it ran: it waits again, unless it ran alone because of earlier deaths; then it is gone. */
export function requeue<R extends Request>(schedule: Schedule<R>, ticket: Ticket<R>): "waiting" | "gone" {
  if (ticket.state !== "running" || isSuspect(ticket)) {
    release(schedule, ticket)
    return "gone"
  }
  schedule.running.delete(ticket)
  ticket.state = "waiting"
  ticket.deaths++
  // At most `slotsMax` stand here, and a later death finds its place near the front.
  insert(
    schedule.returned,
    ticket,
    itemsOf(schedule.returned).find(({ admission }) => admission > ticket.admission)
  )
  schedule.waiting++
  return "waiting"
}

/**
 * How many start before it if nothing else happens; undefined for one that does not wait. Linear in the users who wait
 * and in those before it in its own line: 100 µs for 5,000 users.
 */
export function placeOf<R extends Request>(schedule: Schedule<R>, ticket: Ticket<R>): number | undefined {
  if (ticket.state !== "waiting") return undefined
  if (ticket.deaths > 0) return countBefore(ticket)
  const own = schedule.lines.get(ticket.request.user)
  const inLine = countBefore(ticket)
  let ahead = schedule.returned.size + inLine
  let isBefore = true
  for (const line of itemsOf(schedule.ring)) {
    if (line === own) {
      isBefore = false
      if (inLine === 0) break
    } else ahead += Math.min(line.tickets.size, isBefore ? inLine + 1 : inLine)
  }
  return ahead
}

/** Everybody who waits, in no order that matters. */
export function* allWaiting<R extends Request>({ returned, ring }: Schedule<R>): Generator<Ticket<R>> {
  yield* itemsOf(returned)
  for (const line of itemsOf(ring)) yield* itemsOf(line.tickets)
}

function lineOf<R extends Request>(schedule: Schedule<R>, user: string): Line<R> {
  const found = schedule.lines.get(user)
  if (found !== undefined) return found
  const line: Line<R> = { user, tickets: emptyChain(), previous: undefined, next: undefined }
  schedule.lines.set(user, line)
  insert(schedule.ring, line)
  return line
}

function nextOf<R extends Request>({ returned, ring }: Schedule<R>): Ticket<R> | undefined {
  return returned.first ?? ring.first?.tickets.first
}

function mayStart<R extends Request>({ limits, running }: Schedule<R>, next: Ticket<R>): boolean {
  if (running.size === 0) return true
  const [first] = running
  return running.size < limits.slotsMax && !isSuspect(next) && !isSuspect(first!)
}

function isSuspect<R extends Request>({ deaths }: Ticket<R>): boolean {
  return deaths >= deathsMax
}

function leaveLine<R extends Request>(schedule: Schedule<R>, ticket: Ticket<R>): void {
  schedule.waiting--
  if (ticket.deaths > 0) {
    remove(schedule.returned, ticket)
    return
  }
  const line = schedule.lines.get(ticket.request.user)!
  remove(line.tickets, ticket)
  if (line.tickets.size > 0) return
  remove(schedule.ring, line)
  schedule.lines.delete(line.user)
}

function countBefore<R extends Request>(ticket: Ticket<R>): number {
  let count = 0
  for (let other = ticket.previous; other !== undefined; other = other.previous) count++
  return count
}
