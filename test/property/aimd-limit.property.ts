/** The laws of aimd-limit.ts, after each step of any life of it, and where it goes with a server that is simulated. */
import fc from "fast-check"
import { expect, test } from "vitest"
import { emptyLimit, type Limit, refuse, type Sent, sentOf, speak } from "../../src/inference/aimd-limit.ts"
import { type Simulation, simulate } from "./simulated-server.ts"

const waitedMs = fc.oneof(fc.nat(100), fc.integer({ min: 300, max: 600 }), fc.nat(60_000))
/** Which of those that wait for their first token, the oldest first. */
const nth = fc.nat({ max: 8 })
const send = fc.record({ type: fc.constant("send" as const), promptTokens: fc.nat(4_000) })
const speaking = fc.record({ type: fc.constant("speak" as const), nth, waitedMs })
const refusing = fc.record({ type: fc.constant("refuse" as const), nth })
/** So many requests, each answered before the next: with a long wait it is a server whose queue grows. */
const serve = fc
  .record({ count: fc.constantFrom(5, 20, 300), waitedMs: fc.constantFrom(50, 400, 50_000) })
  .map(({ count, waitedMs }) =>
    Array.from({ length: 2 * count }, (_, index) =>
      index % 2 === 0
        ? { type: "send" as const, promptTokens: 100 }
        : { type: "speak" as const, nth: Number.POSITIVE_INFINITY, waitedMs }
    )
  )
const one = fc.oneof(
  { weight: 4, arbitrary: send },
  { weight: 5, arbitrary: speaking },
  { weight: 1, arbitrary: refusing }
)
const some = fc.oneof({ weight: 30, arbitrary: fc.tuple(one) }, { weight: 1, arbitrary: serve })
const commands = fc.array(some, { maxLength: 150, size: "max" })
type Command = typeof one extends fc.Arbitrary<infer C> ? C : never
const slotsMax = fc.integer({ min: 1, max: 40 })

interface Moment {
  readonly type: "send" | "speak" | "refuse"
  /** The request that spoke or was refused. */
  readonly sent: Sent | undefined
  readonly inFlight: number
  readonly before: Limit
  readonly after: Limit
}

function live(slotsMax: number, commands: ReadonlyArray<ReadonlyArray<Command>>) {
  const limit = emptyLimit(slotsMax)
  const waiting: Array<Sent> = []
  const moments: Array<Moment> = []
  for (const one of commands.flat()) {
    const before = { ...limit, round: { ...limit.round } }
    const inFlight = waiting.length
    let sent: Sent | undefined
    if (one.type === "send") waiting.push(sentOf(limit, inFlight + 1, one.promptTokens))
    else {
      sent = waiting.splice(Math.min(one.nth, inFlight - 1), 1)[0]
      if (sent === undefined) continue
      if (one.type === "speak") speak(limit, sent, one.waitedMs)
      else refuse(limit, sent, inFlight)
    }
    moments.push({ type: one.type, sent, inFlight, before, after: { ...limit, round: { ...limit.round } } })
  }
  return moments
}

const law = (title: string, check: (moment: Moment, slotsMax: number) => void) =>
  test(title, () => {
    const lives = fc.property(slotsMax, commands, (slotsMax, commands) => {
      for (const moment of live(slotsMax, commands)) check(moment, slotsMax)
    })
    fc.assert(lives, { numRuns: 60 })
  })

law("A1: the limit is at least 1 and at most `slotsMax`", ({ after }, slotsMax) => {
  if (!(after.value >= 1 && after.value <= slotsMax)) expect.fail(`${after.value} of ${slotsMax}`)
})

law("A2: only the first token of a request that filled the limit raises it, and by how much", (moment) => {
  const { after, before, sent, type } = moment
  const isMeasured = before.measuredAt !== undefined && after.measuredAt === undefined
  if (after.value <= before.value || isMeasured) return
  expect(type).toBe("speak")
  expect(sent?.isFull).toBe(true)
  expect(after.value - before.value).toBeLessThanOrEqual(before.isRising ? 1 : 1 / before.value + 1e-9)
})

law("A3: requests that were sent before a fall neither raise it nor make it fall again", ({ after, before, sent }) => {
  if (sent !== undefined && sent.falls < before.falls) expect(after).toEqual(before)
})

law(
  "A4: it falls at a refusal, at a slow round that filled it, or to be measured; nothing else lowers it",
  (moment) => {
    const { after, before, inFlight, type } = moment
    if (after.value >= before.value) return
    expect(after.falls).toBeGreaterThan(before.falls)
    if (type === "refuse") return expect(after.value).toBe(Math.max(1, 0.7 * Math.min(before.value, inFlight)))
    expect(type).toBe("speak")
    const { measuredAt = after.value } = after
    if (after.measuredAt !== undefined) expect(after.value).toBe(Math.max(1, 0.5 * measuredAt))
    // The token may have raised it first.
    expect(measuredAt).toBeGreaterThanOrEqual(Math.max(1, 0.9 * before.value))
    expect(measuredAt).toBeLessThanOrEqual(before.value + 1)
  }
)

