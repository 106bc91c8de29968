/** The laws of the delivery machine, against a platform that fails in every way and a server that dies in between. */
import fc from "fast-check"
import { expect, test } from "vitest"
import { begin, type Decision, decide, fire, type Situation } from "../../src/machines/decide.ts"
import {
  type Circumstances,
  type DeliveryAction,
  type DeliveryEvent,
  deliveryMachine
} from "../../src/machines/delivery.ts"
import { statesOf, transitionsOf, type Way, wayOfStart, wayOfStep } from "./taken-transitions.ts"

const limits = fc.record({
  attemptsMax: fc.integer({ min: 1, max: 6 }),
  ageMaxMs: fc.constantFrom(5_000, 60_000),
  delayMinMs: fc.integer({ min: 1, max: 200 }),
  delayMaxMs: fc.integer({ min: 200, max: 5_000 })
})
/** What one request to the platform or the database meets. */
const luck = fc.record({
  send: fc.oneof(
    { weight: 1, arbitrary: fc.constantFrom("succeeded" as const, "rejected" as const) },
    { weight: 6, arbitrary: fc.constantFrom("not-sent" as const, "throttled" as const, "ambiguous" as const) }
  ),
  lookUp: fc.oneof(
    { weight: 1, arbitrary: fc.constant("found" as const) },
    { weight: 5, arbitrary: fc.constantFrom("not-found" as const, "failed" as const) }
  ),
  retryAfterMs: fc.constantFrom(0, 300, 9_000),
  luck: fc.double({ min: 0, max: 1, noNaN: true }),
  tookMs: fc.constantFrom(0, 10, 900),
  /** The server dies: before it learns what came of this, or while it waits for the next time. */
  dies: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) })
})
type Luck = typeof luck extends fc.Arbitrary<infer L> ? L : never
/** How many attempts were made before it was replayed. */
const before = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 20 }))
const lucks = fc.array(luck, { maxLength: 30, size: "max" })
const story = fc.record({ limits, isReadable: fc.boolean(), before, lucks })
type Story = typeof story extends fc.Arbitrary<infer S> ? S : never
/** After the story nothing succeeds and nobody dies any more. */
const bad: Luck = { send: "ambiguous", lookUp: "failed", retryAfterMs: 0, luck: 1, tookMs: 900, dies: false }
const stepsMax = 2_000

/** What is to be seen from outside, in order. A message is as old as the clock is late. */
type Sight = { readonly atMs: number } & (
  | DeliveryAction
  | { readonly type: "told"; readonly event: DeliveryEvent }
  | { readonly type: "death"; readonly wasSending: boolean }
)
type Seen<S = Sight> = S extends unknown ? Omit<S, "atMs"> : never

/** The rows of one message, and the machine that is about it. */
class Life {
  readonly story: Story
  readonly sights: Array<Sight> = []
  /** Asked for by one test only. */
  readonly ways: Array<() => Way> = []
  #nowMs = 0
  /** The rows of `attempt`: undefined while there is no result. */
  readonly #results: Array<string | undefined> = []
  #dueAtMs = 0
  #situation!: Situation<typeof deliveryMachine>
  #todo: Array<DeliveryAction> = []

  constructor(story: Story) {
    this.story = story
    this.#results.push(...Array<string>(story.before).fill("rejected"))
    this.#start()
    const lucks = [...story.lucks]
    for (let steps = 0; steps < stepsMax && !this.#isOver; steps++) this.#step(lucks.shift() ?? bad)
  }

  get #isOver() {
    return this.#todo.length === 0 && this.#situation.snapshot.status !== "active"
  }

