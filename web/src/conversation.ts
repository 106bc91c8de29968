/**
 * One conversation as the page knows it: a pure function of what the server said and what the person did.
 *
 *   W1. Texts of two attempts are never shown together.
 *   W2. Each seq is shown once and in order.
 *   W3. A message that was sent is shown exactly once, whatever is lost, repeated or reconnected.
 *   W4. An overlap or a gap never garbles a draft.
 *   W5. A message is given up only by the server's word or the person's.
 */
import type { LiveState, Rejection, Role, ServerFrame } from "../../src/adapters/web/frames.ts"

export interface Conversation {
  /** Known from the first welcome on; who has it may read the conversation. */
  readonly id?: string
  /** Between a welcome and the end of its connection. */
  readonly isLive: boolean
  /** Final ones, by `seq`. */
  readonly messages: ReadonlyArray<Message>
  /** What the last welcome promised: history is complete when a message has it. */
  readonly promisedSeq: number
  /** The last turn that has its final message; a late delta of it changes nothing. */
  readonly endedTurn: number
  readonly draft?: Draft
  readonly outgoing: ReadonlyArray<Outgoing>
  readonly live: Live
}

export interface Message {
  readonly seq: number
  readonly role: Role
  readonly text: string
  readonly atMs: number
  readonly id?: string
}

export interface Draft {
  readonly turn: number
  readonly attempt: number
  readonly text: string
  /** It is of a connection that ended: the next delta from 0 replaces it, whatever its attempt. */
  readonly isStale: boolean
}

/**
 * What the person sent and the server has not repeated yet.
 * `waiting`: for a connection; `sending`: handed to this one; `paused`: refused for a moment, tried again by itself.
 */
export interface Outgoing {
  readonly id: string
  readonly text: string
  readonly atMs: number
  readonly status: "waiting" | "sending" | "paused" | "accepted" | "failed"
  readonly reason?: Rejection
  /** Of `paused`. */
  readonly retryAfterMs?: number
  readonly hasPaused?: boolean
}

export interface Live {
  readonly value: LiveState
  readonly ahead?: number
  readonly waitMs?: number
  readonly loading?: true
}

export type ConversationEvent =
  | ServerFrame
  | { readonly type: "closed" }
  | { readonly type: "write"; readonly message: Pick<Outgoing, "id" | "text" | "atMs" | "reason"> }
  /** It was given to the connection. */
  | { readonly type: "handed"; readonly id: string }
  | { readonly type: "send-again"; readonly id: string }
  | { readonly type: "discard"; readonly id: string }

/** A pause that the server gives no length for. */
const pauseMs = 3_000
const passing: ReadonlyArray<Rejection> = ["database", "inbox-full", "stopping"]

export function begin(id?: string): Conversation {
  const nothing = { isLive: false, messages: [], promisedSeq: 0, endedTurn: -1, outgoing: [] }
  return { ...nothing, ...(id === undefined ? {} : { id }), live: { value: "done" } }
}

export function step(state: Conversation, event: ConversationEvent): Conversation {
  switch (event.type) {
    case "welcome": {
      const known = isAnotherHistory(state, event) ? { ...begin(), outgoing: state.outgoing } : state
      return { ...known, id: event.conversation, promisedSeq: event.seq, isLive: true }
    }
    case "closed":
      return {
        ...withDraft(state, state.draft && { ...state.draft, isStale: true }),
        isLive: false,
        live: { value: "done" },
        outgoing: state.outgoing.map((one) => (isUnderWay(one) ? plain(one, "waiting") : one))
      }
    case "message":
      return settle(state, event)
    case "delta":
      return write(state, event)
    case "state": {
      const { type: _, ...live } = event
      return { ...(live.value === "streaming" ? state : withDraft(state, undefined)), live }
    }
    case "write":
      return add(state, event.message)
    case "accepted":
      return change(state, event.id, (one) => plain(one, "accepted"))
    case "rejected":
      return change(state, event.id, (one) => refuse(one, event))
    case "handed":
      return change(state, event.id, (one) => ({ ...one, status: "sending" }))
    case "send-again":
      return change(state, event.id, (one) => (one.status === "accepted" ? one : plain(one, "waiting")))
    case "discard":
      return { ...state, outgoing: state.outgoing.filter(({ id, status }) => id !== event.id || status !== "failed") }
  }
}