test("the commands above reach a fall of each kind, and a measured round", () => {
  const moments = fc
    .sample(fc.tuple(slotsMax, commands), { numRuns: 60, seed: 1 })
    .flatMap(([slotsMax, commands]) => live(slotsMax, commands))
  const some = (is: (moment: Moment) => boolean) => expect(moments.some(is)).toBe(true)
  const isLower = ({ after, before }: Moment) => after.value < before.value
  some((moment) => isLower(moment) && moment.type === "refuse")
  some((moment) => isLower(moment) && moment.type === "speak" && moment.after.measuredAt === undefined)
  some((moment) => isLower(moment) && moment.after.measuredAt !== undefined)
  some(({ after, before }) => before.measuredAt !== undefined && after.measuredAt === undefined)
  some(({ before, sent }) => sent !== undefined && sent.falls < before.falls)
})

const server = {
  seed: fc.nat(),
  firstTokenMs: fc.integer({ min: 150, max: 1_000 }),
  answerMs: fc.integer({ min: 2_000, max: 20_000 }),
  limitMax: fc.constant(128)
}
/** The same ones each time: what chance does here is bounded for these. */
const statistics = { numRuns: 30, seed: 1 }
const queues = { none: 0, endless: Number.POSITIVE_INFINITY }
/** In answers of one slot. */
const settledAfter = 150

/** Between which limits it was in nine tenths of the last third of the time. */
function lastOf(simulation: Simulation) {
  const seen = simulate(simulation)
  const last = seen.filter(({ atMs }) => atMs > simulation.untilMs * (2 / 3)).map(({ limit }) => limit)
  const sorted = last.toSorted((a, b) => a - b)
  const at = (part: number) => sorted[Math.floor(sorted.length * part)] ?? Number.NaN
  return { least: at(0.05), median: at(0.5), most: at(0.95), done: seen.done }
}

const slots = fc.integer({ min: 1, max: 32 })

test("a server that refuses beyond its slots: the limit comes to them from below, and seldom asks for more", () => {
  const given = fc.record({ ...server, slots, queueMax: fc.constant(queues.none) })
  fc.assert(
    fc.property(given, ({ slots: count, ...rest }) => {
      const untilMs = settledAfter * (rest.firstTokenMs + rest.answerMs)
      const { least, median, most } = lastOf({ ...rest, untilMs, slots: [{ fromMs: 0, count }] })
      expect(least).toBeGreaterThanOrEqual(Math.max(1, 0.3 * count))
      expect(median).toBeGreaterThanOrEqual(0.6 * count)
      expect(most).toBeLessThan(count + 2)
    }),
    statistics
  )
})

test("a server that lets everybody wait: the limit comes to its slots and a short queue, and wastes few of them", () => {
  const cachedPart = fc.constantFrom(0, 0.3, 0.5)
  const given = fc.record({ ...server, slots, queueMax: fc.constant(queues.endless), cachedPart })
  fc.assert(
    fc.property(given, ({ slots: count, ...rest }) => {
      const turnMs = rest.firstTokenMs + rest.answerMs
      const untilMs = settledAfter * turnMs
      const { done, median, most } = lastOf({ ...rest, untilMs, slots: [{ fromMs: 0, count }] })
      // A queue as long as the first token takes is not seen, and one or two more come before it is.
      const unseen = (count * rest.firstTokenMs) / rest.answerMs
      // Where some prompts are cached, a round of those that are not looks slow beside one of those that are.
      const part = rest.cachedPart === 0 ? 0.7 : 0.5
      expect(median).toBeGreaterThanOrEqual(part * count)
      expect(most).toBeLessThanOrEqual(1.25 * (count + unseen) + 6)
      expect(done).toBeGreaterThanOrEqual(part * count * settledAfter)
    }),
    statistics
  )
})

test("a server that gets more slots, or keeps fewer, is followed", () => {
  const changed = fc.record({
    ...server,
    from: fc.integer({ min: 2, max: 32 }),
    to: fc.integer({ min: 2, max: 32 }),
    queueMax: fc.constantFrom(queues.none, 8)
  })
  fc.assert(
    fc.property(changed, ({ from, to, ...rest }) => {
      const turnMs = rest.firstTokenMs + rest.answerMs
      const slots = [
        { fromMs: 0, count: from },
        { fromMs: settledAfter * turnMs, count: to }
      ]
      const { median, most } = lastOf({ ...rest, untilMs: 3 * settledAfter * turnMs, slots })
      expect(median).toBeGreaterThanOrEqual(0.6 * to)
      expect(most).toBeLessThanOrEqual(1.25 * (to + rest.queueMax) + 4)
    }),
    statistics
  )
})

test("a server that becomes slower for good keeps its slots: what is the best of it is measured again", () => {
  const given = fc.record({ ...server, slots, slowness: fc.integer({ min: 3, max: 10 }) })
  fc.assert(
    fc.property(given, ({ slots: count, slowness, ...rest }) => {
      const turnMs = rest.firstTokenMs + rest.answerMs
      const slots = [
        { fromMs: 0, count },
        { fromMs: settledAfter * turnMs, count, slowness }
      ]
      const queueMax = queues.endless
      const { median } = lastOf({ ...rest, queueMax, untilMs: (1 + 2 * slowness) * settledAfter * turnMs, slots })
      expect(median).toBeGreaterThanOrEqual(0.6 * count)
    }),
    statistics
  )
})
