/** What comes over `/ws` from a page, read once, and what goes back. */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { type Inbound, storable } from "../../domain/inbound.ts"
import type { ClientFrame, ServerFrame } from "./frames.ts"

export const textMaxBytes = 65_536
/** A text may be escaped in JSON, six bytes for one. */
export const frameMaxBytes = 6 * textMaxBytes + 1_024

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const thread = /^[0-9a-f]{32}$/

const Frame = Schema.Union([
  Schema.Struct({
    type: Schema.Literal("hello"),
    conversation: Schema.optionalKey(Schema.String.check(Schema.isPattern(thread))),
    since: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })))
  }),
  Schema.Struct({
    type: Schema.Literal("message"),
    id: Schema.String.check(Schema.isPattern(uuid)),
    text: Schema.String
  }),
  Schema.Struct({ type: Schema.Literal("typing") }),
  Schema.Struct({ type: Schema.Literal("stop") })
])

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Frame))

/** Undefined when it is not of the form. */
export function frameOf(text: string): ClientFrame | undefined {
  return Option.getOrUndefined(decode(text))
}

export function textOf(frame: ServerFrame): string {
  return JSON.stringify(frame)
}

/**
 * The event of a message, or why it is none. Its key holds the conversation's, which nobody else knows: so no stranger
 * can take an id before its owner does.
 */
export function inboundOf(
  account: string,
  conversation: string,
  { id, text }: Extract<ClientFrame, { readonly type: "message" }>
): Inbound | "empty" | "too-long" {
  const stored = storable(text)
  if (stored.trim() === "") return "empty"
  if (Buffer.byteLength(stored) > textMaxBytes) return "too-long"
  return eventOf(account, conversation, id.toLowerCase(), stored)
}

export function eventOf(account: string, conversation: string, id: string, text: string): Inbound {
  return {
    channel: "web",
    account,
    eventKey: `${conversation}/${id}`,
    thread: conversation,
    // Whoever knows the conversation is its person: fairness counts conversations.
    user: { id: conversation },
    text
  }
}

/** The id of the message that an event's key was made of. */
export function idOf(eventKey: string): string {
  return eventKey.slice(eventKey.indexOf("/") + 1)
}
