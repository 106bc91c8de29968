/**
 * Runs one pure machine as an actor: the only place where decisions become effects.
 *
 *   mailbox ──▶ decide ──▶ Journal.commit ──▶ perform
 *
 *   E1. Nothing is performed before the event that asked for it is durable.
 *   E2. An event the machine throws on, or that cannot be written, is dead with an apology, and the next one is
 *       handled.
 *   E3. Ephemeral events are not written, nor are those that change nothing.
 *   E4. An actor that cannot write stops: only the journal knows whether the row exists.
 *   E5. Inbound events are handled once, in the order of their positions, whether they were offered or read.
 *   E6. An actor that starts again goes on from its last entry, and its overdue timers fire.
 *   E7. What dies in being performed is tried `defectsMax` times, also across restarts, and then given up in words.
 *   E8. A snapshot of an earlier version is migrated, one of an unknown version is not touched.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import type { AnyStateMachine, EventFromLogic } from "xstate"
import { outboundKey } from "../domain/ids.ts"
import { begin, type Decision, decide, fire, type Situation, without } from "../machines/decide.ts"
import { drainUnsafe } from "../store/drain.ts"
import type { FencedOff, Journal, PendingInbound, Refused, Unavailable } from "../store/journal.ts"
import { type Actor, type Behaviour, type Deliver, type Facts, Stopped } from "./actor.ts"
import { Alarms } from "./alarms.ts"
import { entryOf, hasRows, type Last, lastOf, merge, noRows, situationOf, type Written } from "./entry.ts"
import { type Decided, inBounds, type Letter, type Told, withoutEffect } from "./letter.ts"

export const defectsMax = 3

type End = FencedOff | Unavailable | Stopped

/** Makes the actor of a conversation. Nothing is read or done before `run`. */
export function interpret<M extends AnyStateMachine>(
  id: string,
  behaviour: Behaviour<M>,
  journal: Journal["Service"],
  deliver: Deliver
): Actor<M> {
  return new Interpreter(id, behaviour, journal, deliver)
}

// A class, for ten thousand of them live together: its methods are shared.
class Interpreter<M extends AnyStateMachine> implements Actor<M> {
  readonly id: string
  readonly #behaviour: Behaviour<M>
  readonly #journal: Journal["Service"]
  readonly #deliver: Deliver
  readonly #mailbox: Queue.Queue<Letter<M>>
  readonly #alarms: Alarms
  #situation!: Situation<M>
  #last: Last = { seq: 0, handled: 0, defects: 0, messageSeq: 0 }
  /** Asked for by the initial state: they ride on the first entry. */
  #firstActions: Decision<M>[1] = []
  /** Read from the journal, and older than all that is in the mailbox. */
  #backlog: ReadonlyArray<PendingInbound> = []
  /** Some events were not offered, or found no room. They are read, and those in the mailbox again with them. */
  #isBehind = false
  /** The positions of offered events that have no fate yet. */
  #unsettled: Array<number> = []
  #isBusy = true
  #activeAtMs = 0

  constructor(id: string, behaviour: Behaviour<M>, journal: Journal["Service"], deliver: Deliver) {
    this.id = id
    this.#behaviour = behaviour
    this.#journal = journal
    this.#deliver = deliver
    this.#mailbox = Effect.runSync(Queue.bounded<Letter<M>>(behaviour.mailboxMax))
    this.#alarms = new Alarms((timer) => Effect.ignore(this.#put({ timer })))
  }

  get inboxSize(): number {
    return this.#unsettled.length
  }

