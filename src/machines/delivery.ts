/**
 * One message on its way to a platform.
 *
 *   waiting ──due──▶ recording ──recorded──▶ sending ──succeeded──▶ delivered
 *     ▲                                       │  │  └──rejected──▶ dead
 *     │                                       │  └──ambiguous──▶ unsure ──readable──▶ looking-up ──found──▶ delivered
 *     └───────────── not-sent | throttled ────┘                    │ ▲                 │   │
 *     └────────────────────────── others ──────────────────────────┘ └──look-up.failed─┘   │
 *     └────────────────────────────────── not-found ───────────────────────────────────────┘
 *                                             (any of these, when exhausted ──▶ dead)
 *
 * Its record are the rows `outbound` and `attempt`: a message that is taken up again starts from them. What always
 * holds:
 *
 *   L1. Nothing is sent before its attempt is recorded, and each attempt is sent at most once.
 *   L2. It ends in `delivered` or `dead`, once, after at most `attemptsMax` attempts; one that is replayed has so many
 *       again.
 *   L3. After an ambiguous attempt a readable platform is asked before anything is sent again.
 *   L4. It waits at least as long as the platform said, and at most `delayMaxMs` where it said nothing.
 *   L5. Whoever was sending when the server died is unsure, never delivered and never fresh.
 */
import { assertEvent, assign, emit, setup } from "xstate"

export const version = 1

export type DeliveryEvent =
  | { type: "attempt.recorded" }
  | { type: "send.succeeded"; receipt: string }
  | { type: "send.rejected"; reason: string }
  | ({ type: "send.not-sent"; reason: string } & Circumstances)
  | ({ type: "send.throttled"; retryAfterMs: number } & Circumstances)
  | ({ type: "send.ambiguous"; reason: string } & Circumstances)
  | { type: "look-up.found"; receipt: string }
  | ({ type: "look-up.not-found" } & Circumstances)
  | ({ type: "look-up.failed"; reason: string } & Circumstances)

/** What a pure machine cannot know. */
export interface Circumstances {
  /** Since the message was committed. */
  readonly ageMs: number
  /** From 0 to 1, drawn anew each time. */
  readonly luck: number
}

export type DeliveryAction =
  | { type: "attempt.record"; n: number }
  | { type: "message.send"; n: number }
  | { type: "message.look-up"; n: number }
  /** The attempt failed, and another one follows in `delayMs`. */
  | { type: "attempt.fail"; n: number; result: AttemptResult; reason: string; delayMs: number }
  | { type: "message.delivered"; n: number; receipt: string }
  | { type: "message.dead"; n: number; result: AttemptResult; reason: string }

export type AttemptResult = "not-sent" | "rejected" | "throttled" | "ambiguous"

export interface DeliveryLimits {
  readonly attemptsMax: number
  readonly ageMaxMs: number
  readonly delayMinMs: number
  readonly delayMaxMs: number
}

export interface DeliveryInput extends DeliveryLimits {
  readonly isReadable: boolean
  /** How many attempts have a row. */
  readonly attempts: number
  /** Of these, the ones that count no more, for an operator had it sent again after them. */
  readonly attemptsBefore: number
  /** The last of them has no result: the server died while it was sent. */
  readonly wasSending: boolean
  /** What is left of an earlier wait. */
  readonly delayMs: number
}

export interface DeliveryContext extends DeliveryInput {
  readonly result: AttemptResult
  readonly reason: string
  readonly receipt: string
  readonly isTooOld: boolean
}

