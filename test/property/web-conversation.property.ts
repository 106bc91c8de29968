import fc from "fast-check"
import { expect, test } from "vitest"
import type { Rejection } from "../../src/adapters/web/frames.ts"
import { begin, newestSeq, step } from "../../web/src/conversation.ts"
import { type Happening, World } from "./web-server.ts"

const only = (
  type: "write" | "write-elsewhere" | "open" | "cut" | "restart" | "reload" | "begin" | "finish" | "retry"
) => fc.constant<Happening>({ type })
const count = fc.integer({ min: 1, max: 8 })
const reason = fc.constantFrom<Rejection>("database", "inbox-full", "stopping", "too-long", "empty")

const happening = fc.oneof<Array<fc.WeightedArbitrary<Happening>>>(
  { weight: 4, arbitrary: only("open") },
  { weight: 4, arbitrary: only("write") },
  { weight: 1, arbitrary: only("write-elsewhere") },
  { weight: 8, arbitrary: fc.record({ type: fc.constant("up"), count }) },
  { weight: 8, arbitrary: fc.record({ type: fc.constant("down"), count }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("down-twice"), count }) },
  { weight: 3, arbitrary: only("begin") },
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constant("grow"),
      length: fc.integer({ min: 0, max: 3 }),
      how: fc.constantFrom("all", "all", "overlap", "lost")
    })
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("late"), back: fc.integer({ min: 1, max: 12 }) }) },
  { weight: 2, arbitrary: only("finish") },
  { weight: 2, arbitrary: only("retry") },
  { weight: 2, arbitrary: only("cut") },
  { weight: 1, arbitrary: fc.constant<Happening>({ type: "swallow" }) },
  { weight: 1, arbitrary: only("restart") },
  { weight: 1, arbitrary: only("reload") },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("refuse"), reason }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("pass"), ms: fc.constantFrom(100, 600, 2_000, 40_000) }) }
)
/** Half of the stories begin in the midst of an answer, which few would come to. */
const answering = [
  { type: "open" },
  { type: "write" },
  ...["up", "down", "up", "down"].map((type) => ({ type, count: 8 }) as Happening),
  { type: "begin" },
  { type: "grow", length: 1, how: "all" }
] as const satisfies ReadonlyArray<Happening>
const story = fc
  .tuple(fc.constantFrom([], answering), fc.array(happening, { maxLength: 120, size: "max" }))
  .map(([before, story]) => [...before, ...story])

/** Tells the story, and looks after each step of it and at its end. */
function always(look: (world: World) => void, atTheEnd: (world: World) => void = look): void {
  fc.assert(
    fc.property(story, (story) => {
      const world = new World()
      for (const what of story) {
        world.happen(what)
        look(world)
      }
      world.calm()
      atTheEnd(world)
    }),
    { numRuns: 500 }
  )
}

test("W1: Texts of two attempts are never shown together.", () => {
  always((world) => {
    const { draft, endedTurn } = world.session.state
    if (draft === undefined) return
    const words = draft.text.split(" ").filter((word) => word !== "")
    expect(words.every((word) => word.startsWith(`${draft.turn}.${draft.attempt}.`))).toBe(true)
    expect(draft.turn).toBeGreaterThan(endedTurn)
  })
})

test("W2: Each seq is shown once and in order.", () => {
  const look = (world: World) => {
    const { messages } = world.session.state
    const first = messages[0]?.seq ?? 1
    const truth = world.log.slice(first - 1, first - 1 + messages.length)
    expect(messages).toEqual(truth.map(({ type: _, turn: __, ...message }) => message))
  }
  always(look, (world) => {
    look(world)
    expect(newestSeq(world.session.state) ?? 0).toBe(world.log.length)
  })
})

test("W3: A message that was sent is shown exactly once, whatever is lost, repeated or reconnected.", () => {
  const look = (world: World) => {
    const { messages, outgoing } = world.session.state
    const shown = [...messages, ...outgoing].map(({ id }) => id).filter((id) => id !== undefined)
    expect(shown).toEqual([...new Set(shown)])
    // A page that was loaded again has what is stored from the server alone: the newest ones, when they have come.
    const isElsewhere = (id: string) => world.beforeReload.includes(id) && world.log.some((stored) => stored.id === id)
    const missing = world.written.filter((id) => !shown.includes(id) && !isElsewhere(id))
    expect(missing).toEqual([])
  }
  always(look, (world) => {
    look(world)
    const isStored = (id: string) => world.log.filter((message) => message.id === id).length === 1
    const { outgoing } = world.session.state
    const failed = outgoing.filter(({ status }) => status === "failed").map(({ id }) => id)
    expect(world.written.filter((id) => !failed.includes(id) && !isStored(id))).toEqual([])
    expect(outgoing.filter(({ status }) => status !== "failed" && status !== "accepted")).toEqual([])
    expect(
      world.shelf
        .unsent("key")
        .map(({ id }) => id)
        .toSorted()
    ).toEqual(failed.toSorted())
  })
})

