/** What an actor is to others, and what it takes to be one. interpreter.ts runs it. */
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { AnyStateMachine, EmittedFrom, EventFromLogic, InputFrom, SnapshotFrom } from "xstate"
import type { Outbound } from "../domain/outbound.ts"
import type { Entry, FencedOff, PendingInbound, Rows, Stored, StoredSnapshot, Unavailable } from "../store/journal.ts"

export interface Behaviour<M extends AnyStateMachine> {
  readonly machine: M
  readonly version: number
  /** Brings what the named version stored to the next one. State names are a storage format, also in timers. */
  readonly migrations: Readonly<Record<number, (stored: Migrated) => Migrated>>
  readonly input: InputFrom<M>
  /** Puts today's settings into a context that was stored with yesterday's. */
  readonly refresh: (context: SnapshotFrom<M>["context"]) => SnapshotFrom<M>["context"]
  readonly mailboxMax: number
  /** Events that are not written. They must be worthless after a crash. */
  readonly isEphemeral: (event: EventFromLogic<M>) => boolean
  /** Nothing is owed that needs a live actor: it may be put to sleep, and needs no waking at the next start. */
  readonly isAtRest: (snapshot: SnapshotFrom<M>) => boolean
  readonly eventOf: (inbound: PendingInbound) => EventFromLogic<M>
  /** The rows that make an action durable: they are committed with its event. Empty for a volatile action. */
  readonly rows: (action: EmittedFrom<M>, facts: Facts) => Partial<Rows>
  /** What is written, and the person told, when the machine throws on an event. */
  readonly apology: (facts: Facts) => Partial<Rows>
  /**
   * Told each entry in the tick in which it is known to be durable, and how long that took, before its actions are
   * performed.
   */
  readonly written?: (entry: Entry, took: Duration.Duration) => void
  /** Does what is volatile about an action. Must fork what takes time: the mailbox waits for it. */
  readonly perform: (action: EmittedFrom<M>, self: Actor<M>) => Effect.Effect<void>
  /** Ends what `perform` set going. */
  readonly close: Effect.Effect<void>
}

/** The timers of `after` bear the path of their state in `id` and `event`. */
export type Migrated = Pick<StoredSnapshot, "value" | "context"> & Pick<Stored, "timers">

/** What the rows of an action may depend on beside it. */
export interface Facts {
  /** The event that came in from a person, if it did. */
  readonly inbound: PendingInbound | undefined
  /** A fresh idempotency key for a message of this entry; the same ones in the same order if it is decided again. */
  readonly nextKey: () => string
}

/** Takes the messages that an entry owes, once they are durable. */
export type Deliver = (owed: ReadonlyArray<Outbound>) => void

export interface Actor<M extends AnyStateMachine> {
  readonly id: string
  /** Takes an accepted event at once. False when there is no room: it is read from the journal later, in its order. */
  readonly offer: (inbound: PendingInbound) => boolean
  /** How many events it was offered that have no fate yet. */
  readonly inboxSize: number
  /** An event that may be lost, and is when there is no room. */
  readonly hint: (event: EventFromLogic<M>) => void
  /** Waits for room: for what the actor itself set going. */
  readonly report: (event: EventFromLogic<M>) => Effect.Effect<void, Stopped>
  /** Makes it look into the journal for events that it was not offered. */
  readonly wake: () => void
  /** True when it did nothing and was asked nothing since `sinceMs`, owes nothing, and takes nothing any more. */
  readonly rest: (sinceMs: number) => boolean
  /** Runs it, until it is interrupted or cannot go on. */
  readonly run: Effect.Effect<never, FencedOff | Unavailable | Stopped>
}

/** The actor is gone. What was reported to it may be durable or not: its successor reads the journal. */
export class Stopped extends Data.TaggedError("Stopped")<{ readonly id: string; readonly reason: string }> {
  /** What a log line shows of it. */
  override get message(): string {
    return this.reason
  }
}
