/** What the outside saw: what people wrote and were told, what the model was asked and said, what platforms got. */

export type DeliveryClass = "A" | "B" | "C" | "D"

/** An event of a platform. */
export interface Wrote {
  readonly type: "wrote"
  readonly atMs: number
  readonly account: string
  readonly thread: string
  readonly user: string
  /** The platform's id of the event. */
  readonly key: string
  readonly text: string
  readonly isCommand: boolean
}

/** The platform gave the event to the server for the first time. */
export interface Posted {
  readonly type: "posted"
  readonly atMs: number
  readonly key: string
}

/** What the platform was told of it. */
export interface Told {
  readonly type: "told"
  readonly atMs: number
  readonly key: string
  readonly answer: "accepted" | "duplicate" | "refused"
}

/** The model began to answer. */
export interface Asked {
  readonly type: "asked"
  readonly atMs: number
  /** Names this generation. */
  readonly mark: string
  readonly process: string
  readonly user: string
  /** All that it was shown of the conversation, oldest first. */
  readonly prompt: ReadonlyArray<{ readonly role: string; readonly content: string }>
}

/** The model ended: all that it said, and whether that was all. */
export interface Said {
  readonly type: "said"
  readonly atMs: number
  readonly mark: string
  readonly text: string
  readonly isWhole: boolean
}

/** A send reached the platform. */
export interface Received {
  readonly type: "received"
  readonly atMs: number
  readonly account: string
  readonly class: DeliveryClass
  readonly thread: string
  readonly key: string
  readonly text: string
  readonly turn: number
  readonly inReplyTo: ReadonlyArray<string>
  readonly outcome: string
  /** What it does with it. */
  readonly result: "shown" | "known" | "throttled" | "failed" | "rejected"
  /** Of `throttled`. */
  readonly retryAfterMs?: number
  /** The server was told. */
  readonly isHeard: boolean
}

/** A piece of an answer that a person sees grow. */
export interface Glimpsed {
  readonly type: "glimpsed"
  readonly atMs: number
  /** The process that showed it: what is shown is volatile. */
  readonly process: string
  readonly account: string
  readonly thread: string
  readonly turn: number
  readonly attempt: number
  readonly at: number
  readonly text: string
}

/** A process began, or ended. */
export interface Lived {
  readonly type: "started" | "ended"
  readonly atMs: number
  readonly process: string
}

/** Somebody set the server's clock. */
export interface Jumped {
  readonly type: "jumped"
  readonly atMs: number
  readonly byMs: number
}

/** What the operator is shown at the end. */
export interface Reported {
  readonly type: "reported"
  readonly atMs: number
  /** By term, over all accounts. */
  readonly counts: Readonly<Record<string, number>>
  /** Keys of messages that were given up. */
  readonly deadLetters: ReadonlyArray<string>
  /** Of each key, how many attempts ended in doubt. */
  readonly ambiguous: Readonly<Record<string, number>>
}

/** From here on nothing goes wrong. */
export interface Quiet {
  readonly type: "quiet"
  readonly atMs: number
}

export type Observation = Wrote | Posted | Told | Asked | Said | Received | Glimpsed | Lived | Jumped | Reported | Quiet

/** What was promised to this world. */
export interface Promised {
  readonly attemptsMax: number
  readonly slotsMax: number
  /** The longest that a person waits for an end of a turn when nothing goes wrong. */
  readonly turnMaxMs: number
}
