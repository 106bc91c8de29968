/** Any life of a schedule: what is done to it, and what is to be seen of it after each step. */
import fc from "fast-check"
import { placeOf } from "../../src/inference/place.ts"
import * as Schedule from "../../src/inference/schedule.ts"

export interface Request extends Schedule.Request {
  readonly id: number
}
export type State = Schedule.Schedule<Request>
export type Ticket = Schedule.Ticket<Request>

/** More of them where there is time: `npm run laws`. */
export const histories = Number(process.env["PARLEY_HISTORIES"] ?? 150)
export const users = ["ann", "bob", "cy"]
/** One asks more often than the others. */
const greedy = ["ann", "ann", "ann"]
export const agedAfterMs = 100

export const limits = fc.record({
  slotsMax: fc.integer({ min: 1, max: 4 }),
  cacheTokensMax: fc.constantFrom(40, 80, 160, Number.POSITIVE_INFINITY),
  queueMax: fc.integer({ min: 0, max: 20 }),
  queueTokensMax: fc.constantFrom(30, 300, 1_000),
  agedAfterMs: fc.constant(agedAfterMs)
})
// `nth` counts among the requests that are there, so that most commands meet one.
const nth = fc.nat({ max: 5 })
const asking = fc.record({
  type: fc.constant("admit" as const),
  user: fc.constantFrom(...users, ...greedy),
  class: fc.constantFrom<Schedule.Class>("interactive", "background"),
  // Several short ones make way for one that is long.
  promptTokens: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 20, max: 40 })),
  answerTokensMax: fc.integer({ min: 1, max: 20 })
})
const command = fc.oneof(
  { weight: 8, arbitrary: asking },
  { weight: 9, arbitrary: fc.constant({ type: "fill" as const }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("release" as const),
      nth,
      end: fc.constantFrom<Schedule.End>("done", "cancelled", "failed")
    })
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("requeue" as const), nth }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("pin" as const), nth }) },
  { weight: 1, arbitrary: fc.constant({ type: "requeue all" as const }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("say" as const), nth, tokens: nth }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("settle" as const), nth, tokens: nth }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("measure" as const), nth, tokens: fc.nat({ max: 60 }) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("give way" as const), nth }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("resize" as const), slots: fc.integer({ min: 0, max: 5 }) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("pass" as const), ms: fc.constantFrom(1, 40, 100) }) }
)
export const commands = fc.array(command, { maxLength: 120, size: "max" })
export type Command = typeof command extends fc.Arbitrary<infer C> ? C : never

/** What is to be seen of a request, as the schedule is changed in place. */
export interface View extends Request {
  readonly state: "waiting" | "running" | "gone"
  readonly deaths: number
  readonly admittedMs: number
  readonly tokens: number
  readonly promptSeen: number
  readonly charged: { readonly prompt: number; readonly answer: number }
  readonly isStopping: boolean
  readonly isPinned: boolean
}

/** Changed by its functions, beside what was decided. */
export type Totals = Pick<
  State,
  "slots" | "waiting" | "waitingTokens" | "waitingBackground" | "reservedTokens" | "tally"
>

export interface Moment {
  readonly command: Command
  readonly nowMs: number
  readonly before: ReadonlyArray<View>
  readonly after: ReadonlyArray<View>
  /** What `fill` started and stopped, by id. */
  readonly started: ReadonlyArray<number>
  readonly stopped: ReadonlyArray<number>
  readonly refusal: Schedule.Refusal | undefined
  readonly next: number | undefined
  /** In the order of their places. */
  readonly order: ReadonlyArray<number>
  readonly totals: Totals
}

const viewOf = (ticket: Ticket): View => ({
  ...ticket.request,
  state: ticket.state,
  deaths: ticket.deaths,
  admittedMs: ticket.admittedMs,
  tokens: ticket.tokens,
  promptSeen: ticket.promptTokens,
  charged: { ...ticket.charged },
  isStopping: ticket.isStopping,
  isPinned: ticket.isPinned
})

export function live(limits: Schedule.Limits, commands: ReadonlyArray<Command>): ReadonlyArray<Moment> {
  const state: State = Schedule.empty(limits)
  const tickets: Array<Ticket> = []
  let nowMs = 0
  return commands.map((command): Moment => {
    const before = tickets.map(viewOf)
    let started: ReadonlyArray<Ticket> = []
    let stopped: ReadonlyArray<Ticket> = []
    let refusal: Schedule.Refusal | undefined
    const running = [...state.running]
    if (command.type === "pass") nowMs += command.ms
    else if (command.type === "resize") Schedule.resize(state, command.slots)
    else if (command.type === "fill") ({ started, stopped } = Schedule.fill(state, nowMs))
    else if (command.type === "admit") {
      const { type: _, ...request } = command
      const ticket = Schedule.admit(state, { id: tickets.length, ...request }, nowMs)
      if (typeof ticket === "string") refusal = ticket
      else tickets.push(ticket)
      // Losses arrive in any order.
    } else if (command.type === "requeue all")
      for (const ticket of running.toReversed()) Schedule.requeue(state, ticket)
    else if (command.type === "release") {
      const ticket = tickets.filter(({ state }) => state !== "gone")[command.nth]
      if (ticket) Schedule.release(state, ticket, command.end)
    } else onRunning(state, running, command)
    const waiting = tickets.filter(({ state }) => state === "waiting")
    const places = waiting.map((ticket) => [ticket.request.id, placeOf(state, ticket)!] as const)
    const { tally, reservedTokens, slots, waiting: count, waitingBackground, waitingTokens } = state
    return {
      ...{ command, nowMs, before, refusal },
      after: tickets.map(viewOf),
      started: started.map(({ request }) => request.id),
      stopped: stopped.map(({ request }) => request.id),
      next: Schedule.nextOf(state)?.request.id,
      order: places.toSorted(([, a], [, b]) => a - b).map(([id]) => id),
      totals: { slots, waiting: count, waitingTokens, waitingBackground, reservedTokens, tally: { ...tally } }
    }
  })
}

type OnRunning = Extract<Command, { type: "requeue" | "pin" | "say" | "settle" | "measure" | "give way" }>

function onRunning(state: State, running: ReadonlyArray<Ticket>, command: OnRunning): void {
  const ticket = running.filter(({ isStopping }) => command.type !== "give way" || isStopping)[command.nth]
  if (ticket === undefined) return
  const { answerTokensMax } = ticket.request
  if (command.type === "requeue") Schedule.requeue(state, ticket)
  else if (command.type === "pin") ticket.isPinned = true
  else if (command.type === "give way") Schedule.giveWay(state, ticket)
  else if (command.type === "measure") Schedule.measure(state, ticket, command.tokens)
  else if (command.type === "settle") Schedule.settle(ticket, Math.min(command.tokens, answerTokensMax))
  else Schedule.progress(ticket, Math.min(ticket.charged.answer + command.tokens, answerTokensMax))
}
