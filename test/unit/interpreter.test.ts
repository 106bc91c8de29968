/** The laws of the interpreter, kept for a clerk: virtual time, and a `perform` that writes down what it was asked. */
import { expect, it } from "@effect/vitest"
import { Effect, Fiber, Latch } from "effect"
import { TestClock } from "effect/testing"
import { setup } from "xstate"
import { interpret } from "../../src/actors/interpreter.ts"
import { type Entry, FencedOff, type Journal, Unavailable } from "../../src/store/journal.ts"
import { alarmMs, clerkBehaviour, clerkId, Office, type Words } from "./clerk.ts"

/** Whatever can go on has gone on. */
const settle = Effect.repeat(TestClock.adjust(0), { times: 20 })
const tell = (actor: { offer: (inbound: ReturnType<Office["bring"]>) => boolean }, office: Office, text: string) =>
  Effect.andThen(
    Effect.sync(() => actor.offer(office.bring(text))),
    settle
  )

/** Commits wait while the gate is closed. */
const gated =
  (gate: Latch.Latch) =>
  (journal: Journal["Service"]): Journal["Service"] => ({
    ...journal,
    commit: (entry) => Latch.whenOpen(gate)(journal.commit(entry))
  })

it.effect("E1: nothing is performed before the event that asked for it is durable", () =>
  Effect.gen(function* () {
    const gate = yield* Latch.make(false)
    const office = new Office({}, gated(gate))
    const { actor } = yield* office.open()
    yield* tell(actor, office, "a note")
    yield* tell(actor, office, "errand")
    expect([office.performed, office.delivered]).toEqual([[], []])
    yield* Latch.open(gate)
    yield* settle
    expect(office.performed).toEqual(["note.keep", "errand.run"])
    expect(office.delivered).toMatchObject([{ text: "kept a note", conversation: clerkId, inReplyTo: ["1"] }])
  })
)

it.effect("E1: … and its event is the last one that is written", () =>
  Effect.gen(function* () {
    const seen: Array<unknown> = []
    const office = new Office({ perform: ({ type }) => Effect.sync(() => void seen.push([type, office.types.at(-1)])) })
    const { actor } = yield* office.open()
    for (const text of ["a note", "errand"]) yield* tell(actor, office, text)
    expect(seen).toEqual([
      ["note.keep", "note.brought"],
      ["errand.run", "errand.wanted"]
    ])
  })
)

const e2 =
  "E2: an event the machine throws on, or that cannot be written, is dead with an apology, and the next one is handled"
it.effect.each([
  ["fire", "fire.reported", "it burns"],
  ["lost", "inbound", "nobody can read that"],
  ["torn", "note.brought", "the note is torn"],
  ["blot", "note.brought", "no such text"]
] as ReadonlyArray<[Words, string, string]>)(`${e2} (%s)`, ([words, , reason]) =>
  Effect.gen(function* () {
    const office = new Office()
    const { actor } = yield* office.open()
    yield* tell(actor, office, words)
    yield* tell(actor, office, "a note")
    expect(office.tables.entries.map(({ dead, handled }) => [dead ?? "", handled])).toEqual([
      [expect.stringContaining(reason), 1],
      ["", 2]
    ])
    expect(office.delivered.map(({ inReplyTo, outcome, text }) => [text, outcome, inReplyTo])).toEqual([
      ["sorry", "dead", ["1"]],
      ["kept a note", "answered", ["2"]]
    ])
    expect(office.tables.letters).toMatchObject([
      { kind: "inbound", reference: "1", reason: expect.stringContaining(reason) }
    ])
    expect(office.tables.inbound.map(({ fate }) => fate)).toEqual(["dead", "answered"])
    // The machine stays as it was.
    expect(office.tables.entries.at(-1)?.snapshot.context).toEqual({ notes: 1, rumours: 0 })
    expect(office.performed).toEqual(["note.keep"])
    expect(actor.inboxSize).toBe(0)
  })
)

it.effect("E2: … a timer likewise, and only once", () =>
  Effect.gen(function* () {
    const isSafe = () => {
      throw new Error("it burns")
    }
    const machine = setup({ guards: { isSafe } }).createMachine({
      id: "clerk",
      initial: "waiting",
      states: { waiting: { after: { 10: { guard: "isSafe" } } } }
    })
    const office = new Office()
    const behaviour = { ...clerkBehaviour(), machine, refresh: (context: unknown) => context }
    for (const _ of ["first life", "second life"]) {
      const actor = interpret(clerkId, behaviour as never, office.journal, () => {})
      yield* Effect.scoped(Effect.andThen(Effect.forkScoped(actor.run), TestClock.adjust("1 second")))
    }
    expect(office.tables.entries).toMatchObject([
      { event: { type: "xstate.after.10.clerk.waiting" }, dead: expect.stringContaining("it burns") }
    ])
  })
)