export const deliveryMachine = setup({
  types: {
    input: {} as DeliveryInput,
    context: {} as DeliveryContext,
    events: {} as DeliveryEvent,
    emitted: {} as DeliveryAction
  },
  delays: { backoff: ({ context }) => context.delayMs },
  guards: {
    wasSending: ({ context }) => context.wasSending,
    isDue: ({ context }) => context.delayMs <= 0,
    isReadable: ({ context }) => context.isReadable,
    isExhausted: ({ context }) => context.isTooOld || madeOf(context) >= context.attemptsMax,
    isTooOld: ({ context }) => context.isTooOld
  },
  actions: {
    countAttempt: assign(({ context }) => ({ attempts: context.attempts + 1 })),
    noteResult: assign(({ context, event }) => noteOf(context, event)),
    noteReceipt: assign(({ event }) => {
      assertEvent(event, ["send.succeeded", "look-up.found"])
      return { receipt: event.receipt }
    }),
    recordAttempt: emit(({ context }) => ({ type: "attempt.record", n: context.attempts + 1 })),
    send: emit(({ context }) => ({ type: "message.send", n: context.attempts })),
    lookUp: emit(({ context }) => ({ type: "message.look-up", n: context.attempts })),
    failAttempt: emit(({ context: { attempts, delayMs, reason, result } }) => ({
      type: "attempt.fail",
      n: attempts,
      result,
      reason,
      delayMs
    })),
    deliver: emit(({ context }) => ({ type: "message.delivered", n: context.attempts, receipt: context.receipt })),
    bury: emit(({ context: { attempts, reason, result } }) => ({ type: "message.dead", n: attempts, result, reason }))
  }
}).createMachine({
  id: "delivery",
  context: ({ input }) => ({
    ...input,
    result: "ambiguous",
    reason: "the server stopped while it was sent",
    receipt: "",
    isTooOld: false
  }),
  initial: "taken-up",
  states: {
    "taken-up": { always: [{ guard: "wasSending", target: "unsure" }, { target: "waiting" }] },
    waiting: {
      always: { guard: "isDue", target: "recording" },
      after: { backoff: "recording" }
    },
    recording: {
      entry: "recordAttempt",
      on: { "attempt.recorded": { target: "sending", actions: "countAttempt" } }
    },
    sending: {
      entry: "send",
      on: {
        "send.succeeded": { target: "delivered", actions: "noteReceipt" },
        "send.rejected": { target: "dead", actions: "noteResult" },
        "send.not-sent": { target: "failed", actions: "noteResult" },
        "send.throttled": { target: "failed", actions: "noteResult" },
        "send.ambiguous": { target: "unsure", actions: "noteResult" }
      }
    },
    unsure: { always: [{ guard: "isReadable", target: "looking-up" }, { target: "failed" }] },
    "looking-up": {
      entry: "lookUp",
      on: {
        "look-up.found": { target: "delivered", actions: "noteReceipt" },
        "look-up.not-found": { target: "failed", actions: "noteResult" },
        "look-up.failed": { target: "doubting", actions: "noteResult" }
      }
    },
    doubting: {
      always: { guard: "isTooOld", target: "dead" },
      after: { backoff: "looking-up" }
    },
    failed: {
      always: [
        { guard: "isExhausted", target: "dead" },
        { target: "waiting", actions: "failAttempt" }
      ]
    },
    delivered: { type: "final", entry: "deliver" },
    dead: { type: "final", entry: "bury" }
  }
})

function noteOf(context: DeliveryContext, event: DeliveryEvent): Partial<DeliveryContext> {
  switch (event.type) {
    case "send.rejected":
      return { result: "rejected", reason: event.reason }
    case "send.throttled":
      return {
        result: "throttled",
        reason: `told to come back in ${event.retryAfterMs} ms`,
        delayMs: Math.max(event.retryAfterMs, backoffOf(context, event.luck)),
        isTooOld: event.ageMs > context.ageMaxMs
      }
    case "send.not-sent":
    case "send.ambiguous":
      return {
        result: event.type === "send.not-sent" ? "not-sent" : "ambiguous",
        reason: event.reason,
        delayMs: backoffOf(context, event.luck),
        isTooOld: event.ageMs > context.ageMaxMs
      }
    case "look-up.not-found":
      return { result: "not-sent", reason: "the platform does not show it", delayMs: 0 }
    case "look-up.failed":
      return {
        reason: event.reason,
        delayMs: backoffOf(context, event.luck),
        isTooOld: event.ageMs > context.ageMaxMs
      }
    default:
      return {}
  }
}

function madeOf({ attempts, attemptsBefore }: DeliveryInput): number {
  return attempts - attemptsBefore
}

/** Exponential with full jitter above a half: retries of many messages spread out, and none comes at once. */
function backoffOf(context: DeliveryContext, luck: number): number {
  const { delayMaxMs, delayMinMs } = context
  const ceilingMs = Math.min(delayMaxMs, delayMinMs * 2 ** Math.min(madeOf(context), 30))
  return Math.round(ceilingMs * (0.5 + luck / 2))
}
