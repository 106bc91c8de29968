/** The laws of the interpreter over several lives: what was not offered, what dies, what is old, and what rests. */
import { expect, it } from "@effect/vitest"
import { Effect, Fiber, Latch } from "effect"
import { TestClock } from "effect/testing"
import type { Behaviour, Migrated } from "../../src/actors/actor.ts"
import { defectsMax } from "../../src/actors/interpreter.ts"
import type { Journal } from "../../src/store/journal.ts"
import { alarmMs, type Clerk, Office } from "./clerk.ts"

/** Whatever can go on has gone on. */
const settle = Effect.repeat(TestClock.adjust(0), { times: 40 })
const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1)

/** What is read comes, and what is to be written goes, while the gate is open. */
const slowly =
  (gate: Latch.Latch) =>
  (journal: Journal["Service"]): Journal["Service"] => ({
    ...journal,
    load: (conversation, pendingMax) => Effect.tap(journal.load(conversation, pendingMax), Latch.await(gate)),
    commit: (entry) => Latch.whenOpen(gate)(journal.commit(entry))
  })

const e5 = "E5: inbound events are handled once, in the order of their positions, whether they were offered or read"

it.effect(`${e5}: more at once than the mailbox holds`, () =>
  Effect.gen(function* () {
    const gate = yield* Latch.make(true)
    const office = new Office({}, slowly(gate))
    const { actor } = yield* office.open()
    yield* Latch.close(gate)
    const taken = upTo(20).map(() => actor.offer(office.bring("a note")))
    expect(taken).toEqual([...Array(4).fill(true), ...Array(16).fill(false)])
    expect(actor.inboxSize).toBe(20)
    yield* Latch.open(gate)
    yield* settle
    expect([office.handled, office.tables.entries.length, actor.inboxSize]).toEqual([upTo(20), 20, 0])
    expect(actor.offer(office.bring("a note"))).toBe(true)
  })
)

it.effect(`${e5}: while it starts`, () =>
  Effect.gen(function* () {
    const gate = yield* Latch.make(false)
    const office = new Office({}, slowly(gate))
    for (const _ of upTo(2)) office.bring("a note")
    const { actor } = yield* office.open()
    for (const _ of upTo(9)) actor.offer(office.bring("a note"))
    yield* Latch.open(gate)
    yield* settle
    expect([office.handled, office.tables.entries.length]).toEqual([upTo(11), 11])
  })
)

it.effect(`${e5}: while it reads what it was not told of`, () =>
  Effect.gen(function* () {
    const gate = yield* Latch.make(true)
    const office = new Office({}, slowly(gate))
    const { actor } = yield* office.open()
    yield* settle
    yield* Latch.close(gate)
    office.bring("a note")
    actor.wake()
    yield* settle
    for (const _ of upTo(9)) actor.offer(office.bring("a note"))
    yield* Latch.open(gate)
    yield* settle
    expect([office.handled, office.tables.entries.length]).toEqual([upTo(10), 10])
  })
)

it.effect(`${e5}: more than it reads at once, and some of them nobody told it of`, () =>
  Effect.gen(function* () {
    const office = new Office()
    for (const _ of upTo(10)) office.bring("a note")
    const { actor } = yield* office.open()
    yield* settle
    expect(office.handled).toEqual(upTo(10))
    for (const _ of upTo(3)) office.bring("a note")
    yield* settle
    expect(office.handled).toEqual(upTo(10))
    actor.wake()
    actor.offer(office.bring("a note"))
    yield* settle
    expect([office.handled, office.tables.entries.length]).toEqual([upTo(14), 14])
  })
)

/** Each performing of `type` dies while `isBroken` says so. */
const brittle = (office: () => Office, type: string, isBroken: () => boolean): Partial<Behaviour<Clerk>> => ({
  perform: (action) =>
    action.type === type && isBroken()
      ? Effect.die(new Error("the stairs are gone"))
      : Effect.sync(() => void office().performed.push(action.type))
})

const e7 =
  "E7: what dies in being performed is tried `defectsMax` times, also across restarts, and then given up in words"

it.effect(e7, () =>
  Effect.gen(function* () {
    const office: Office = new Office(
      brittle(
        () => office,
        "errand.run",
        () => true
      )
    )
    office.bring("errand")
    for (const life of upTo(defectsMax - 1)) {
      const { fiber } = yield* office.open()
      yield* settle
      expect(yield* Effect.flip(Fiber.join(fiber))).toMatchObject({
        _tag: "Stopped",
        reason: expect.stringContaining("stairs")
      })
      expect(office.tables.entries.at(-1)).toMatchObject({ event: { type: "actor.defect" }, defects: life })
    }
    const { actor, fiber } = yield* office.open()
    yield* settle
    expect(office.delivered.map(({ text }) => text)).toEqual(["abandoned"])
    expect(office.tables.letters).toMatchObject([{ kind: "turn", reason: expect.stringContaining("stairs") }])
    expect(office.tables.entries.at(-1)).toMatchObject({ snapshot: { value: "idle" }, defects: 0 })
    actor.offer(office.bring("a note"))
    yield* settle
    expect([office.handled, fiber.pollUnsafe()]).toEqual([[1, 2], undefined])
  })
)

it.effect("E7: … in a letter where the machine has no use for it", () =>
  Effect.gen(function* () {
    const office: Office = new Office(
      brittle(
        () => office,
        "note.keep",
        () => true
      )
    )
    for (const _ of upTo(defectsMax)) {
      office.bring("a note")
      yield* Effect.scoped(Effect.andThen(office.open(), settle))
    }
    expect(office.handled).toEqual(upTo(defectsMax))
    expect(office.tables.letters).toMatchObject([{ kind: "turn", reason: expect.stringContaining("stairs") }])
    expect(office.tables.entries.at(-1)).toMatchObject({ defects: 0, event: { type: "actor.gave-up" } })
  })
)

