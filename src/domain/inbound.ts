/** One event of a platform, as an adapter hands it to intake. */

export interface Inbound {
  readonly channel: string
  readonly account: string
  /** The platform's own id of the event. Platforms deliver twice; equal keys of one account are one event. */
  readonly eventKey: string
  /** Where to answer: opaque to everyone but the adapter that made it. */
  readonly thread: string
  readonly user: { readonly id: string; readonly name?: string }
  /** Well-formed UTF-16 without U+0000, for PostgreSQL stores neither (see `storable`). */
  readonly text: string
}

/** An inbound event that is durable. */
export interface Accepted {
  readonly conversation: string
  /** In commit order over all conversations; a conversation handles its events in this order. */
  readonly position: number
  /** The event was durable before this call. */
  readonly duplicate: boolean
}

/** What an accepted event can end in (DESIGN.md, I4). */
export type Fate = "answered" | "ignored" | "superseded" | "shed" | "dead"

/** PostgreSQL refuses U+0000 and lone surrogates: each becomes U+FFFD, so that one text cannot spoil a batch. */
export function storable(text: string): string {
  return text.toWellFormed().replaceAll("\u0000", "\uFFFD")
}
