/** The durable record between any two steps: what happened, what a conversation is since, what it owes. */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type { Accepted, Fate, Inbound } from "../domain/inbound.ts"
import type { Outbound, Outcome } from "../domain/outbound.ts"
import type { WriterStats } from "./group-commit.ts"

/** An accepted event that has no fate yet. */
export interface PendingInbound {
  readonly conversation: string
  readonly position: number
  readonly eventKey: string
  readonly user: { readonly id: string; readonly name?: string }
  readonly text: string
}

export interface StoredTimer {
  readonly id: string
  readonly event: string
  readonly armed: number
  /** Milliseconds since the epoch. */
  readonly dueAtMs: number
}

export interface StoredSnapshot {
  readonly machine: string
  readonly version: number
  readonly value: unknown
  readonly context: unknown
}

/** All rows of one transition. They are written together or not at all. */
export interface Entry extends Rows {
  readonly conversation: string
  /** 1, 2, 3, …, without gaps. With `conversation` the primary key, and so the fencing token. */
  readonly seq: number
  readonly atMs: number
  readonly event: { readonly type: string }
  readonly snapshot: StoredSnapshot
  /** All timers there are after this event: they replace those of the entry before. */
  readonly timers: ReadonlyArray<StoredTimer>
  /** The position of the last inbound event that the machine has seen. */
  readonly handled: number
  /** What is owed needs a live actor: it is woken at every start. */
  readonly open: boolean
  /** How often performing this event has failed so far. */
  readonly defects: number
  /** Numbers the messages of the conversation: the last one after this entry. */
  readonly messageSeq: number
  /** Of the delivery machine that takes what is owed. */
  readonly deliveryVersion: number
  /** Why the event could not be handled, where that is so. */
  readonly dead?: string
}

/** What a transition adds beside its event and snapshot. */
export interface Rows {
  readonly messages: ReadonlyArray<MessageRow>
  readonly outbound: ReadonlyArray<OutboundRow>
  readonly settle: ReadonlyArray<Settlement>
  readonly deadLetters: ReadonlyArray<DeadLetter>
}

export interface MessageRow {
  /** A `notice` is said by Parley itself: it is shown, and is no part of a prompt. */
  readonly role: "user" | "assistant" | "notice"
  readonly text: string
  readonly turn: number
  readonly position?: number
}

export interface StoredMessage {
  readonly role: "user" | "assistant"
  readonly text: string
  readonly turn: number
  /** Who wrote it, and in which event; read for the newest turn only. */
  readonly userId?: string
  readonly eventKey?: string
}

export interface OutboundRow {
  /** The idempotency key: the same on every attempt to deliver it. */
  readonly key: string
  readonly turn: number
  readonly text: string
  readonly outcome: Outcome
}

/** Gives all pending events of the conversation in (after, upTo] their fate. */
export interface Settlement {
  readonly after: number
  readonly upTo: number
  readonly fate: Fate
  readonly turn?: number
  /** The rule by which an event is ignored. */
  readonly rule?: string
  /** The outbound message whose `inReplyTo` names them. */
  readonly key?: string
}

export interface DeadLetter {
  readonly kind: "inbound" | "turn" | "outbound"
  /** The position, the turn or the key. */
  readonly reference: string
  readonly reason: string
}

export interface Attempt {
  readonly conversation: string
  readonly key: string
  /** 1, 2, 3, …; with `key` the fencing token of delivery. */
  readonly n: number
  readonly atMs: number
}

/** How an attempt ended, and what becomes of its message. */
export interface AttemptEnd extends Attempt {
  readonly result: "delivered" | "not-sent" | "rejected" | "throttled" | "ambiguous"
  readonly reason: string
  readonly receipt: string
  readonly state: "due" | "delivered" | "dead"
  readonly dueAtMs: number
}

/** A conversation as its next owner finds it: everything in one read. */
export interface Stored {
  readonly seq: number
  /** When its last entry was written. */
  readonly atMs: number
  readonly snapshot: StoredSnapshot
  readonly timers: ReadonlyArray<StoredTimer>
  readonly handled: number
  readonly defects: number
  readonly messageSeq: number
}

export interface Loaded {
  readonly stored: Stored | undefined
  /** In order; at most as many as were asked for. */
  readonly pending: ReadonlyArray<PendingInbound>
  /** Where the numbers of a conversation go on that was forgotten: they make idempotency keys, which never repeat. */
  readonly forgotten?: Pick<Stored, "seq" | "messageSeq">
}

/** An undelivered message, and the attempts made so far. */
export interface Due {
  readonly outbound: Outbound
  readonly attempts: number
  /** Of these, the ones before an operator had it sent again. */
  readonly attemptsBefore: number
  /** The last attempt has no end: the server died while it was sent. */
  readonly wasSending: boolean
  readonly dueAtMs: number
  /** Since when its age counts. */
  readonly atMs: number
}

/** Another owner wrote this entry or attempt: whoever sees it owns the conversation no longer, and stops. */
export class FencedOff extends Data.TaggedError("FencedOff")<{
  readonly conversation: string
  readonly seq: number
}> {}

/** The database will never take this row, whatever it is written with. */
export class Refused extends Data.TaggedError("Refused")<{ readonly reason: string }> {}

/** The store did not answer, or has no room. The row may be written or not: only a read can tell. */
export class Unavailable extends Data.TaggedError("Unavailable")<{
  readonly reason: string
  /** Its answer was lost, and so was every question after it. */
  readonly mayBeWritten?: boolean
}> {}

export class Journal extends Context.Service<
  Journal,
  {
    /**
     * Makes an event durable, once per (channel, account, event key). `onAccepted` is called for new events in the
     * order of their positions, in the tick in which their flush is known, whether or not the caller still waits.
     * `pending` tells that the event has no fate yet; a duplicate's text is the one that was stored first.
     */
    readonly accept: (
      inbound: Inbound,
      onAccepted: (accepted: Accepted & { readonly pending: boolean }) => void
    ) => Effect.Effect<Accepted & { readonly pending: boolean }, Refused | Unavailable>
    /**
     * Writes the entry in one transaction; on success it is flushed to disk, and the messages it owes are returned.
     * On `FencedOff` or `Refused` nothing of it was written. Interrupting does not undo it.
     */
    readonly commit: (entry: Entry) => Effect.Effect<ReadonlyArray<Outbound>, FencedOff | Refused | Unavailable>
    /** Writes the row without which nothing is sent. */
    readonly begin: (attempt: Attempt) => Effect.Effect<void, FencedOff | Refused | Unavailable>
    readonly end: (attempt: AttemptEnd) => Effect.Effect<void, Refused | Unavailable>
    /** Waits until it is known what became of every write that was begun before. */
    readonly drained: Effect.Effect<void, Unavailable>
    /** How its writer does, where there is one. */
    readonly stats?: WriterStats
    /** The newest state of a conversation and what it has not handled yet, in one read. */
    readonly load: (conversation: string, pendingMax: number) => Effect.Effect<Loaded, Unavailable>
    /** The undelivered messages of a conversation, in order. */
    readonly due: (conversation: string, dueMax: number) => Effect.Effect<ReadonlyArray<Due>, Unavailable>
    /** The newest messages up to that turn that are no notices, in the order in which they were stored. */
    readonly messages: (
      conversation: string,
      turn: number,
      messagesMax: number
    ) => Effect.Effect<ReadonlyArray<StoredMessage>, Unavailable>
  }
>()("parley/store/Journal") {}
