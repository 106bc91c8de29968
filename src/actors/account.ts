/**
 * One account of a platform: its listener, its conversations and their deliveries. One-for-one: a listener that is
 * lost is opened again, and its conversations go on meanwhile.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { AnyStateMachine } from "xstate"
import { type Accept, type Adapter, NotAccepted } from "../adapters/adapter.ts"
import { accountId, conversationId } from "../domain/ids.ts"
import type { Inbound } from "../domain/inbound.ts"
import type { Traces } from "../domain/trace.ts"
import type { DeliveryLimits } from "../machines/delivery.ts"
import type { Intensity } from "../machines/restart-intensity.ts"
import { type Journal, Unavailable } from "../store/journal.ts"
import type { Behaviour } from "./actor.ts"
import { type Conversations, makeConversations } from "./conversations.ts"
import { type Delivery, makeDelivery } from "./delivery.ts"
import { tracedAccept, tracedIntake, traceOfInbound } from "./intake-trace.ts"
import { supervise } from "./supervisor.ts"

export interface Account {
  /** `channel/account` */
  readonly id: string
  readonly adapter: Adapter
  readonly conversations: Conversations
  readonly delivery: Delivery
  /**
   * Does `work` while the conversation is nobody's: it has no actor, nothing of it is sent, no event of it is accepted,
   * and all that was written of it before is known. Interrupting waits for the end of the work; if that fails, the
   * conversation is woken.
   */
  readonly alone: <A, E>(conversation: string, work: Effect.Effect<A, E>) => Effect.Effect<A, E | Unavailable>
  /** Takes nothing any more: the platform is told to come again. */
  readonly refuse: () => void
  /** The listener, supervised. Fails when it cannot be kept open. */
  readonly run: Effect.Effect<void, unknown>
}

export interface AccountOptions<M extends AnyStateMachine> {
  readonly adapter: Adapter
  readonly journal: Journal["Service"]
  readonly behaviourOf: (conversation: string) => Behaviour<M>
  readonly limits: AccountLimits
  readonly delivery: DeliveryLimits
  /** How many accepted events of all accounts have no fate, as was last counted. */
  readonly pending: () => number
  /** Where nobody collects them, none are made. */
  readonly traces?: Traces | undefined
}

export interface AccountLimits {
  /** Events without a fate, of all accounts. */
  readonly inboxMax: number
  /** The same, of one conversation. */
  readonly conversationInboxMax: number
  readonly liveMax: number
  readonly linesMax: number
  readonly idleMs: number
}

/** A conversation that dies three times in a minute waits for the next sweep. */
const conversationIntensity: Intensity = { restartsMax: 3, withinMs: 60_000, delayMinMs: 100, delayMaxMs: 5_000 }
/** A platform may be away for long: its listener is given up only when it fails as fast as it can. */
const listenerIntensity: Intensity = { restartsMax: 20, withinMs: 60_000, delayMinMs: 100, delayMaxMs: 10_000 }
const busyRetryMs = 5_000
const databaseRetryMs = 1_000
/** How long a platform waits for a database that is silent; what was begun is not undone by that. */
const acceptMaxMs = 10_000

/** Everything of the account ends with the scope. */
export const makeAccount = Effect.fn("Account.make")(function* <M extends AnyStateMachine>(
  options: AccountOptions<M>
): Effect.fn.Return<Account, never, Scope.Scope> {
  const { adapter, behaviourOf, journal, limits, traces } = options
  const { linesMax } = limits
  const delivery = yield* makeDelivery({ adapter, journal, limits: options.delivery, linesMax, traces })
  const intake = traces === undefined ? journal : tracedIntake(journal, traces)
  const conversations = yield* makeConversations({
    behaviourOf,
    journal,
    deliver: (owed) => delivery.deliver(owed),
    mayOwe: (conversation) => delivery.doubt(conversation),
    liveMax: limits.liveMax,
    idleMs: limits.idleMs,
    intensity: conversationIntensity
  })
  let isRefusing = false

  const accept: Accept = Effect.fnUntraced(function* (inbound) {
    const { channel, thread } = inbound
    const conversation = conversationId(channel, inbound.account, thread)
    if (isRefusing) return yield* new NotAccepted({ reason: "stopping", retryAfterMs: busyRetryMs })
    if (conversations.isHeld(conversation))
      return yield* new NotAccepted({ reason: "stopping", retryAfterMs: databaseRetryMs })
    const isFull =
      options.pending() >= limits.inboxMax || conversations.inboxSize(conversation) >= limits.conversationInboxMax
    if (isFull) return yield* new NotAccepted({ reason: "inbox-full", retryAfterMs: busyRetryMs })
    return yield* intake.accept(inbound, ring(conversations, inbound)).pipe(
      Effect.timeoutOrElse({
        duration: acceptMaxMs,
        orElse: () => new Unavailable({ reason: `PostgreSQL was silent for ${acceptMaxMs} ms` })
      }),
      Effect.tapError(({ reason }) => logUnaccepted(inbound, reason)),
      Effect.mapError(() => new NotAccepted({ reason: "database", retryAfterMs: databaseRetryMs }))
    )
  })

  return {
    id: accountId(adapter.channel, adapter.account),
    adapter,
    conversations,
    delivery,
    alone: (conversation, work) =>
      Effect.gen(function* () {
        yield* conversations.hold(conversation)
        yield* delivery.hold(conversation)
        yield* journal.drained
        return yield* Effect.uninterruptible(work)
      }).pipe(
        Effect.scoped,
        Effect.tapCause(() =>
          Effect.sync(() => {
            delivery.wake(conversation)
            conversations.wake(conversation)
          })
        )
      ),
    refuse: () => {
      isRefusing = true
    },
    run: supervise([
      {
        name: `listener of ${adapter.account}`,
        intensity: listenerIntensity,
        run: adapter.listen(traces === undefined ? accept : tracedAccept(accept, traces))
      }
    ])
  }
})

const logUnaccepted = (inbound: Inbound, reason: string) =>
  Effect.annotateLogs(Effect.logError("an event was not accepted", reason), { trace: traceOfInbound(inbound).traceId })

/**
 * A duplicate that still waits wakes its conversation, live or not: it may be the platform's only sign after a crash of
 * ours, or of an event that was written and whose first caller could not be told.
 */
function ring(
  conversations: Conversations,
  { eventKey, text, user }: Inbound
): Parameters<Journal["Service"]["accept"]>[1] {
  return ({ conversation, duplicate, pending, position }) => {
    if (!duplicate) conversations.ring({ conversation, position, eventKey, user, text })
    else if (pending) conversations.wake(conversation)
  }
}