  offer(inbound: PendingInbound): boolean {
    this.#isBusy = true
    this.#unsettled.push(inbound.position)
    if (!this.#isBehind && !Queue.offerUnsafe(this.#mailbox, { inbound })) this.#isBehind = true
    return !this.#isBehind
  }

  wake(): void {
    this.#isBusy = true
    this.#isBehind = true
    Queue.offerUnsafe(this.#mailbox, { wake: true })
  }

  hint(event: EventFromLogic<M>): void {
    this.#isBusy = true
    Queue.offerUnsafe(this.#mailbox, { event })
  }

  report(event: EventFromLogic<M>): Effect.Effect<void, Stopped> {
    return this.#put({ event })
  }

  rest(sinceMs: number): boolean {
    if (this.#isBusy || this.#activeAtMs > sinceMs) return false
    return this.#behaviour.isAtRest(this.#situation.snapshot)
  }

  get run(): Effect.Effect<never, End> {
    return this.#start().pipe(
      Effect.andThen(Effect.forever(Effect.suspend(() => this.#step()))),
      Effect.onExit(() => this.#stop())
    )
  }

  #put(letter: Letter<M>): Effect.Effect<void, Stopped> {
    return Effect.suspend(() => {
      this.#isBusy = true
      return Effect.flatMap(Queue.offer(this.#mailbox, letter), (isTaken) =>
        isTaken ? Effect.void : Effect.fail(new Stopped({ id: this.id, reason: "it has ended" }))
      )
    })
  }

  #start(): Effect.Effect<void, End> {
    const { input, machine, mailboxMax } = this.#behaviour
    return Effect.gen({ self: this }, function* () {
      const { forgotten, pending, stored } = yield* this.#journal.load(this.id, mailboxMax)
      this.#backlog = pending
      // It may be behind already: what was offered during the read can have been too much.
      if (pending.length >= mailboxMax) this.#isBehind = true
      this.#activeAtMs = yield* Clock.currentTimeMillis
      this.#last = { ...this.#last, ...forgotten }
      if (stored === undefined) {
        ;[this.#situation, this.#firstActions] = begin(machine, input, this.#activeAtMs)
        return yield* this.#alarms.rearm(this.#situation.timers, this.#activeAtMs)
      }
      this.#situation = yield* situationOf(this.id, this.#behaviour, stored, this.#activeAtMs)
      this.#last = lastOf(stored)
      yield* this.#alarms.rearm(this.#situation.timers, this.#activeAtMs)
      yield* this.#handle({ event: { type: "actor.resumed" } as EventFromLogic<M> })
    })
  }

  #step(): Effect.Effect<void, End> {
    const [inbound, ...rest] = this.#backlog
    if (inbound !== undefined) {
      this.#backlog = rest
      return this.#handle({ inbound })
    }
    const next = Queue.takeUnsafe(this.#mailbox)
    if (next !== undefined && Exit.isSuccess(next)) return this.#open(next.value)
    if (this.#isBehind) return this.#catchUp()
    this.#isBusy = false
    return Effect.flatMap(Queue.take(this.#mailbox), (letter) => this.#open(letter))
  }

  #open(letter: Letter<M>): Effect.Effect<void, End> {
    if ("wake" in letter || ("inbound" in letter && this.#isBehind)) return Effect.void
    return this.#handle(letter)
  }

  /** Whatever found no room stands in the journal. What is offered meanwhile is newer, or known by its position. */
  #catchUp(): Effect.Effect<void, Unavailable> {
    this.#isBehind = false
    return Effect.map(this.#journal.load(this.id, this.#behaviour.mailboxMax), ({ pending }) => {
      this.#backlog = pending.filter(({ position }) => position > this.#last.handled)
      if (pending.length >= this.#behaviour.mailboxMax) this.#isBehind = true
    })
  }

  #handle(letter: Told<M>): Effect.Effect<void, End> {
    const inbound = "inbound" in letter ? letter.inbound : undefined
    if (inbound !== undefined && inbound.position <= this.#last.handled) return Effect.void
    return Effect.gen({ self: this }, function* () {
      this.#activeAtMs = yield* Clock.currentTimeMillis
      const decided = Result.try(() => this.#decide(letter, this.#activeAtMs))
      if (Result.isFailure(decided)) return yield* this.#bury(letter, String(decided.failure))
      yield* Effect.catchTag(this.#follow(inbound, decided.success), "Refused", ({ reason }) =>
        this.#bury(letter, reason)
      )
    })
  }

  #decide(letter: Told<M>, nowMs: number): Decided<M> {
    const { machine } = this.#behaviour
    const inbound = "inbound" in letter ? letter.inbound : undefined
    if ("timer" in letter) {
      const { timer } = letter
      return this.#decided({ type: timer.event }, fire(machine, this.#situation, timer, nowMs), inbound)
    }
    const event = "event" in letter ? letter.event : this.#behaviour.eventOf(letter.inbound)
    return this.#decided(event, decide(machine, this.#situation, event, nowMs), inbound)
  }

  #decided(event: { type: string }, [after, asked]: Decision<M>, inbound: PendingInbound | undefined): Decided<M> {
    const actions = this.#firstActions.length > 0 ? [...this.#firstActions, ...asked] : asked
    const facts = this.#facts(inbound)
    return { event, after, actions, rows: merge(actions.map((action) => this.#behaviour.rows(action, facts))) }
  }

  #follow(
    inbound: PendingInbound | undefined,
    { actions, after, event, rows }: Decided<M>
  ): Effect.Effect<void, End | Refused> {
    const before = this.#situation
    return Effect.gen({ self: this }, function* () {
      const isIdle = after === before && actions.length === 0
      if (isIdle && inbound === undefined && !hasRows(rows)) return
      const isWritten =
        inbound !== undefined || hasRows(rows) || !this.#behaviour.isEphemeral(event as EventFromLogic<M>)
      const written = isIdle && inbound !== undefined ? withoutEffect(inbound) : rows
      if (isWritten) yield* this.#commit({ event, after, rows: written, handled: inbound?.position })
      this.#firstActions = []
      this.#situation = after
      yield* this.#alarms.rearm(after.timers, this.#activeAtMs)
      yield* this.#perform(actions)
    })
  }

  #commit(written: Omit<Written<M>, "conversation" | "atMs">): Effect.Effect<void, End | Refused> {
    const atMs = this.#activeAtMs
    const entry = entryOf(this.#behaviour, this.#last, { ...written, conversation: this.id, atMs })
    return Effect.map(Effect.timed(this.#journal.commit(entry)), ([took, owed]) => {
      this.#last = lastOf(entry)
      for (const { after, upTo } of entry.settle) {
        this.#unsettled = this.#unsettled.filter((position) => position <= after || position > upTo)
      }
      this.#behaviour.written?.(entry, took)
      if (owed.length > 0) this.#deliver(owed)
    })
  }

  #perform(actions: Decision<M>[1]): Effect.Effect<void, End | Refused> {
    return Effect.gen({ self: this }, function* () {
      for (const action of actions) {
        const exit = yield* Effect.exit(Effect.suspend(() => this.#behaviour.perform(action, this)))
        if (Exit.isFailure(exit) && Exit.hasDies(exit)) return yield* this.#recover(Cause.pretty(exit.cause))
        yield* exit
      }
      if (this.#last.defects > 0) this.#last = { ...this.#last, defects: 0 }
    })
  }

  /** Counts the defect durably and ends, so that the next life tries again; the last time it gives the event up. */
  #recover(reason: string): Effect.Effect<void, End | Refused> {
    const defects = this.#last.defects + 1
    return Effect.gen({ self: this }, function* () {
      yield* Effect.logError(`performing the last event of ${this.id} failed (${defects} of ${defectsMax})`, reason)
      const event = { type: "actor.defect" }
      yield* this.#commit({ event, after: this.#situation, rows: noRows, defects: defects % defectsMax })
      if (defects < defectsMax) return yield* new Stopped({ id: this.id, reason })
      yield* this.#giveUp(reason)
    })
  }

  #giveUp(reason: string): Effect.Effect<void, End | Refused> {
    const event = { type: "actor.gave-up" } as EventFromLogic<M>
    const reference = String(this.#last.seq)
    const letter = { kind: "turn" as const, reference, reason: inBounds(reason) }
    const decided = this.#decided(
      event,
      decide(this.#behaviour.machine, this.#situation, event, this.#activeAtMs),
      undefined
    )
    const { rows } = decided
    return this.#follow(
      undefined,
      rows.deadLetters.length > 0 ? decided : { ...decided, rows: { ...rows, deadLetters: [letter] } }
    )
  }

  /** Writes the event as dead, with its words; the machine stays as it was. */
  #bury(letter: Told<M>, cause: string): Effect.Effect<void, End> {
    const inbound = "inbound" in letter ? letter.inbound : undefined
    const reason = inBounds(cause)
    const type = "timer" in letter ? letter.timer.event : "event" in letter ? letter.event.type : "inbound"
    if ("timer" in letter) this.#situation = without(this.#situation, letter.timer)
    const reference = String(inbound?.position ?? this.#last.seq + 1)
    const rows = merge([
      { deadLetters: [{ kind: "inbound", reference, reason }] },
      this.#behaviour.apology(this.#facts(inbound))
    ])
    const written = { event: { type }, after: this.#situation, rows, handled: inbound?.position, dead: reason }
    return Effect.logError(`an event of ${this.id} is dead: ${type}`, reason).pipe(
      Effect.andThen(this.#commit(written)),
      Effect.catchTag("Refused", () => Effect.fail(new Stopped({ id: this.id, reason: `not even its end: ${reason}` })))
    )
  }

  #facts(inbound: PendingInbound | undefined): Facts {
    const seq = this.#last.seq + 1
    let index = 0
    return { inbound, nextKey: () => outboundKey(this.id, seq, index++) }
  }

  #stop(): Effect.Effect<void> {
    drainUnsafe(this.#mailbox)
    return Effect.andThen(this.#alarms.stop(), this.#behaviour.close)
  }
}