it.effect("E2: … and an actor whose apology cannot be written either stops", () =>
  Effect.gen(function* () {
    const apology = () => ({ messages: [{ role: "user" as const, text: "\0", turn: 0 }] })
    const office = new Office({ apology })
    const { actor, fiber } = yield* office.open()
    yield* tell(actor, office, "fire")
    expect(yield* Effect.flip(Fiber.join(fiber))).toMatchObject({
      _tag: "Stopped",
      reason: expect.stringContaining("not even its end")
    })
    expect(office.tables.entries).toEqual([])
  })
)

it.effect("E3: ephemeral events are not written, nor are those that change nothing", () =>
  Effect.gen(function* () {
    const office = new Office()
    const { actor } = yield* office.open()
    for (const type of ["rumour.heard", "errand.done", "rumour.heard", "actor.gave-up"] as const)
      yield* actor.report({ type })
    yield* settle
    expect([office.types, office.performed]).toEqual([[], ["rumour.pass", "rumour.pass"]])
    yield* tell(actor, office, "a note")
    expect(office.types).toEqual(["note.brought"])
    expect(office.tables.entries[0]?.snapshot.context).toEqual({ notes: 1, rumours: 2 })
  })
)

it.effect("an inbound event that changes nothing has its fate all the same", () =>
  Effect.gen(function* () {
    const office = new Office()
    const { actor } = yield* office.open()
    yield* tell(actor, office, "weather")
    expect(office.tables.entries).toMatchObject([
      { handled: 1, settle: [{ after: 0, upTo: 1, fate: "ignored", rule: "no-effect" }] }
    ])
    expect([actor.inboxSize, office.delivered]).toEqual([0, []])
  })
)

it.effect.each([
  ["FencedOff", (entry: Entry) => Effect.fail(new FencedOff(entry))],
  ["Unavailable", () => Effect.fail(new Unavailable({ reason: "the disk is full" }))]
] as const)(
  "E4: an actor that cannot write stops: only the journal knows whether the row exists (%s)",
  ([tag, fails]) =>
    Effect.gen(function* () {
      let isBroken = false
      const office = new Office({}, (journal) => ({
        ...journal,
        commit: (entry) => Effect.suspend(() => (isBroken ? fails(entry) : journal.commit(entry)))
      }))
      const { actor, fiber } = yield* office.open()
      yield* tell(actor, office, "a note")
      isBroken = true
      yield* tell(actor, office, "errand")
      expect(yield* Effect.flip(Fiber.join(fiber))).toMatchObject({ _tag: tag })
      expect([office.types, office.performed]).toEqual([["note.brought"], ["note.keep"]])
      expect(yield* Effect.flip(actor.report({ type: "errand.done" }))).toMatchObject({ _tag: "Stopped", id: clerkId })
      expect(actor.offer(office.bring("another note"))).toBe(false)
    })
)

it.effect("whoever waits for room in the mailbox of an actor that ends is told", () =>
  Effect.gen(function* () {
    const gate = yield* Latch.make(true)
    const office = new Office({}, gated(gate))
    const { actor, die } = yield* office.open()
    yield* Latch.close(gate)
    const reports = yield* Effect.forEach([1, 2, 3, 4, 5, 6, 7], (position) =>
      Effect.forkChild(actor.report({ type: "note.brought", position, text: "" }), { startImmediately: true })
    )
    yield* settle
    yield* die
    yield* settle
    expect(reports.filter((report) => report.pollUnsafe() === undefined)).toEqual([])
  })
)

it.effect("E6: an actor that starts again goes on from its last entry, and its overdue timers fire", () =>
  Effect.gen(function* () {
    const office = new Office()
    const first = yield* office.open()
    for (const text of ["a note", "alarm"]) yield* tell(first.actor, office, text)
    yield* first.die
    yield* TestClock.adjust(alarmMs * 2)
    expect(office.performed).toEqual(["note.keep"])
    yield* office.open()
    yield* settle
    expect(office.performed).toEqual(["note.keep", "bell.ring"])
    expect(office.tables.entries.at(-1)).toMatchObject({
      seq: 3,
      messageSeq: 1,
      timers: [],
      snapshot: { value: "idle" }
    })
  })
)

it.effect("E6: … a timer that is not yet due fires when it is, and one that was replaced does not", () =>
  Effect.gen(function* () {
    const gate = yield* Latch.make(true)
    const office = new Office({}, gated(gate))
    const first = yield* office.open()
    yield* tell(first.actor, office, "alarm")
    yield* TestClock.adjust(alarmMs - 1)
    yield* first.die
    const { actor } = yield* office.open()
    yield* settle
    yield* Latch.close(gate)
    yield* tell(actor, office, "alarm") // the old one fires into the mailbox, behind what replaces it
    yield* TestClock.adjust(1)
    yield* Latch.open(gate)
    yield* TestClock.adjust(alarmMs - 2)
    expect(office.performed).toEqual([])
    yield* TestClock.adjust(1)
    expect(office.performed).toEqual(["bell.ring"])
  })
)
