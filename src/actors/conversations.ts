/**
 * The live conversations of one account: spawned on demand, restarted when they die, put to sleep when idle.
 *
 *   K1. Of a conversation at most one actor lives.
 *   K2. An event that is rung is handled by the live actor, or read by the next one; never both.
 *   K3. One that keeps dying is left alone until it is woken again, and takes nobody with it.
 *   K4. Of one that is held none lives, and none is spawned.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { AnyStateMachine, EventFromLogic } from "xstate"
import { type Intensity, none, onCrash, type Restarts } from "../machines/restart-intensity.ts"
import type { Journal, PendingInbound } from "../store/journal.ts"
import type { Actor, Behaviour, Deliver } from "./actor.ts"
import { interpret } from "./interpreter.ts"

export interface Conversations<M extends AnyStateMachine = AnyStateMachine> {
  /** Hands a durable event to its conversation, which it wakes. In the order of positions. */
  readonly ring: (pending: PendingInbound) => void
  /** Makes the conversation look into the journal. */
  readonly wake: (conversation: string) => void
  /** Tells a live conversation what it may as well not know. */
  readonly hint: (conversation: string, event: EventFromLogic<M>) => void
  readonly isLive: (conversation: string) => boolean
  /** Ends its actor, and spawns none until the scope closes. What is rung meanwhile stays in the journal. */
  readonly hold: (conversation: string) => Effect.Effect<void, never, Scope.Scope>
  readonly isHeld: (conversation: string) => boolean
  /** Of a live conversation: how many of its events have no fate yet. */
  readonly inboxSize: (conversation: string) => number
  readonly live: () => number
  /** How many have something to do. */
  readonly busy: () => number
}

export interface ConversationsOptions<M extends AnyStateMachine> {
  readonly behaviourOf: (conversation: string) => Behaviour<M>
  readonly journal: Journal["Service"]
  readonly deliver: Deliver
  /** An actor of the conversation died: its last entry may be written without anyone having been told what it owes. */
  readonly mayOwe: (conversation: string) => void
  /** Beyond it an event waits in the journal for the next sweep. */
  readonly liveMax: number
  /** One that did nothing for so long is put to sleep. */
  readonly idleMs: number
  readonly intensity: Intensity
}

interface Live {
  readonly actor: Actor<AnyStateMachine>
  readonly fiber: Fiber.Fiber<never, unknown>
}

/** They all end with the scope. */
export const makeConversations = Effect.fn("Conversations.make")(function* <M extends AnyStateMachine>(
  options: ConversationsOptions<M>
): Effect.fn.Return<Conversations<M>, never, Scope.Scope> {
  const { behaviourOf, deliver, idleMs, intensity, journal, liveMax, mayOwe } = options
  const live = new Map<string, Live>()
  const crashes = new Map<string, Restarts>()
  const held = new Set<string>()
  const run = Effect.runForkWith(yield* Effect.context<never>())
  let isClosed = false

  const spawn = (id: string): Actor<AnyStateMachine> | undefined => {
    const known = live.get(id)
    if (known !== undefined || isClosed || held.has(id) || live.size >= liveMax) return known?.actor
    const actor = interpret(id, behaviourOf(id), journal, deliver) as unknown as Actor<AnyStateMachine>
    const fiber = run(actor.run)
    live.set(id, { actor, fiber })
    fiber.addObserver((exit) => {
      if (live.get(id)?.fiber !== fiber) return
      live.delete(id)
      // Before its successor owes anything more.
      mayOwe(id)
      run(afterEnd(id, exit))
    })
    return actor
  }

  const afterEnd = Effect.fnUntraced(function* (id: string, exit: Exit.Exit<never, unknown>) {
    if (!Exit.isFailure(exit) || Cause.hasInterruptsOnly(exit.cause)) return
    if (isFencedOff(Cause.squash(exit.cause)))
      return yield* Effect.logWarning(`${id} has another owner; this one stops`)
    const verdict = onCrash(intensity, crashes.get(id) ?? none, yield* Clock.currentTimeMillis)
    if (verdict === undefined) return yield* Effect.logError(`${id} keeps dying and is left alone for now`, exit.cause)
    crashes.set(id, verdict.restarts)
    yield* Effect.logWarning(`${id} died; next start in ${verdict.delayMs} ms`, exit.cause)
    yield* Effect.sleep(verdict.delayMs)
    spawn(id)
  })

  yield* Effect.addFinalizer(() => {
    isClosed = true
    return endAll(live)
  })
  const forgetCrashes = (nowMs: number) => forget(crashes, nowMs - intensity.withinMs)
  yield* Effect.forkScoped(Effect.forever(putToSleep(live, idleMs, forgetCrashes)))

  return {
    ring: (pending) => void spawn(pending.conversation)?.offer(pending),
    wake: (conversation) => {
      const known = live.get(conversation)
      // A new one reads the journal anyhow.
      if (known === undefined) spawn(conversation)
      else known.actor.wake()
    },
    hint: (conversation, event) => live.get(conversation)?.actor.hint(event),
    isLive: (conversation) => live.has(conversation),
    hold: (conversation) => hold(held, live, conversation),
    isHeld: (conversation) => held.has(conversation),
    inboxSize: (conversation) => live.get(conversation)?.actor.inboxSize ?? 0,
    live: () => live.size,
    busy: () => live.values().reduce((count, { actor }) => count + (actor.rest(Infinity) ? 0 : 1), 0)
  }
})

const putToSleep = Effect.fnUntraced(function* (
  live: Map<string, Live>,
  idleMs: number,
  ticked: (nowMs: number) => void
) {
  yield* Effect.sleep(Math.max(1000, idleMs / 4))
  const nowMs = yield* Clock.currentTimeMillis
  for (const [id, { actor, fiber }] of live) {
    if (!actor.rest(nowMs - idleMs)) continue
    live.delete(id)
    fiber.interruptUnsafe()
  }
  ticked(nowMs)
})

function hold(held: Set<string>, live: Map<string, Live>, id: string): Effect.Effect<void, never, Scope.Scope> {
  const end = Effect.suspend(() => {
    held.add(id)
    const known = live.get(id)
    live.delete(id)
    return known === undefined ? Effect.void : interruptAndWait(known.fiber)
  })
  return Effect.acquireRelease(end, () => Effect.sync(() => held.delete(id)))
}

function isFencedOff(error: unknown): boolean {
  return typeof error === "object" && error !== null && "_tag" in error && error._tag === "FencedOff"
}

function forget(crashes: Map<string, Restarts>, beforeMs: number): void {
  for (const [id, restarts] of crashes) if ((restarts.at(-1) ?? 0) < beforeMs) crashes.delete(id)
}

function endAll(live: Map<string, Live>): Effect.Effect<void> {
  const all = [...live.values()]
  live.clear()
  return Effect.forEach(all, ({ fiber }) => interruptAndWait(fiber), { discard: true, concurrency: 64 })
}

const interruptAndWait = (fiber: Fiber.Fiber<never, unknown>) =>
  Effect.callback<void>((resume) => {
    fiber.addObserver(() => resume(Effect.void))
    fiber.interruptUnsafe()
  })
