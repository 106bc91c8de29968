/**
 * Who runs next: a bounded, fair queue in front of the slots and the cache of an engine.
 *
 *      admit            fill              release
 *   ● ───────→ waiting ──────→ running ───────────→ gone
 *   │             ↑               │                  ↑
 *   └→ refused    └───────────────┴──────────────────┘
 *             giveWay, requeue      requeue, when it ran alone
 *
 *   S1. When something starts, at most `slots` run; at most `slotsMax + queueMax` run or wait.
 *   S2. A request waits, runs, or is gone: never two of these, and who is gone stays gone.
 *   S3. Requests of one user and class start for the first time in the order they were admitted.
 *   S4. While two users wait in one class, what they are served differs by at most twice the larger of the longest
 *       prompt and the whole cache, in weighted tokens.
 *   S5. After `fill` nothing waits, or there is no room for the next, or a suspect runs or is the next to run.
 *   S6. Who lost an engine starts before all who did not, and among themselves they keep the order of admission.
 *   S7. A suspect, which was running at `deathsMax` deaths of its engine, runs alone; one more death, and it is gone.
 *   S8. When something starts, what runs has reserved at most `cacheTokensMax`; later only prompts that are counted
 *       longer than they were believed add to that.
 *   S9. Who is admitted leaves at most `queueTokensMax` waiting, or waits alone.
 *   S10. A user for whom nothing waits is refused only when the queue is full.
 *   S11. No background request starts while an interactive one waits, unless it was admitted `agedAfterMs` before: then
 *       it takes its user's turn among them, in the order of admission.
 *   S12. Only for want of room for the next interactive request a background one is stopped, and then no more of them
 *       than make room: the latest first, none that is aged, lost an engine, or was pinned.
 *   S13. What is released has its slot, its place and its tokens back at once.
 *   S14. Admitted = done + cancelled + failed + running + waiting.
 *
 * A class is a lane (lane.ts), which says whose turn it is. A request is charged its prompt when it starts, and its
 * answer as it comes, each token once: nobody pays twice for what an engine lost or what made way for others.
 *
 * Prompts are estimated until the engine has counted them. A reservation is never more than the whole cache: what can
 * never fit is for the engine to refuse, whose own limit for each sequence nothing here can exceed.
 *
 * A schedule is changed in place, by this file alone, so that admission, start and end take next to no time however
 * many wait (1 to 2 µs each; a copy of a map of 10,000 is 450 µs). Time is an argument: nothing here reads a clock.
 */
import { refusalOf } from "./admission.ts"
import { type Chain, emptyChain, insert, itemsOf, remove } from "./chain.ts"
import * as Lane from "./lane.ts"
import { inTheWayOf } from "./make-way.ts"

export type Class = "interactive" | "background"

export interface Limits {
  readonly slotsMax: number
  /** Of all that run, prompts and answers; infinite where the engine does not say. */
  readonly cacheTokensMax: number
  readonly queueMax: number
  readonly queueTokensMax: number
  /** How long a background request stands back. */
  readonly agedAfterMs: number
}

export interface Request {
  /** Whom fairness counts. */
  readonly user: string
  readonly class: Class
  /** As estimated. */
  readonly promptTokens: number
  readonly answerTokensMax: number
}

/** `count`, `tokens`: as many, or as much, wait as may. `share`: too much of what waits is of the same user. */
export type Refusal = "count" | "tokens" | "share"
export type End = "done" | "cancelled" | "failed"

/** One admitted request. Of its fields all but `request` belong to this file and lane.ts. */
export interface Ticket<R extends Request> extends Lane.Queued<Ticket<R>> {
  readonly request: R
  readonly admittedMs: number
  state: "waiting" | "running" | "gone"
  /** Deaths of the engine that it was running at. */
  deaths: number
  promptTokens: number
  readonly charged: { prompt: number; answer: number }
  account: Lane.Account<Ticket<R>>
  /** It runs, and was told to make way. */
  isStopping: boolean
  /** Its reader cannot take back what was said: it is not stopped. */
  isPinned: boolean
}

export interface Schedule<R extends Request> {
  readonly limits: Limits
  /** How many may run now: 1 to `slotsMax`. */
  slots: number
  readonly running: Set<Ticket<R>>
  /** Those that lost their engine, in the order of admission. */
  readonly returned: Chain<Ticket<R>>
  readonly lanes: Readonly<Record<Class, Lane.Lane<Ticket<R>>>>
  /** Background requests that are not aged, the oldest first, whether they wait or run. */
  readonly young: Set<Ticket<R>>
  waiting: number
  waitingBackground: number
  /** Of what waits, and of what runs. */
  waitingTokens: number
  reservedTokens: number
  admissions: number
  readonly tally: Record<End | Refusal | "preempted", number>
}

