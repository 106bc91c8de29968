/** The laws of the live conversations, each with a clerk in it who may be unable to read the journal. */
import { expect, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { TestClock } from "effect/testing"
import { type Conversations, makeConversations } from "../../src/actors/conversations.ts"
import { FencedOff, type Journal, Unavailable } from "../../src/store/journal.ts"
import { clerkBehaviour, clerkId, Office } from "./clerk.ts"

const intensity = { restartsMax: 3, withinMs: 60_000, delayMinMs: 100, delayMaxMs: 5_000 }
const idleMs = 10_000
const settle = Effect.repeat(TestClock.adjust(0), { times: 40 })
const idOf = (thread: string) => clerkId.replace("clerk", thread)

class House {
  readonly office: Office
  /** Conversations whose journal cannot be read, and those that another owner writes. */
  readonly down = new Set<string>()
  readonly fenced = new Set<string>()
  readonly log: Array<string> = []
  readonly alive = new Map<string, number>()
  aliveMax = 0
  conversations!: Conversations

  constructor() {
    this.office = new Office({}, (journal) => this.#disturbed(journal))
  }

  #disturbed(journal: Journal["Service"]): Journal["Service"] {
    return {
      ...journal,
      load: (id, pendingMax) =>
        Effect.suspend(() => {
          if (this.down.has(id)) return Effect.fail(new Unavailable({ reason: "down" }))
          return Effect.andThen(Effect.yieldNow, journal.load(id, pendingMax))
        }),
      commit: (entry) =>
        Effect.suspend(() =>
          this.fenced.has(entry.conversation) ? Effect.fail(new FencedOff(entry)) : journal.commit(entry)
        )
    }
  }

  open(options: { readonly liveMax?: number } = {}) {
    return Effect.map(
      makeConversations({
        behaviourOf: (id) => {
          this.log.push(`${id} starts`)
          this.alive.set(id, (this.alive.get(id) ?? 0) + 1)
          this.aliveMax = Math.max(this.aliveMax, this.alive.get(id)!)
          return clerkBehaviour({ close: Effect.sync(() => void this.alive.set(id, this.alive.get(id)! - 1)) })
        },
        journal: this.office.journal,
        deliver: (owed) => void this.office.delivered.push(...owed),
        mayOwe: (id) => void this.log.push(`${id} may owe`),
        liveMax: options.liveMax ?? 100,
        idleMs,
        intensity
      }),
      (conversations) => {
        this.conversations = conversations
        return conversations
      }
    )
  }

  ring(text = "a note", thread = "clerk") {
    this.conversations.ring(this.office.bring(text, thread))
  }

  starts(thread = "clerk") {
    return this.log.filter((line) => line === `${idOf(thread)} starts`).length
  }

  handledBy(thread = "clerk") {
    const entries = this.office.tables.entries.filter(({ conversation }) => conversation === idOf(thread))
    return entries.map(({ handled }) => handled)
  }
}

it.effect("an event spawns its conversation, and its conversation alone", () =>
  Effect.gen(function* () {
    const house = new House()
    const conversations = yield* house.open()
    house.ring()
    expect([conversations.isLive(clerkId), conversations.busy()]).toEqual([true, 1])
    yield* settle
    expect([house.handledBy(), conversations.live(), conversations.busy()]).toEqual([[1], 1, 0])
    expect(house.office.delivered).toMatchObject([{ conversation: clerkId, text: "kept a note" }])
    conversations.wake(idOf("other"))
    expect(conversations.live()).toBe(2)
  })
)

it.effect("K1: of a conversation at most one actor lives", () =>
  Effect.gen(function* () {
    const house = new House()
    const conversations = yield* house.open()
    for (const isDown of [false, true, true, false, true, false]) {
      if (isDown) house.down.add(clerkId)
      else house.down.delete(clerkId)
      for (let n = 0; n < 3; n++) {
        house.ring()
        conversations.wake(clerkId)
        yield* TestClock.adjust(n * 30)
      }
      yield* settle
    }
    yield* TestClock.adjust(intensity.delayMaxMs)
    yield* settle
    expect([house.aliveMax, conversations.live(), house.handledBy().at(-1)]).toEqual([1, 1, 18])
    yield* TestClock.adjust(idleMs * 2)
    house.ring()
    yield* settle
    expect([house.aliveMax, house.alive.get(clerkId)]).toEqual([1, 1])
  })
)

const k2 = "K2: an event that is rung is handled by the live actor, or read by the next one; never both"

it.effect(k2, () =>
  Effect.gen(function* () {
    const house = new House()
    yield* house.open()
    house.down.add(clerkId)
    for (const _ of [1, 2, 3]) house.ring()
    yield* settle
    expect(house.handledBy()).toEqual([])
    house.down.delete(clerkId)
    // The next one starts in the backoff of the last, and is not joined by another at its end.
    house.ring()
    house.ring()
    yield* settle
    expect(house.handledBy()).toEqual([1, 2, 3, 4, 5])
    yield* TestClock.adjust(intensity.delayMaxMs)
    house.ring()
    yield* settle
    expect(house.handledBy()).toEqual([1, 2, 3, 4, 5, 6])
  })
)

it.effect(`${k2}: one that was put to sleep reads it`, () =>
  Effect.gen(function* () {
    const house = new House()
    const conversations = yield* house.open()
    house.ring()
    yield* TestClock.adjust(idleMs - 1_000)
    expect(conversations.live()).toBe(1)
    yield* TestClock.adjust(idleMs)
    expect([conversations.live(), conversations.isLive(clerkId), house.alive.get(clerkId)]).toEqual([0, false, 0])
    house.ring()
    yield* settle
    // Nobody but the dead may owe what nobody was told of.
    expect([house.handledBy(), house.starts(), house.log.filter((line) => line.endsWith("owe"))]).toEqual([
      [1, 2],
      2,
      []
    ])
  })
)

it.effect(`${k2}: one that is awake reads it when it is woken`, () =>
  Effect.gen(function* () {
    const house = new House()
    const conversations = yield* house.open()
    house.ring()
    yield* settle
    house.office.bring("a note")
    conversations.wake(clerkId)
    house.ring()
    yield* settle
    expect([house.handledBy(), house.starts()]).toEqual([[1, 2, 3], 1])
  })
)

it.effect("who has something to do is not put to sleep", () =>
  Effect.gen(function* () {
    const house = new House()
    const conversations = yield* house.open()
    house.ring("errand")
    yield* TestClock.adjust(idleMs * 10)
    expect([conversations.live(), conversations.busy()]).toEqual([1, 1])
  })
)

const k3 = "K3: one that keeps dying is left alone until it is woken again, and takes nobody with it"

it.effect(k3, () =>
  Effect.gen(function* () {
    const house = new House()
    const conversations = yield* house.open()
    house.down.add(clerkId)
    house.ring()
    for (const waitMs of [99, 1, 199, 1, 399, 1]) yield* Effect.andThen(TestClock.adjust(waitMs), settle)
    expect(house.starts()).toBe(4)
    yield* TestClock.adjust(intensity.withinMs * 2)
    expect([house.starts(), conversations.isLive(clerkId)]).toEqual([4, false])
    house.ring("a note", "other")
    yield* settle
    expect(house.handledBy("other")).toHaveLength(1)
    house.down.delete(clerkId)
    conversations.wake(clerkId)
    yield* settle
    expect(house.handledBy()).toEqual([1])
  })
)

it.effect("whoever follows a dead one comes after what it may owe was asked for", () =>
  Effect.gen(function* () {
    const house = new House()
    yield* house.open()
    house.down.add(clerkId)
    house.ring()
    yield* settle
    house.down.delete(clerkId)
    yield* TestClock.adjust(intensity.delayMinMs)
    yield* settle
    expect(house.log).toEqual([`${clerkId} starts`, `${clerkId} may owe`, `${clerkId} starts`])
  })
)

it.effect("one that another owner fenced off stops, and starts when it is woken", () =>
  Effect.gen(function* () {
    const house = new House()
    const conversations = yield* house.open()
    house.fenced.add(clerkId)
    house.ring()
    yield* TestClock.adjust(intensity.withinMs)
    expect([house.starts(), conversations.live()]).toEqual([1, 0])
    house.fenced.delete(clerkId)
    house.ring()
    yield* settle
    expect(house.handledBy()).toEqual([1, 2])
  })
)

it.effect("beyond `liveMax` an event waits in the journal", () =>
  Effect.gen(function* () {
    const house = new House()
    const conversations = yield* house.open({ liveMax: 2 })
    for (const thread of ["a", "b", "c"]) house.ring("a note", thread)
    yield* settle
    expect([conversations.live(), conversations.isLive(idOf("c")), conversations.inboxSize(idOf("c"))]).toEqual([
      2,
      false,
      0
    ])
    yield* TestClock.adjust(idleMs * 2)
    conversations.wake(idOf("c"))
    yield* settle
    expect(house.handledBy("c")).toEqual([3])
  })
)

it.effect("they end with their scope, and none comes after", () =>
  Effect.gen(function* () {
    const house = new House()
    const scope = yield* Scope.make()
    const conversations = yield* Scope.provide(house.open(), scope)
    house.down.add(idOf("dying"))
    for (const thread of ["a", "b", "dying"]) house.ring("errand", thread)
    yield* settle
    yield* Scope.close(scope, Exit.void)
    expect([...house.alive.values()]).toEqual([0, 0, 0])
    house.ring()
    conversations.wake(idOf("a"))
    yield* TestClock.adjust(intensity.withinMs)
    expect([conversations.live(), house.handledBy(), house.starts("dying")]).toEqual([0, [], 1])
  })
)

it.effect("K4: of one that is held none lives, and none is spawned", () =>
  Effect.gen(function* () {
    const house = new House()
    const conversations = yield* house.open()
    house.ring()
    yield* settle
    const scope = yield* Scope.make()
    yield* Scope.provide(conversations.hold(clerkId), scope)
    expect([house.alive.get(clerkId), conversations.isLive(clerkId)]).toEqual([0, false])
    house.ring()
    conversations.wake(clerkId)
    house.ring("another", "other")
    yield* TestClock.adjust(intensity.withinMs)
    expect([house.starts(), house.handledBy(), house.handledBy("other")]).toEqual([1, [1], [3]])
    yield* Scope.close(scope, Exit.void)
    conversations.wake(clerkId)
    yield* settle
    expect([house.starts(), house.handledBy()]).toEqual([2, [1, 2]])
  })
)