/** The highest seq seen: what a reconnection asks to go on from. */
export const newestSeq = (state: Conversation): number | undefined => state.messages.at(-1)?.seq

export const isCaughtUp = (state: Conversation): boolean => state.isLive && (newestSeq(state) ?? 0) >= state.promisedSeq

/** The server knows less than we do, or another conversation: what we show is not its history. */
export const isAnotherHistory = (state: Conversation, welcome: ServerFrame & { type: "welcome" }): boolean =>
  (state.id !== undefined && state.id !== welcome.conversation) || welcome.seq < (newestSeq(state) ?? 0)

function settle(state: Conversation, frame: ServerFrame & { type: "message" }): Conversation {
  const { type: _, turn, ...message } = frame
  const isAnswer = message.role !== "user"
  const isDrafted = isAnswer && state.draft !== undefined && state.draft.turn <= turn
  return {
    ...(isDrafted ? withDraft(state, undefined) : state),
    endedTurn: isAnswer ? Math.max(state.endedTurn, turn) : state.endedTurn,
    messages: insert(state.messages, message),
    outgoing: message.id === undefined ? state.outgoing : state.outgoing.filter(({ id }) => id !== message.id)
  }
}

function insert(messages: ReadonlyArray<Message>, message: Message): ReadonlyArray<Message> {
  const before = messages.findLastIndex(({ seq }) => seq <= message.seq)
  return messages[before]?.seq === message.seq ? messages : messages.toSpliced(before + 1, 0, message)
}

function write(state: Conversation, delta: ServerFrame & { type: "delta" }): Conversation {
  const { attempt, at, turn, text } = delta
  if (turn <= state.endedTurn) return state
  const shown = state.draft
  const isAnother = shown === undefined || turn > shown.turn || (turn === shown.turn && attempt > shown.attempt)
  // A server that started again may count its attempts from where it was: nothing is added to what another one said.
  if (isAnother || (shown.isStale && at === 0)) {
    // Without its beginning an attempt is not shown, but it ends the one before.
    return withDraft(state, { turn, attempt, text: at === 0 ? text : "", isStale: false })
  }
  const isOlder = turn < shown.turn || attempt < shown.attempt
  if (isOlder || shown.isStale || at > shown.text.length) return state
  return withDraft(state, { ...shown, text: shown.text + text.slice(shown.text.length - at) })
}

function withDraft(state: Conversation, draft: Draft | undefined): Conversation {
  if (draft !== undefined) return { ...state, draft }
  const { draft: _, ...rest } = state
  return rest
}

/** `reason`: it failed before the page was loaded again. */
function add(state: Conversation, message: Pick<Outgoing, "id" | "text" | "atMs" | "reason">): Conversation {
  const isKnown = [...state.messages, ...state.outgoing].some(({ id }) => id === message.id)
  const status = message.reason === undefined ? "waiting" : "failed"
  return isKnown ? state : { ...state, outgoing: [...state.outgoing, { ...message, status }] }
}

function refuse(one: Outgoing, frame: ServerFrame & { type: "rejected" }): Outgoing {
  if (one.status === "accepted") return one
  const isPassing = passing.includes(frame.reason) && one.hasPaused !== true
  const refused = { ...one, reason: frame.reason }
  return isPassing
    ? { ...refused, status: "paused", hasPaused: true, retryAfterMs: frame.retryAfterMs ?? pauseMs }
    : { ...refused, status: "failed" }
}

function change(state: Conversation, id: string, how: (one: Outgoing) => Outgoing): Conversation {
  return { ...state, outgoing: state.outgoing.map((one) => (one.id === id ? how(one) : one)) }
}

const isUnderWay = ({ status }: Outgoing) => status === "sending" || status === "paused"

/** `hasPaused` is kept while the page tries by itself, and forgotten when the person asks again. */
function plain(one: Outgoing, status: "waiting" | "accepted"): Outgoing {
  const { id, text, atMs, hasPaused } = one
  return { id, text, atMs, status, ...(hasPaused === true && one.status !== "failed" ? { hasPaused } : {}) }
}