  get #wasSending() {
    return this.#results.length > 0 && this.#results.at(-1) === undefined
  }

  #start() {
    const { before: attemptsBefore, isReadable, limits } = this.story
    const delayMs = Math.max(0, this.#dueAtMs - this.#nowMs)
    const attempts = this.#results.length
    const row = { isReadable, attempts, attemptsBefore, wasSending: this.#wasSending, delayMs }
    this.ways.push(() => wayOfStart(deliveryMachine, { ...limits, ...row }))
    this.#todo = []
    this.#follow(begin(deliveryMachine, { ...limits, ...row }, this.#nowMs))
  }

  #step(luck: Luck) {
    const action = this.#todo.shift()
    if (action === undefined) return this.#wait(luck)
    this.#see(action)
    this.#keep(action)
    this.#nowMs += luck.tookMs
    const isEnd = action.type === "message.delivered" || action.type === "message.dead"
    if (luck.dies && !isEnd) return this.#die()
    const event = answerTo(action, luck, { ageMs: this.#nowMs, luck: luck.luck })
    if (event === undefined) return
    this.#see({ type: "told", event })
    const { snapshot } = this.#situation
    this.ways.push(() => wayOfStep(deliveryMachine, snapshot, event))
    this.#follow(decide(deliveryMachine, this.#situation, event, this.#nowMs))
  }

  #wait({ dies }: Luck) {
    const [timer] = this.#situation.timers.values()
    expect(timer).toBeDefined()
    const { dueAtMs, event } = timer!
    this.#nowMs = dies ? Math.round((this.#nowMs + dueAtMs) / 2) : dueAtMs
    if (dies) return this.#die()
    const { snapshot } = this.#situation
    this.ways.push(() => wayOfStep(deliveryMachine, snapshot, { type: event }))
    this.#follow(fire(deliveryMachine, this.#situation, timer!, this.#nowMs))
  }

  #die() {
    this.#see({ type: "death", wasSending: this.#wasSending })
    this.#start()
  }

  #keep(action: DeliveryAction) {
    if (action.type === "attempt.record") expect(action.n).toBe(this.#results.push(undefined))
    if ("result" in action) this.#results[action.n - 1] = action.result
    if (action.type === "attempt.fail") this.#dueAtMs = this.#nowMs + action.delayMs
  }

  #follow([after, actions]: Decision<typeof deliveryMachine>) {
    this.#situation = after
    this.#todo.push(...actions)
  }

  #see(seen: Seen) {
    this.sights.push({ ...seen, atMs: this.#nowMs })
  }
}

function answerTo({ type }: DeliveryAction, luck: Luck, circumstances: Circumstances): DeliveryEvent | undefined {
  const reason = "it happens"
  if (type === "attempt.record") return { type: "attempt.recorded" }
  if (type === "message.look-up") {
    if (luck.lookUp === "found") return { type: "look-up.found", receipt: "found" }
    return luck.lookUp === "failed"
      ? { type: "look-up.failed", reason, ...circumstances }
      : { type: "look-up.not-found", ...circumstances }
  }
  if (type !== "message.send") return undefined
  if (luck.send === "succeeded") return { type: "send.succeeded", receipt: "sent" }
  if (luck.send === "rejected") return { type: "send.rejected", reason }
  if (luck.send === "throttled") return { type: "send.throttled", retryAfterMs: luck.retryAfterMs, ...circumstances }
  return { type: `send.${luck.send}`, reason, ...circumstances }
}

const property = (title: string, check: (sights: ReadonlyArray<Sight>, story: Story) => void) =>
  test(title, () =>
    fc.assert(
      fc.property(story, (story) => check(new Life(story).sights, story)),
      { numRuns: 300 }
    )
  )

property("L1: nothing is sent before its attempt is recorded, and each attempt is sent at most once", (sights) => {
  const recorded: Array<number> = []
  const sent: Array<number> = []
  for (const sight of sights) {
    if (sight.type === "attempt.record") recorded.push(sight.n)
    if (sight.type !== "message.send") continue
    expect(sight.n).toBe(recorded.at(-1))
    expect(sent).not.toContain(sight.n)
    sent.push(sight.n)
  }
})

const l2 =
  "L2: it ends in `delivered` or `dead`, once, after at most `attemptsMax` attempts; one that is replayed has so many again"
property(l2, (sights, { limits }) => {
  const ends = sights.filter(({ type }) => type === "message.delivered" || type === "message.dead")
  expect(ends).toEqual([sights.at(-1)])
  const attempts = sights.filter(({ type }) => type === "attempt.record")
  expect(attempts.length).toBeLessThanOrEqual(limits.attemptsMax)
})