it.effect("E7: … and neither a kill nor what succeeds between two defects counts", () =>
  Effect.gen(function* () {
    let broken = 1
    const office: Office = new Office(
      brittle(
        () => office,
        "errand.run",
        () => broken-- > 0
      )
    )
    office.bring("errand")
    const live = Effect.scoped(Effect.andThen(office.open(), settle))
    yield* live
    expect(office.tables.entries.at(-1)).toMatchObject({ defects: 1 })
    for (const _ of upTo(5)) yield* live
    expect(office.performed).toEqual(Array(5).fill("errand.run"))
    const { actor } = yield* office.open()
    yield* actor.report({ type: "errand.done" })
    yield* settle
    expect(office.tables.entries.at(-1)).toMatchObject({ defects: 0, snapshot: { value: "idle" } })
    expect(office.tables.letters).toEqual([])
  })
)

const e8 = "E8: a snapshot of an earlier version is migrated, one of an unknown version is not touched"

it.effect(e8, () =>
  Effect.gen(function* () {
    const office = new Office()
    office.bring("a note")
    yield* Effect.scoped(Effect.andThen(office.open(), settle))
    const add = (notes: number) => (stored: Migrated) => {
      const context = stored.context as { readonly notes: number }
      return { ...stored, context: { ...context, notes: context.notes + notes } }
    }
    office.bring("a note")
    yield* Effect.scoped(Effect.andThen(office.open({ version: 3, migrations: { 1: add(10), 2: add(100) } }), settle))
    expect(office.tables.entries.at(-1)?.snapshot).toMatchObject({ version: 3, context: { notes: 112 } })
  })
)

it.effect("E8: … and its timers with it", () =>
  Effect.gen(function* () {
    const office = new Office()
    office.bring("alarm")
    yield* Effect.scoped(Effect.andThen(office.open(), settle))
    const [entry] = office.tables.entries
    const before = (text: string) => text.replace("waiting", "sleeping")
    const timers = entry!.timers.map((timer) => ({ ...timer, id: before(timer.id), event: before(timer.event) }))
    office.tables.entries[0] = { ...entry!, timers, snapshot: { ...entry!.snapshot, value: "sleeping" } }
    const wakeUp = (stored: Migrated): Migrated => JSON.parse(JSON.stringify(stored).replaceAll("sleeping", "waiting"))
    yield* office.open({ version: 2, migrations: { 1: wakeUp } })
    yield* TestClock.adjust(alarmMs)
    yield* settle
    expect(office.performed).toEqual(["bell.ring"])
    expect(office.tables.entries.at(-1)).toMatchObject({ timers: [], snapshot: { version: 2, value: "idle" } })
  })
)

it.effect.each([
  ["later than today's", { version: 1 }],
  ["earlier, and no migration leads here", { version: 4, migrations: { 3: (stored) => stored } }],
  ["of another machine", { version: 2, machine: "scribe" }]
] as ReadonlyArray<[string, { version: number; machine?: string; migrations?: Behaviour<Clerk>["migrations"] }]>)(
  `${e8} (%s)`,
  ([, { machine, ...options }]) =>
    Effect.gen(function* () {
      const office = new Office({ version: 2 })
      office.bring("a note")
      yield* Effect.scoped(Effect.andThen(office.open(), settle))
      const last = office.tables.entries.at(-1)!
      if (machine !== undefined) office.tables.entries[0] = { ...last, snapshot: { ...last.snapshot, machine } }
      const before = structuredClone(office.tables)
      const { fiber } = yield* office.open(options)
      yield* settle
      expect(yield* Effect.flip(Fiber.join(fiber))).toMatchObject({
        _tag: "Stopped",
        reason: expect.stringContaining("migrate it")
      })
      expect(structuredClone(office.tables)).toEqual(before)
    })
)

it.effect("today's settings take the place of yesterday's", () =>
  Effect.gen(function* () {
    const office = new Office()
    for (const refresh of [(context: object) => context, (context: object) => ({ ...context, rumours: 7 })]) {
      office.bring("a note")
      yield* Effect.scoped(Effect.andThen(office.open({ refresh: refresh as never }), settle))
    }
    expect(office.tables.entries.at(-1)?.snapshot.context).toEqual({ notes: 2, rumours: 7 })
  })
)

it.effect("an actor may rest when it has done nothing and was asked nothing for long, and owes nothing", () =>
  Effect.gen(function* () {
    const gate = yield* Latch.make(false)
    const office = new Office({}, slowly(gate))
    const { actor } = yield* office.open()
    expect(actor.rest(Infinity)).toBe(false)
    yield* Latch.open(gate)
    yield* settle
    expect([actor.rest(Infinity), actor.rest(0), actor.rest(-1)]).toEqual([true, true, false])
    yield* TestClock.adjust(1_000)
    actor.offer(office.bring("alarm"))
    expect(actor.rest(Infinity)).toBe(false)
    yield* settle
    expect([actor.rest(999), actor.rest(1_000)]).toEqual([false, true])
    actor.wake()
    expect(actor.rest(Infinity)).toBe(false)
    yield* settle
    expect(actor.rest(Infinity)).toBe(true)
    yield* TestClock.adjust(alarmMs)
    yield* settle
    expect([actor.rest(alarmMs), actor.rest(alarmMs + 1_000)]).toEqual([false, true])
    actor.offer(office.bring("errand"))
    yield* settle
    expect(actor.rest(Infinity)).toBe(false)
    yield* actor.report({ type: "errand.done" })
    expect(actor.rest(Infinity)).toBe(false)
    yield* settle
    expect(actor.rest(Infinity)).toBe(true)
  })
)
