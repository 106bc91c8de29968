/** Ids that are derived, never drawn: the same input gives the same id after every crash. */
import { createHash } from "node:crypto"

export function accountId(channel: string, account: string): string {
  return `${channel}/${account}`
}

/** The account that a conversation belongs to. */
export function accountOf(conversation: string): string {
  return conversation.split("/", 2).join("/")
}

/** The id of a conversation. It names its account, so that every row of a person does. */
export function conversationId(channel: string, account: string, thread: string): string {
  return `${channel}/${account}/${thread}`
}

/** The channel, account and thread of a conversation's id; only a thread may contain a slash. */
export function partsOf(conversation: string): { channel: string; account: string; thread: string } {
  const [channel = "", account = "", ...thread] = conversation.split("/")
  return { channel, account, thread: thread.join("/") }
}

/** The idempotency key of the `index`-th message of a conversation's entry `seq`, safe in any HTTP header. */
export function outboundKey(conversation: string, seq: number, index: number): string {
  return `msg_${createHash("sha256").update(`${conversation}\n${seq}\n${index}`).digest("base64url").slice(0, 27)}`
}