/** What `fill` decides: who has a slot, in this order, and who is to give his back. */
export interface Batch<R extends Request> {
  readonly started: ReadonlyArray<Ticket<R>>
  readonly stopped: ReadonlyArray<Ticket<R>>
}

/** After two deaths chance is no longer a likely explanation (DESIGN.md, P4). */
export const deathsMax = 2
/** What a token costs: a step decodes one of an answer, or hundreds of a prompt. The paper's, and most prices'. */
export const weights = { prompt: 1, answer: 2 }
export function empty<R extends Request>(limits: Limits): Schedule<R> {
  return {
    limits,
    slots: limits.slotsMax,
    running: new Set(),
    returned: emptyChain(),
    lanes: { interactive: Lane.emptyLane(), background: Lane.emptyLane() },
    young: new Set(),
    ...{ waiting: 0, waitingBackground: 0, waitingTokens: 0, reservedTokens: 0, admissions: 0 },
    tally: { done: 0, cancelled: 0, failed: 0, count: 0, tokens: 0, share: 0, preempted: 0 }
  }
}

export function admit<R extends Request>(schedule: Schedule<R>, request: R, nowMs: number): Ticket<R> | Refusal {
  const tokens = reservationOf(schedule, request, request.promptTokens)
  const refusal = refusalOf(schedule, request, tokens)
  if (refusal !== undefined) {
    schedule.tally[refusal]++
    return refusal
  }
  const ticket: Ticket<R> = {
    request,
    admission: schedule.admissions++,
    admittedMs: nowMs,
    state: "waiting",
    deaths: 0,
    promptTokens: request.promptTokens,
    tokens,
    charged: { prompt: 0, answer: 0 },
    account: Lane.open(schedule.lanes[request.class], request.user),
    isStopping: false,
    isPinned: false,
    previous: undefined,
    next: undefined
  }
  if (request.class === "background") schedule.young.add(ticket)
  wait(schedule, ticket)
  return ticket
}

/** The engine takes more from now on, or fewer: who runs runs on. */
export function resize<R extends Request>(schedule: Schedule<R>, slots: number): void {
  schedule.slots = Math.max(1, Math.min(slots, schedule.limits.slotsMax))
}

/** Moves waiting requests into free slots, and says who must make way before the next one can have its own. */
export function fill<R extends Request>(schedule: Schedule<R>, nowMs: number): Batch<R> {
  age(schedule, nowMs)
  const started: Array<Ticket<R>> = []
  let next = nextOf(schedule)
  while (next !== undefined && mayStart(schedule, next)) {
    stopWaiting(schedule, next)
    next.state = "running"
    schedule.running.add(next)
    schedule.reservedTokens += next.tokens
    chargePrompt(next)
    started.push(next)
    next = nextOf(schedule)
  }
  const stopped = next === undefined ? [] : inTheWayOf(schedule, next)
  for (const ticket of stopped) ticket.isStopping = true
  return { started, stopped }
}

/** Forgets a request, whether it waited or ran; one that is gone already changes nothing. */
export function release<R extends Request>(schedule: Schedule<R>, ticket: Ticket<R>, end: End): void {
  if (ticket.state === "gone") return
  if (ticket.state === "waiting") stopWaiting(schedule, ticket)
  else stopRunning(schedule, ticket)
  ticket.state = "gone"
  schedule.tally[end]++
  schedule.young.delete(ticket)
  Lane.close(ticket.account)
  if (schedule.waiting + schedule.running.size === 0) Object.values(schedule.lanes).forEach(Lane.forgetAll)
}

/** Its engine died while it ran: it waits again, unless it ran alone because of earlier deaths; then it is gone. */
export function requeue<R extends Request>(schedule: Schedule<R>, ticket: Ticket<R>): "waiting" | "gone" {
  if (ticket.state !== "running" || isSuspect(ticket)) {
    release(schedule, ticket, "failed")
    return "gone"
  }
  stopRunning(schedule, ticket)
  ticket.deaths++
  wait(schedule, ticket)
  return "waiting"
}

