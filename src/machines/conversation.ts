/**
 * One conversation: a person writes, the model answers.
 *
 *   done ──message──▶ typing ──settle──▶ answering { awaiting-model ──started──▶ streaming }
 *    ▲ │               ▲ │ ▲                   │ │            ▲───restarted──────┘
 *    │ └───collected───┘ │ └───interrupting────┘ │
 *    ├───────stop────────┘                       │
 *    └─────finished | failed | overdue | stop────┘
 *
 * Pure: it decides, and emits what is to be done. actors/conversation.ts does it. It keeps positions and counters
 * only: texts are rows of `message`. What always holds:
 *
 *   C1. A turn ends once, and before the next one is requested.
 *   C2. An event of an earlier turn or attempt changes nothing.
 *   C3. Every message is settled by the end of exactly one turn, and turns settle messages in order.
 *   C4. A turn asks about every message since the last one that ended, once the person is quiet.
 *   C5. From every state silence leads to `done`, and a turn nobody answers ends in words.
 *   C6. A turn that is resumed asks the same again, as a higher attempt.
 *   C7. A stop cancels the running turn, settles all that was written before it, and is itself ignored.
 *   C8. A person who goes on writing holds the turn back, for `heldMax` times `typingMs` at most.
 */
import { assertEvent, assign, emit, setup } from "xstate"
import type { Timer } from "./decide.ts"

export const version = 2

export type ConversationEvent =
  | { type: "user.message"; position: number }
  | { type: "user.stop"; position: number }
  | { type: "user.typing" }
  | { type: "inference.started"; turn: number; attempt: number }
  | { type: "inference.restarted"; turn: number; attempt: number; next: number }
  | { type: "inference.finished"; turn: number; attempt: number }
  | ({ type: "inference.failed"; turn: number; attempt: number } & Failure)
  | { type: "actor.resumed" }
  | { type: "actor.gave-up" }

/** Durable ones become rows of the entry; `inference.*` are asked for again by `actor.resumed`. */
export type ConversationAction =
  | { type: "message.keep"; position: number; turn: number }
  | { type: "command.ignore"; position: number }
  | { type: "turn.answered"; turn: number; attempt: number; upTo: number }
  | { type: "turn.stopped"; turn: number; attempt: number; upTo: number; dropTo: number }
  | { type: "turn.failed"; turn: number; attempt: number; upTo: number; reason: Overdue; retryAfterMs?: number }
  | { type: "inference.request"; turn: number; attempt: number }
  | { type: "inference.cancel"; turn: number }

export type InferenceFailure = "busy" | "too-long" | "broken" | "down"
type Overdue = InferenceFailure | "overdue"

export interface Failure {
  readonly reason: InferenceFailure
  /** Of one who is told to come back. */
  readonly retryAfterMs?: number
}

/** The channel's, given anew on each start: they are not part of what is remembered. */
export interface ConversationSettings {
  /** What a message does to a turn that is being answered. */
  readonly policy: "collect" | "interrupt"
  /** People send one thought as several messages: how long to wait for the next one. */
  readonly settleMs: number
  /** After that long without an answer the person is told so. */
  readonly turnMaxMs: number
}

export interface ConversationContext extends ConversationSettings {
  /** The running turn, or the last one. */
  readonly turn: number
  readonly attempt: number
  /** The position of the last message that a turn asked about. */
  readonly asked: number
  /** The position of the last message. */
  readonly kept: number
  /** How often the coming turn was held back because the person went on writing. */
  readonly held: number
}

/** A client that shows that its person is writing says so again within this time. */
export const typingMs = 3_000
/** Whoever writes for longer than ten of them is answered meanwhile. */
export const heldMax = 10

function failureOf(event: ConversationEvent): { readonly reason: Overdue; readonly retryAfterMs?: number } {
  if (event.type !== "inference.failed") return { reason: event.type === "actor.gave-up" ? "broken" : "overdue" }
  const { reason, retryAfterMs } = event
  return { reason, ...(retryAfterMs !== undefined && { retryAfterMs }) }
}

