/** The rows by which a turn ends: what is kept of it, what the person is told, and what its events have become. */
import { storable } from "../domain/inbound.ts"
import type { ConversationAction } from "../machines/conversation.ts"
import type { MessageRow, Rows } from "../store/journal.ts"
import type { Notices } from "./notices.ts"

type Action<T extends ConversationAction["type"]> = Extract<ConversationAction, { readonly type: T }>

/** `draft` is what the model said. Where it said nothing, Parley itself says so. */
export function answeredRows(
  { turn, upTo }: Action<"turn.answered">,
  draft: string,
  key: string,
  notices: Notices
): Partial<Rows> {
  const message = saidOr(draft, notices.nothing, turn)
  return {
    messages: [message],
    outbound: [{ key, turn, text: message.text, outcome: "answered" }],
    settle: [{ after: 0, upTo, fate: "answered", turn, key }]
  }
}

/** What was said so far is the answer. */
export function stoppedRows(
  { dropTo, turn, upTo }: Action<"turn.stopped">,
  draft: string,
  key: string,
  notices: Notices
): Partial<Rows> {
  const message = saidOr(draft, notices.stopped, turn)
  const answered = { after: 0, upTo, fate: "answered" as const, turn, key }
  const superseded = { after: upTo, upTo: dropTo, fate: "superseded" as const, turn, key }
  return {
    messages: [message],
    outbound: [{ key, turn, text: message.text, outcome: "stopped" }],
    settle: dropTo > upTo ? [answered, superseded] : [answered]
  }
}

export function failedRows(
  { reason, retryAfterMs, turn, upTo }: Action<"turn.failed">,
  key: string,
  notices: Notices
): Partial<Rows> {
  const fate = reason === "busy" || reason === "down" || reason === "too-long" ? "shed" : "dead"
  const isLater = reason === "busy" || reason === "down"
  const text = isLater ? notices[reason](retryAfterMs) : notices.failed[reason]
  return {
    messages: [{ role: "notice", text, turn }],
    outbound: [{ key, turn, text, outcome: fate }],
    settle: [{ after: 0, upTo, fate, turn, key }],
    deadLetters: fate === "dead" ? [{ kind: "turn", reference: String(turn), reason }] : []
  }
}

/** Of the event at `position`, which the machine could not take. */
export function unreadableRows(
  position: number,
  turn: number,
  key: string,
  { unreadable: text }: Notices
): Partial<Rows> {
  return {
    messages: [{ role: "notice", text, turn }],
    outbound: [{ key, turn, text, outcome: "dead" }],
    settle: [{ after: position - 1, upTo: position, fate: "dead", key }]
  }
}

function saidOr(draft: string, notice: string, turn: number): MessageRow {
  const text = storable(draft.trim())
  return text === "" ? { role: "notice", text: notice, turn } : { role: "assistant", text, turn }
}
