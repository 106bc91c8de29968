/** A pool of GPUs in virtual time: requests come, the schedule decides, a step takes as long as a table says. */
import { type Placed, pull, push } from "../src/inference/heap.ts"
import * as Schedule from "../src/inference/schedule.ts"

export interface Arrival {
  readonly atMs: number
  readonly user: string
  readonly class: Schedule.Class
  readonly promptTokens: number
  /** What the model will say, and what it may. */
  readonly answerTokens: number
  readonly answerTokensMax: number
}

export interface Costs {
  /** Of one decode step, when so many requests run in the pool. */
  readonly stepMs: (running: number) => number
  readonly prefillTokenMs: number
}

export interface Outcome extends Arrival {
  /** The first of its last attempt. */
  startedMs: number
  endedMs: number
  stops: number
  refusal: Schedule.Refusal | undefined
}

export interface World {
  readonly limits: Schedule.Limits
  readonly costs: Costs
  readonly arrivals: ReadonlyArray<Arrival>
  /** Nothing is looked at afterwards. */
  readonly untilMs: number
  /** Whom fairness counts; the user when it is left out. */
  readonly lineOf?: (arrival: Arrival) => string
  /** After each event. */
  readonly watch?: (schedule: Schedule.Schedule<Job>, nowMs: number) => void
}

export interface Job extends Schedule.Request {
  readonly outcome: Outcome
  said: number
  attempt: number
}

interface Event extends Placed {
  readonly atMs: number
  readonly nth: number
  readonly happen: () => void
}

const isBefore = (a: Event, b: Event) => (a.atMs === b.atMs ? a.nth < b.nth : a.atMs < b.atMs)
/** Tokens that are decoded between two looks at how many run. */
const chunkTokens = 16

/** Those who are still waiting or running at the end have ended at infinity. */
export function simulate(world: World): ReadonlyArray<Outcome> {
  const { costs, limits, lineOf = ({ user }) => user, untilMs, watch } = world
  const schedule = Schedule.empty<Job>(limits)
  const events: Array<Event> = []
  let nowMs = 0
  let nth = 0
  const after = (ms: number, happen: () => void) =>
    push(events, { atMs: nowMs + ms, nth: nth++, happen, place: -1 }, isBefore)

  const run = (ticket: Schedule.Ticket<Job>, firstMs: number) => {
    const job = ticket.request
    const { attempt } = job
    const tokens = Math.min(chunkTokens, job.outcome.answerTokens - job.said)
    after(firstMs + tokens * costs.stepMs(schedule.running.size), () => {
      if (job.attempt !== attempt) return
      job.said += tokens
      Schedule.progress(ticket, job.said)
      if (job.said < job.outcome.answerTokens) return run(ticket, 0)
      job.outcome.endedMs = nowMs
      Schedule.release(schedule, ticket, "done")
      fill()
    })
  }
  // Who makes way is gone at once: the step that is under way is not waited for.
  const fill = () => {
    const { started, stopped } = Schedule.fill(schedule, nowMs)
    for (const ticket of started) {
      ticket.request.outcome.startedMs = nowMs
      run(ticket, ticket.request.promptTokens * costs.prefillTokenMs)
    }
    for (const ticket of stopped) {
      ticket.request.attempt++
      ticket.request.said = 0
      ticket.request.outcome.stops++
      Schedule.giveWay(schedule, ticket)
    }
    if (stopped.length > 0) fill()
  }
  const arrive = (outcome: Outcome) => {
    const { answerTokensMax, promptTokens } = outcome
    const job: Job = {
      user: lineOf(outcome),
      class: outcome.class,
      promptTokens,
      answerTokensMax,
      outcome,
      said: 0,
      attempt: 0
    }
    const admitted = Schedule.admit(schedule, job, nowMs)
    if (typeof admitted === "string") outcome.refusal = admitted
    else fill()
  }

  const never = Number.POSITIVE_INFINITY
  const outcomes = world.arrivals.map((arrival): Outcome => {
    return { ...arrival, startedMs: never, endedMs: never, stops: 0, refusal: undefined }
  })
  for (const outcome of outcomes) after(outcome.atMs, () => arrive(outcome))
  for (let next = events[0]; next !== undefined && next.atMs <= untilMs; next = events[0]) {
    pull(events, next, isBefore)
    nowMs = next.atMs
    next.happen()
    watch?.(schedule, nowMs)
  }
  return outcomes
}

/** 1 when all have the same, 1/n when one has all (Jain, Chiu and Hawe, 1984). */
export function jainIndex(values: ReadonlyArray<number>): number {
  const sum = values.reduce((total, value) => total + value, 0)
  const squares = values.reduce((total, value) => total + value * value, 0)
  return squares === 0 ? 1 : sum ** 2 / (values.length * squares)
}

/** Numbers from 0 to 1 that are the same on every run (Marsaglia, "Xorshift RNGs", 2003). */
export function numbersOf(seed: number): () => number {
  let state = seed | 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}
