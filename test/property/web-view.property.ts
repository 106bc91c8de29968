/** The laws of what a page is shown, be it slow, or gone for a while. */
import fc from "fast-check"
import { expect, test } from "vitest"
import { Rooms } from "../../src/adapters/web/rooms.ts"
import { next, nothingShown, type Shown } from "../../src/adapters/web/view.ts"

type Frame = Extract<NonNullable<ReturnType<typeof next>>, { readonly type: "show" }>["frame"]
type Seen = Frame | { readonly type: "message"; readonly seq: number }

const thread = "t"
const pageMax = 2

// What happens to the conversation, and how much of it the page takes meanwhile.
const step = fc.oneof(
  { weight: 2, arbitrary: fc.constant({ type: "ask" as const }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constant("say" as const), text: fc.constantFrom("a", "bc", "🙂") }) },
  { weight: 1, arbitrary: fc.constant({ type: "restart" as const }) },
  { weight: 2, arbitrary: fc.constant({ type: "end" as const }) },
  { weight: 5, arbitrary: fc.record({ type: fc.constant("look" as const), frames: fc.constantFrom(1, 2, 100) }) },
  { weight: 1, arbitrary: fc.constant({ type: "reconnect" as const }) },
  { weight: 1, arbitrary: fc.constant({ type: "wait" as const }) }
)
const steps = fc.array(step, { maxLength: 60, size: "max" })
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

/** The truth: what the conversation is, without rooms and views. */
interface Truth {
  seq: number
  turn: number
  attempt: number
  isAnswering: boolean
  /** What the model said in each attempt. */
  readonly said: Map<string, string>
}

class World {
  readonly rooms = new Rooms()
  readonly truth: Truth = { seq: 0, turn: 0, attempt: 0, isAnswering: false, said: new Map() }
  /** One list for each connection of the page. */
  readonly seen: Array<Array<Seen>> = [[]]
  shown: Shown = nothingShown

  constructor() {
    // Somebody else looks as well, so that the room stays.
    this.rooms.open(thread).sessions.add({ update: () => {} } as never)
  }

  live(step: Step): void {
    const { truth } = this
    const { isAnswering } = truth
    if (step.type === "ask") {
      truth.seq++
      if (!isAnswering) Object.assign(truth, { turn: truth.turn + 1, attempt: 1, isAnswering: true })
      this.#record()
    } else if (step.type === "say" && isAnswering) this.#say(step.text)
    else if (step.type === "restart" && isAnswering) {
      truth.attempt++
      this.#record()
    } else if (step.type === "end" && isAnswering) {
      Object.assign(truth, { seq: truth.seq + 1, isAnswering: false })
      this.#record()
    } else if (step.type === "look") for (let frames = 0; frames < step.frames && this.look(); frames++);
    else if (step.type === "reconnect") {
      this.shown = { ...nothingShown, seq: this.shown.seq }
      this.seen.push([])
    } else if (step.type === "wait") this.rooms.open(thread).wait = waitAt(truth.seq)
  }

  /** One step of the page; false when it has been shown all. */
  look(): boolean {
    const step = next(this.rooms.open(thread), this.shown)
    if (step === undefined) return false
    if (step.type === "show") {
      this.shown = step.shown
      this.seen.at(-1)!.push(step.frame)
      return true
    }
    for (let read = 0; read < pageMax && this.shown.seq < this.truth.seq; read++) {
      this.shown = { ...this.shown, seq: this.shown.seq + 1 }
      this.seen.at(-1)!.push({ type: "message", seq: this.shown.seq })
    }
    return true
  }

  #say(text: string): void {
    const { attempt, said, turn } = this.truth
    const key = `${turn}/${attempt}`
    const before = said.get(key) ?? ""
    said.set(key, before + text)
    this.rooms.show(thread, { type: "text", turn, attempt, at: before.length, text })
  }

  #record(): void {
    const { attempt, isAnswering, seq, turn } = this.truth
    this.rooms.show(thread, { type: "recorded", seq, turn, attempt, value: isAnswering ? "awaiting-model" : "done" })
  }
}

/** The same place may be told again with another reason. */
function waitAt(ahead: number) {
  return { ahead, waitMs: 1, ...(ahead % 2 === 1 && { loading: true as const }) }
}

function live(steps: ReadonlyArray<Step>): World {
  const world = new World()
  for (const step of steps) world.live(step)
  return world
}

const property = (title: string, check: (world: World) => void) =>
  test(title, () => {
    fc.assert(
      fc.property(steps, (steps) => check(live(steps))),
      { numRuns: 500 }
    )
  })

const v1 = "V1: every message is shown once, in the order of `seq`, and before anything that came after it"
property(v1, (world) => {
  while (world.look());
  const shown = world.seen.flat().flatMap((seen) => (seen.type === "message" ? [seen.seq] : []))
  expect(shown).toEqual(Array.from({ length: world.truth.seq }, (_, index) => index + 1))
})

const v2 =
  "V2: deltas of one attempt, joined, are a beginning of what the model said in it; no attempt follows a higher one"
property(v2, ({ seen, truth }) => {
  for (const frames of seen) {
    const joined = new Map<string, string>()
    let last = 0
    for (const frame of frames) {
      if (frame.type !== "delta") continue
      const { at, attempt, text, turn } = frame
      const key = `${turn}/${attempt}`
      const before = joined.get(key) ?? ""
      expect(at).toBe(before.length)
      expect(text).not.toBe("")
      joined.set(key, before + text)
      expect(truth.said.get(key)!.startsWith(before + text)).toBe(true)
      expect(turn * 1_000 + attempt).toBeGreaterThanOrEqual(last)
      last = turn * 1_000 + attempt
    }
  }
})

property("V3: a page that has been shown all that is there is shown nothing more", (world) => {
  while (world.look());
  const { attempt, isAnswering, said, turn } = world.truth
  const frames = world.seen.at(-1)!
  const state = frames.findLast((frame) => frame.type === "state")
  const text = isAnswering ? said.get(`${turn}/${attempt}`) : undefined
  if (state !== undefined) expect(state.value).toBe(isAnswering ? (text ? "streaming" : "awaiting-model") : "done")
  const ofAttempt = frames.flatMap((f) => (f.type === "delta" && f.turn === turn && f.attempt === attempt ? [f] : []))
  if (text !== undefined) expect(ofAttempt.map((frame) => frame.text).join("")).toBe(text)
  expect(next(world.rooms.open(thread), world.shown)).toBe(undefined)
})

test("the steps above reach every kind of frame, an attempt after another, and a draft after a reconnect", () => {
  const worlds = fc.sample(steps, { numRuns: 200, seed: 1 }).map(live)
  const frames = worlds.flatMap(({ seen }) => seen.flat())
  expect(new Set(frames.map(({ type }) => type))).toEqual(new Set(["message", "state", "delta"]))
  expect(frames.some((frame) => frame.type === "delta" && frame.attempt > 1)).toBe(true)
  expect(frames.some((frame) => frame.type === "state" && frame.ahead !== undefined)).toBe(true)
  expect(frames.some((frame) => frame.type === "state" && frame.loading === true)).toBe(true)
  const isResumed = ({ seen }: World) => seen.slice(1).some((list) => list.some(({ type }) => type === "delta"))
  expect(worlds.some(isResumed)).toBe(true)
})