test("W4: An overlap or a gap never garbles a draft.", () => {
  always((world) => {
    const { draft } = world.session.state
    if (draft !== undefined) expect(world.textOf(draft).startsWith(draft.text)).toBe(true)
  })
})

test("W5: A message is given up only by the server's word or the person's.", () => {
  always((world) => {
    for (const { id, status } of world.session.state.outgoing) {
      if (status === "failed") expect(world.refused).toContain(id)
    }
  })
})

test("after a reconnection the whole draft is there again", () => {
  always(
    () => {},
    (world) => {
      world.happen({ type: "begin" })
      world.happen({ type: "grow", length: 2, how: "lost" })
      world.happen({ type: "cut" })
      world.calm()
      const { draft } = world.session.state
      expect(draft?.text ?? "").toBe(world.truth?.text ?? "")
    }
  )
})

test("without losses the draft is all that the running attempt said", () => {
  const grow = { type: "grow", length: 2, how: "all" } as const
  always(
    () => {},
    (world) => {
      for (const again of ["begin", "retry", "retry"] as const) {
        for (const what of [{ type: again }, grow, grow]) world.happen(what)
        world.calm()
        if (again === "retry") expect(world.session.state.draft).toMatchObject(world.truth ?? {})
      }
    }
  )
})

test("a message that is refused for a moment is tried again by itself, once", () => {
  const world = new World()
  const tell = (...types: ReadonlyArray<"open" | "write">) => {
    for (const type of types) world.happen({ type })
    for (const type of ["up", "down"] as const) world.happen({ type, count: 8 })
  }
  const status = () => world.session.state.outgoing[0]?.status
  tell("open")
  world.happen({ type: "refuse", reason: "database" })
  tell("write")
  expect(status()).toBe("paused")
  world.happen({ type: "refuse", reason: "database" })
  world.pass(500)
  expect(status()).toBe("sending")
  tell()
  expect(status()).toBe("failed")
  world.calm()
  expect([status(), world.log.length]).toEqual(["failed", 0])
  world.session.sendAgain(world.written[0]!)
  world.calm()
  expect([status(), world.log.map(({ id }) => id)]).toEqual([undefined, world.written])
})

test("an older word about a message does not undo a newer one", () => {
  const message = { id: "x", text: "x", atMs: 1 }
  const written = step(step(begin("a"), { type: "welcome", conversation: "a", seq: 0 }), { type: "write", message })
  const accepted = step(written, { type: "accepted", id: "x" })
  expect(step(accepted, { type: "rejected", id: "x", reason: "database" })).toEqual(accepted)
  expect(step(accepted, { type: "send-again", id: "x" })).toEqual(accepted)
  expect(step(accepted, { type: "discard", id: "x" })).toEqual(accepted)
  expect(step(accepted, { type: "write", message })).toBe(accepted)
  const shown = step(accepted, { type: "message", role: "user", id: "x", text: "x", seq: 1, turn: 1, atMs: 1 })
  expect(step(shown, { type: "write", message })).toBe(shown)
})

test("a server that knows another history, or a shorter one, is believed", () => {
  const message = { type: "message", role: "user", text: "a", turn: 1, atMs: 1 } as const
  const known = step(step(begin("a"), { type: "welcome", conversation: "a", seq: 2 }), { ...message, seq: 2 })
  const waiting = step(known, { type: "write", message: { id: "x", text: "x", atMs: 1 } })
  for (const welcome of [
    { conversation: "a", seq: 1 },
    { conversation: "b", seq: 2 }
  ]) {
    const after = step(waiting, { type: "welcome", ...welcome })
    expect([after.id, after.messages, after.outgoing.length]).toEqual([welcome.conversation, [], 1])
  }
  expect(step(waiting, { type: "welcome", conversation: "a", seq: 3 }).messages).toHaveLength(1)
})

test("the stories above reach what they are about", () => {
  const seen = new Set<string>()
  for (const one of fc.sample(story, { numRuns: 300, seed: 1 })) {
    const world = new World()
    for (const what of one) {
      world.happen(what)
      const { draft, outgoing } = world.session.state
      for (const { status } of outgoing) seen.add(status)
      if (draft !== undefined) seen.add(draft.isStale ? "stale" : "draft")
      if ((draft?.attempt ?? 0) > 1) seen.add("second attempt")
    }
    if (world.log.length > 8) seen.add("long history")
  }
  const wanted = [
    "waiting",
    "sending",
    "paused",
    "accepted",
    "failed",
    "draft",
    "stale",
    "second attempt",
    "long history"
  ]
  expect([...seen].toSorted()).toEqual(wanted.toSorted())
})