property("what is replayed goes as what was never sent, its attempts numbered on", (sights, story) => {
  const numberedOn = (sight: Sight): Sight => ("n" in sight ? { ...sight, n: sight.n + story.before } : sight)
  expect(sights).toEqual(new Life({ ...story, before: 0 }).sights.map(numberedOn))
})

property("what fails past its age is not sent again, unless the server dies of that", (sights, { limits }) => {
  let isTooOld = false
  for (const sight of sights) {
    if (sight.type === "death") isTooOld = false
    if (sight.type === "told" && sight.event.type !== "look-up.not-found" && "ageMs" in sight.event)
      isTooOld = sight.event.ageMs > limits.ageMaxMs
    if (sight.type === "attempt.record") expect(isTooOld).toBe(false)
  }
})

const l3 = "L3: after an ambiguous attempt a readable platform is asked before anything is sent again"
property(l3, (sights, { isReadable }) => {
  let isUnsure = false
  for (const sight of sights) {
    if (sight.type === "death") isUnsure ||= sight.wasSending
    if (sight.type === "told" && sight.event.type === "send.ambiguous") isUnsure = true
    if (sight.type === "told" && sight.event.type === "look-up.not-found") isUnsure = false
    if (sight.type === "message.look-up") expect(isUnsure && isReadable).toBe(true)
    if (sight.type === "attempt.record") expect(isUnsure && isReadable).toBe(false)
    if (sight.type === "attempt.fail" && !isReadable) isUnsure = false
  }
})

const l4 = "L4: it waits at least as long as the platform said, and at most `delayMaxMs` where it said nothing"
property(l4, (sights, { limits: { delayMaxMs } }) => {
  let told: DeliveryEvent | undefined
  let failed: Extract<Sight, { type: "attempt.fail" }> | undefined
  for (const [index, sight] of sights.entries()) {
    if (sight.type === "attempt.record" && failed !== undefined)
      expect(sight.atMs - failed.atMs).toBeGreaterThanOrEqual(failed.delayMs)
    if (sight.type === "attempt.fail") {
      failed = sight
      const saidMs = told?.type === "send.throttled" ? told.retryAfterMs : 0
      expect(sight.delayMs).toBeGreaterThanOrEqual(saidMs)
      expect(sight.delayMs).toBeLessThanOrEqual(Math.max(saidMs, delayMaxMs))
    }
    if (sight.type === "message.look-up" && told?.type === "look-up.failed")
      expect(sight.atMs - sights[index - 1]!.atMs).toBeLessThanOrEqual(delayMaxMs)
    if (sight.type === "death") told = undefined
    if (sight.type === "told") told = sight.event
  }
})

property("L5: whoever was sending when the server died is unsure, never delivered and never fresh", (sights, story) => {
  for (const [index, sight] of sights.entries()) {
    if (sight.type !== "death" || !sight.wasSending) continue
    const next = sights[index + 1]
    if (story.isReadable) expect(next?.type).toBe("message.look-up")
    else expect(next).toMatchObject({ type: expect.stringMatching(/attempt.fail|message.dead/), result: "ambiguous" })
  }
})

test("the stories above reach every state, every transition and every end", () => {
  const lives = fc.sample(story, { numRuns: 300, seed: 1 }).map((story) => new Life(story))
  const reached = (pick: (way: Way) => ReadonlyArray<string>) =>
    [...new Set(lives.flatMap(({ ways }) => ways.flatMap((way) => pick(way()))))].toSorted()
  expect(reached(({ states }) => states)).toEqual(["delivery", ...statesOf(deliveryMachine)])
  expect(reached(({ transitions }) => transitions)).toEqual(transitionsOf(deliveryMachine))
  const results = lives.flatMap(({ sights }) => sights.flatMap((sight) => ("result" in sight ? [sight.result] : [])))
  expect([...new Set(results)].toSorted()).toEqual(["ambiguous", "not-sent", "rejected", "throttled"])
  const some = (is: (life: Life) => boolean) => expect(lives.some(is)).toBe(true)
  some(({ sights, story }) => sights.filter(({ type }) => type === "message.send").length === story.limits.attemptsMax)
  some(({ sights, story }) => sights.at(-1)!.atMs > story.limits.ageMaxMs)
})