/** A stopped one has left its slot: it waits again, before all of its user's that came later. */
export function giveWay<R extends Request>(schedule: Schedule<R>, ticket: Ticket<R>): void {
  if (ticket.state !== "running") return
  stopRunning(schedule, ticket)
  schedule.tally.preempted++
  wait(schedule, ticket)
}

/** The engine has counted the prompt. Only of one that runs. */
export function measure<R extends Request>(schedule: Schedule<R>, ticket: Ticket<R>, promptTokens: number): void {
  if (ticket.state !== "running") return
  ticket.promptTokens = promptTokens
  schedule.reservedTokens -= ticket.tokens
  ticket.tokens = reservationOf(schedule, ticket.request, promptTokens)
  schedule.reservedTokens += ticket.tokens
  chargePrompt(ticket)
}

/** So many tokens of its answer were said in this attempt. What an earlier one was charged is not charged again. */
export function progress<R extends Request>(ticket: Ticket<R>, answerTokens: number): void {
  if (answerTokens > ticket.charged.answer) settle(ticket, answerTokens)
}

/** It has its whole answer, and the engine has counted it. */
export function settle<R extends Request>(ticket: Ticket<R>, answerTokens: number): void {
  if (ticket.state !== "running") return
  Lane.charge(ticket.account, weights.answer * (answerTokens - ticket.charged.answer))
  ticket.charged.answer = answerTokens
}

/** Whom `fill` starts next, once there is room. */
export function nextOf<R extends Request>({ lanes, returned }: Schedule<R>): Ticket<R> | undefined {
  return returned.first ?? Lane.firstOf(lanes.interactive) ?? Lane.firstOf(lanes.background)
}

function reservationOf<R extends Request>({ limits }: Schedule<R>, request: R, promptTokens: number): number {
  return Math.min(promptTokens + request.answerTokensMax, limits.cacheTokensMax)
}

/** The aged stand among the interactive from now on; one that runs is not stopped any more. */
function age<R extends Request>(schedule: Schedule<R>, nowMs: number): void {
  for (const ticket of schedule.young) {
    if (nowMs - ticket.admittedMs < schedule.limits.agedAfterMs) return
    schedule.young.delete(ticket)
    if (ticket.state === "running" || ticket.deaths > 0) continue
    stopWaiting(schedule, ticket)
    wait(schedule, ticket)
  }
}

function mayStart<R extends Request>(schedule: Schedule<R>, next: Ticket<R>): boolean {
  const { limits, reservedTokens, running, slots } = schedule
  if (running.size === 0) return true
  const [first] = running
  const hasRoom = running.size < slots && reservedTokens + next.tokens <= limits.cacheTokensMax
  return hasRoom && !isSuspect(next) && !isSuspect(first!)
}

function isSuspect<R extends Request>({ deaths }: Ticket<R>): boolean {
  return deaths >= deathsMax
}

function chargePrompt<R extends Request>({ account, charged, promptTokens }: Ticket<R>): void {
  Lane.charge(account, weights.prompt * (promptTokens - charged.prompt))
  charged.prompt = promptTokens
}

function wait<R extends Request>(schedule: Schedule<R>, ticket: Ticket<R>): void {
  ticket.state = "waiting"
  ticket.isStopping = false
  schedule.waiting++
  schedule.waitingTokens += ticket.tokens
  if (ticket.request.class === "background") schedule.waitingBackground++
  if (ticket.deaths > 0) {
    // At most `slotsMax` stand here, and a later death finds its place near the front.
    const later = itemsOf(schedule.returned).find(({ admission }) => admission > ticket.admission)
    insert(schedule.returned, ticket, later)
    return
  }
  const lane = schedule.lanes[schedule.young.has(ticket) ? "background" : "interactive"]
  if (ticket.account.lane !== lane) {
    Lane.close(ticket.account)
    ticket.account = Lane.open(lane, ticket.request.user)
  }
  Lane.enter(ticket.account, ticket)
}

function stopWaiting<R extends Request>(schedule: Schedule<R>, ticket: Ticket<R>): void {
  schedule.waiting--
  schedule.waitingTokens -= ticket.tokens
  if (ticket.request.class === "background") schedule.waitingBackground--
  if (ticket.deaths > 0) remove(schedule.returned, ticket)
  else Lane.exit(ticket.account, ticket)
}

function stopRunning<R extends Request>(schedule: Schedule<R>, ticket: Ticket<R>): void {
  schedule.running.delete(ticket)
  schedule.reservedTokens -= ticket.tokens
}
