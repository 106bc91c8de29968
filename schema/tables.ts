/** The tables as Kysely sees them. Times are milliseconds since the epoch; a conversation's id names its account. */
import type { Generated } from "kysely"

export interface Tables {
  readonly inbound: InboundTable
  readonly conversation: ConversationTable
  readonly event: EventTable
  readonly message: MessageTable
  readonly outbound: OutboundTable
  readonly attempt: AttemptTable
  readonly dead_letter: DeadLetterTable
  readonly tally: TallyTable
  readonly audit: AuditTable
  readonly forgotten: ForgottenTable
}

/** Accepted events. `fate` is null while pending. */
export interface InboundTable {
  readonly position: Generated<number>
  readonly entry: string
  readonly account: string
  readonly conversation: string
  readonly event_key: string
  readonly user_id: string
  readonly user_name: string | null
  readonly text: string
  readonly at_ms: number
  readonly fate: string | null
  readonly turn: number | null
  readonly rule: string | null
  /** The key of the outbound message it stands in. */
  readonly reply: string | null
}

/** Where each conversation stands since its last event. */
export interface ConversationTable {
  readonly id: string
  readonly account: string
  readonly machine: string
  readonly version: number
  readonly value: unknown
  readonly context: unknown
  readonly seq: number
  readonly message_seq: number
  /** The position of the last inbound event that its machine has seen. */
  readonly handled: number
  readonly timers: unknown
  readonly wake_at_ms: number | null
  /** Something is owed that only a live actor can do. */
  readonly open: boolean
  /** How often performing its last event has failed. */
  readonly defects: number
  readonly at_ms: number
}

/** What happened to each conversation. The primary key (conversation, seq) is the fencing token. */
export interface EventTable {
  readonly conversation: string
  readonly seq: number
  readonly entry: string
  readonly type: string
  readonly payload: unknown
  readonly dead: string | null
  readonly at_ms: number
}

export interface MessageTable {
  readonly conversation: string
  readonly seq: number
  readonly role: string
  readonly text: string
  readonly turn: number
  readonly position: number | null
  readonly at_ms: number
}

/** The outbox. Delivered in the order of (seq, index) within a conversation. */
export interface OutboundTable {
  readonly key: string
  readonly conversation: string
  readonly seq: number
  readonly index: number
  readonly turn: number
  readonly text: string
  readonly outcome: string
  readonly in_reply_to: ReadonlyArray<string>
  readonly state: "due" | "delivered" | "dead"
  readonly due_at_ms: number
  readonly at_ms: number
  /** Of the delivery machine that `state` belongs to. */
  readonly version: number
  /** Of its attempts, those that were made before it was last replayed. */
  readonly attempts_before: Generated<number>
  /** When it was last replayed: its age counts from then. */
  readonly renewed_at_ms: number | null
}

/** One row before each send. Its primary key (outbound, n) fences delivery. */
export interface AttemptTable {
  readonly outbound: string
  readonly n: number
  readonly entry: string
  readonly at_ms: number
  readonly result: string | null
  readonly reason: string | null
  readonly receipt: string | null
  readonly ended_at_ms: number | null
}

export interface DeadLetterTable {
  readonly id: Generated<number>
  readonly kind: string
  readonly conversation: string
  readonly reference: string
  readonly reason: string
  readonly state: Generated<"open" | "replayed" | "discarded">
  readonly at_ms: number
}

/** What operators did. */
export interface AuditTable {
  readonly id: Generated<number>
  readonly at_ms: number
  /** Who it was, in their own words. */
  readonly operator: string
  /** The network address that asked. */
  readonly address: string
  readonly action: "replay" | "discard" | "forget"
  /** Of one that was forgotten, the hash that `forgotten` has. */
  readonly conversation: string
  /** A dead letter's id; empty where the action is of the whole conversation. */
  readonly subject: string
}

/**
 * Where the numbers of a forgotten conversation go on, should it begin again: its idempotency keys are made of them.
 * It is named by the SHA-256 of its id, in hexadecimal.
 */
export interface ForgottenTable {
  readonly conversation: string
  readonly seq: number
  readonly message_seq: number
  readonly at_ms: number
}

/** Running counts of what was accepted and of what became of it, kept by the same transactions. */
export interface TallyTable {
  readonly account: string
  readonly term: string
  readonly count: number
}
