/** What the scheduler works on: its engine, its schedule, and who waits to be told of a slot. */
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { Engine } from "./engine.ts"
import { type Pace, paceGuess, tokensWaitMs, turnsWaitMs } from "./pace.ts"
import { placeOf } from "./place.ts"
import * as Schedule from "./schedule.ts"
import type { ModelFailed } from "./scheduler.ts"
import { emptyTimings, type Timings } from "./timings.ts"

export interface Turn extends Schedule.Request {
  readonly id: string
  /** Done when this attempt has its slot; fails when it will never have one. */
  start: Deferred.Deferred<void, ModelFailed>
  /** Done when this attempt is to make way. */
  stop: Deferred.Deferred<void>
  /** When its first attempt had a slot, and when the first of its tokens came. */
  startedMs?: number
  firstTokenMs?: number
}

export type Ticket = Schedule.Ticket<Turn>

/** `Limits` are the scheduler's own. */
export interface Floor<Limits = unknown> {
  readonly engine: Engine
  readonly limits: Limits
  readonly clock: Clock.Clock
  readonly schedule: Schedule.Schedule<Turn>
  readonly tickets: Map<string, Ticket>
  /** Open until the engine is ready first, and from a loss until it is back; meanwhile nobody starts. */
  readonly lost: Latch.Latch
  lossReason: string
  /** Losses since an answer was last finished. */
  lossesInRow: number
  restarts: number
  pace: Pace
  readonly timings: Timings
}

/** Nothing has happened yet. */
export function newFloor<Limits>(
  given: Pick<Floor<Limits>, "engine" | "limits" | "clock" | "schedule" | "lost">
): Floor<Limits> {
  const none = { tickets: new Map(), lossReason: "", lossesInRow: 0, restarts: 0 }
  return { ...given, ...none, pace: paceGuess, timings: emptyTimings() }
}

/** How many requests start before one, and how long that takes if turns go on taking as long as they did of late. */
export interface Wait {
  readonly ahead: number
  readonly waitMs: number
  /** The model is not in memory, and is loaded first. */
  readonly loading?: true
}

export function startNext({ clock, lost, schedule }: Floor): void {
  if (Latch.isOpen(lost)) return
  const { started, stopped } = Schedule.fill(schedule, clock.currentTimeMillisUnsafe())
  for (const { request } of stopped) Deferred.doneUnsafe(request.stop, Effect.void)
  for (const { request } of started) Deferred.doneUnsafe(request.start, Effect.void)
}

/** The engine takes so many from now on. */
export function resize(floor: Floor, slots: number): void {
  Schedule.resize(floor.schedule, slots)
  startNext(floor)
}

/** A second time it changes nothing: first at the end of the engine's work, then at the end of the reader's. */
export function leave(floor: Floor, ticket: Ticket, end: Schedule.End): void {
  if (floor.tickets.get(ticket.request.id) === ticket) floor.tickets.delete(ticket.request.id)
  Schedule.release(floor.schedule, ticket, end)
  startNext(floor)
}

/** It has left its slot, and waits again. */
export function makeWay(floor: Floor, ticket: Ticket): void {
  begin(ticket)
  Schedule.giveWay(floor.schedule, ticket)
  startNext(floor)
}

/** Of its next attempt nobody has been told anything. */
export function begin({ request }: Ticket): void {
  request.start = Deferred.makeUnsafe()
  request.stop = Deferred.makeUnsafe()
}

export function waitOf({ pace, schedule, tickets }: Floor, id: string): Wait | undefined {
  const ticket = tickets.get(id)
  const ahead = ticket && placeOf(schedule, ticket)
  if (ahead === undefined) return undefined
  return { ahead, waitMs: Math.round(turnsWaitMs(pace, schedule.slots, ahead + 1)) }
}

const retryAfterMinMs = 1_000
const retryAfterMaxMs = 60_000

/** How long those who wait are expected to take. */
export function retryAfterMsOf({ pace, schedule }: Floor, reason: Schedule.Refusal): number {
  const { slots, waiting, waitingTokens } = schedule
  const expectedMs = reason === "count" ? turnsWaitMs(pace, slots, waiting) : tokensWaitMs(pace, slots, waitingTokens)
  return Math.round(Math.min(Math.max(expectedMs, retryAfterMinMs), retryAfterMaxMs))
}
