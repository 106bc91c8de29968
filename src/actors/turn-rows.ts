/** The rows by which a turn ends: what is kept of it, what the person is told, and what its events have become. */
import { storable } from "../domain/inbound.ts"
import type { ConversationAction, InferenceFailure } from "../machines/conversation.ts"
import type { MessageRow, Rows } from "../store/journal.ts"

type Action<T extends ConversationAction["type"]> = Extract<ConversationAction, { readonly type: T }>

const words: Record<InferenceFailure | "overdue", string> = {
  busy: "Too many people are asking just now. Please ask again in a minute.",
  broken: "The model failed while it answered. Please ask again; if it happens twice, tell the operator.",
  "too-long": "That is longer than the model can read at once. Please ask about a shorter text.",
  overdue: "The model has not finished in time, so I gave up. Please ask again."
}
const stopped = "Stopped."
const nothing = "The model had nothing to say to that. Please ask in other words."
const unreadable = "I could not read that message. It was kept for the operator."

/** `draft` is what the model said. Where it said nothing, Parley itself says so. */
export function answeredRows({ turn, upTo }: Action<"turn.answered">, draft: string, key: string): Partial<Rows> {
  const message = saidOr(draft, nothing, turn)
  return {
    messages: [message],
    outbound: [{ key, turn, text: message.text, outcome: "answered" }],
    settle: [{ after: 0, upTo, fate: "answered", turn, key }]
  }
}

/** What was said so far is the answer. */
export function stoppedRows(action: Action<"turn.stopped">, draft: string, key: string): Partial<Rows> {
  const { dropTo, turn, upTo } = action
  const message = saidOr(draft, stopped, turn)
  const answered = { after: 0, upTo, fate: "answered" as const, turn, key }
  const superseded = { after: upTo, upTo: dropTo, fate: "superseded" as const, turn, key }
  return {
    messages: [message],
    outbound: [{ key, turn, text: message.text, outcome: "stopped" }],
    settle: dropTo > upTo ? [answered, superseded] : [answered]
  }
}

export function failedRows({ reason, turn, upTo }: Action<"turn.failed">, key: string): Partial<Rows> {
  const fate = reason === "busy" || reason === "too-long" ? "shed" : "dead"
  const text = words[reason]
  return {
    messages: [{ role: "notice", text, turn }],
    outbound: [{ key, turn, text, outcome: fate }],
    settle: [{ after: 0, upTo, fate, turn, key }],
    deadLetters: fate === "dead" ? [{ kind: "turn", reference: String(turn), reason }] : []
  }
}

/** Of the event at `position`, which the machine could not take. */
export function unreadableRows(position: number, turn: number, key: string): Partial<Rows> {
  return {
    messages: [{ role: "notice", text: unreadable, turn }],
    outbound: [{ key, turn, text: unreadable, outcome: "dead" }],
    settle: [{ after: position - 1, upTo: position, fate: "dead", key }]
  }
}

function saidOr(draft: string, notice: string, turn: number): MessageRow {
  const text = storable(draft.trim())
  return text === "" ? { role: "notice", text: notice, turn } : { role: "assistant", text, turn }
}