export const conversationMachine = setup({
  types: {
    input: {} as ConversationSettings,
    context: {} as ConversationContext,
    events: {} as ConversationEvent,
    emitted: {} as ConversationAction
  },
  delays: {
    settle: ({ context, event }) => (event.type === "user.typing" ? typingMs : context.settleMs),
    // Of the whole turn, from its start or its resumption after a crash; progress is the scheduler's to watch.
    turnDeadline: ({ context }) => context.turnMaxMs
  },
  guards: {
    isCurrent: ({ context, event }) =>
      "attempt" in event && event.turn === context.turn && event.attempt === context.attempt,
    mayInterrupt: ({ context }) => context.policy === "interrupt",
    hasUnasked: ({ context }) => context.kept > context.asked,
    needsNoSettling: ({ context }) => context.settleMs === 0,
    mayHold: ({ context }) => context.held < heldMax
  },
  actions: {
    keepMessage: assign(({ event }) => {
      assertEvent(event, "user.message")
      return { kept: event.position }
    }),
    storeMessage: emit(({ context, event }) => {
      assertEvent(event, "user.message")
      return { type: "message.keep", position: event.position, turn: context.turn + 1 }
    }),
    ignoreCommand: emit(({ event }) => {
      assertEvent(event, "user.stop")
      return { type: "command.ignore", position: event.position }
    }),
    beginTurn: assign(({ context }) => ({ turn: context.turn + 1, attempt: 1, asked: context.kept, held: 0 })),
    holdTurn: assign(({ context }) => ({ held: context.held + 1 })),
    forgetUnasked: assign(({ context }) => ({ asked: context.kept })),
    beginAttempt: assign(({ context, event }) => ({
      attempt: event.type === "inference.restarted" ? event.next : context.attempt + 1
    })),
    requestInference: emit(({ context: { attempt, turn } }) => ({ type: "inference.request", turn, attempt })),
    cancelInference: emit(({ context: { turn } }) => ({ type: "inference.cancel", turn })),
    endAnswered: emit(({ context: { asked, attempt, turn } }) => ({
      type: "turn.answered",
      turn,
      attempt,
      upTo: asked
    })),
    endStopped: emit(({ context: { asked, attempt, kept, turn } }) => ({
      type: "turn.stopped",
      turn,
      attempt,
      upTo: asked,
      dropTo: kept
    })),
    endFailed: emit(({ context: { asked, attempt, turn }, event }) => ({
      type: "turn.failed",
      turn,
      attempt,
      upTo: asked,
      ...failureOf(event)
    }))
  }
}).createMachine({
  id: "conversation",
  context: ({ input }) => ({ ...input, turn: 0, attempt: 0, asked: 0, kept: 0, held: 0 }),
  initial: "done",
  states: {
    done: {
      always: { guard: "hasUnasked", target: "typing" },
      on: {
        "user.message": { target: "typing", actions: ["keepMessage", "storeMessage"] },
        "user.stop": { actions: "ignoreCommand" }
      }
    },
    typing: {
      always: { guard: "needsNoSettling", target: "answering", actions: "beginTurn" },
      on: {
        "user.message": { target: "typing", reenter: true, actions: ["keepMessage", "storeMessage"] },
        "user.typing": { guard: "mayHold", target: "typing", reenter: true, actions: "holdTurn" },
        "user.stop": { target: "done", actions: ["beginTurn", "endStopped", "ignoreCommand"] }
      },
      after: { settle: { target: "answering", actions: "beginTurn" } }
    },
    answering: {
      initial: "awaiting-model",
      entry: "requestInference",
      on: {
        "user.message": [
          { guard: "mayInterrupt", target: "typing", actions: ["keepMessage", "storeMessage", "cancelInference"] },
          { actions: ["keepMessage", "storeMessage"] }
        ],
        "user.stop": {
          target: "done",
          actions: ["cancelInference", "endStopped", "forgetUnasked", "ignoreCommand"]
        },
        "inference.restarted": { guard: "isCurrent", target: ".awaiting-model", actions: "beginAttempt" },
        "inference.finished": { guard: "isCurrent", target: "done", actions: "endAnswered" },
        "inference.failed": { guard: "isCurrent", target: "done", actions: "endFailed" },
        // Entered again, for time that the server was down is not the model's.
        "actor.resumed": { target: "answering", reenter: true, actions: "beginAttempt" },
        "actor.gave-up": { target: "done", actions: "endFailed" }
      },
      after: { turnDeadline: { target: "done", actions: ["cancelInference", "endFailed"] } },
      states: {
        "awaiting-model": { on: { "inference.started": { guard: "isCurrent", target: "streaming" } } },
        streaming: {}
      }
    }
  }
})

/** Worthless after a crash, for the turn starts over: not written. */
export function isEphemeral({ type }: ConversationEvent): boolean {
  return type === "inference.started" || type === "user.typing"
}

/** Nothing is owed: it can be put to sleep. */
export function isAtRest({ value }: { readonly value: unknown }): boolean {
  return value === "done"
}

/** What earlier versions stored, brought to the next one. */
export const migrations = {
  1: ({ context, ...stored }: Stored) => ({ ...stored, context: { ...(context as object), held: 0 } })
}

interface Stored {
  readonly value: unknown
  readonly context: unknown
  readonly timers: ReadonlyArray<Timer>
}

/** What of the context is remembered, and what the channel says anew. */
export function refresh(stored: ConversationContext, settings: ConversationSettings): ConversationContext {
  return { ...stored, ...settings }
}
