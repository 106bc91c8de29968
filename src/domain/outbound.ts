/** One message to a person, as delivery hands it to an adapter. */

/** How the turn it belongs to ended, in the words of the callback. */
export type Outcome = "answered" | "stopped" | "shed" | "dead"

export interface Outbound {
  /** The idempotency key: the same on every attempt. Letters, digits, `_` and `-` only. */
  readonly key: string
  readonly conversation: string
  /** Where to answer: what the adapter gave as `Inbound.thread`. */
  readonly thread: string
  readonly turn: number
  readonly text: string
  readonly outcome: Outcome
  /** The keys of the events it answers, in the order they were accepted. */
  readonly inReplyTo: ReadonlyArray<string>
}
