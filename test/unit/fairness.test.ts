/** One user asks a hundred times as much as nine others together with them: what it costs the nine, in virtual time. */
import { expect, test } from "vitest"
import { type Arrival, jainIndex, numbersOf, type Outcome, simulate } from "../../bench/simulation.ts"
import { weights } from "../../src/inference/schedule.ts"

const users = 10
const slotsMax = 40
const untilMs = 600_000
const limits = {
  slotsMax,
  cacheTokensMax: slotsMax * 1_000,
  queueMax: 1_000,
  queueTokensMax: 2_000_000,
  agedAfterMs: 60_000
}
const costs = { stepMs: () => 20, prefillTokenMs: 0.2 }
/** A turn of 150 tokens takes 3 s: at this pace a user needs about half of a tenth of the slots. */
const everyMs = 1_500

function arrivalsOf(user: string, meanMs: number, seed: number): ReadonlyArray<Arrival> {
  const next = numbersOf(seed)
  const arrivals: Array<Arrival> = []
  for (let atMs = 0; ; ) {
    atMs -= meanMs * Math.log(1 - next())
    if (atMs > untilMs) return arrivals
    const sizes = { promptTokens: 50 + Math.floor(200 * next()), answerTokens: 100 + Math.floor(100 * next()) }
    arrivals.push({ atMs, user, class: "interactive", ...sizes, answerTokensMax: 512 })
  }
}

const nine = Array.from({ length: users - 1 }, (_, index) => arrivalsOf(`user ${index}`, everyMs, 10 + index))
const flood = arrivalsOf("flood", everyMs / 100, 1)
const meanMs = (outcomes: ReadonlyArray<Outcome>) => {
  const ended = outcomes.filter(({ endedMs }) => endedMs < Number.POSITIVE_INFINITY)
  expect(ended.length).toBeGreaterThan(0.95 * outcomes.length)
  return ended.reduce((sum, { atMs, endedMs }) => sum + endedMs - atMs, 0) / ended.length
}
const serviceOf = (outcomes: ReadonlyArray<Outcome>) =>
  outcomes
    .filter(({ endedMs }) => endedMs < Number.POSITIVE_INFINITY)
    .reduce((sum, one) => sum + weights.prompt * one.promptTokens + weights.answer * one.answerTokens, 0)

const arrivals = [...nine.flat(), ...flood].toSorted((a, b) => a.atMs - b.atMs)
const outcomes = simulate({ limits, costs, arrivals, untilMs })
const ofUser = (user: string) => outcomes.filter((outcome) => outcome.user === user)

test("the nine wait at most 1.5 times as long as alone on their tenth of the machine", () => {
  const alone = nine.map((own) =>
    meanMs(simulate({ limits: { ...limits, slotsMax: slotsMax / users }, costs, arrivals: own, untilMs }))
  )
  for (const [index, aloneMs] of alone.entries()) expect(meanMs(ofUser(`user ${index}`)) / aloneMs).toBeLessThan(1.5)
})

test("the nine have equal shares of service: Jain's index is at least 0.95", () => {
  expect(jainIndex(nine.map((_, index) => serviceOf(ofUser(`user ${index}`))))).toBeGreaterThan(0.95)
})

test("who floods has what the nine leave, and is the only one that is refused", () => {
  expect(outcomes.filter(({ refusal, user }) => refusal !== undefined && user !== "flood")).toEqual([])
  expect(new Set(ofUser("flood").map(({ refusal }) => refusal))).toEqual(new Set([undefined, "share"]))
  const whole = (slotsMax * untilMs) / costs.stepMs()
  const answered = outcomes.filter(({ endedMs }) => endedMs < untilMs).reduce((sum, one) => sum + one.answerTokens, 0)
  expect(answered / whole).toBeGreaterThan(0.95)
})

test("first come, first served is not fair by this measure", () => {
  const inOneLine = simulate({ limits, costs, arrivals, untilMs, lineOf: () => "all" })
  const own = inOneLine.filter(({ user }) => user === "user 0")
  expect(own.some(({ refusal }) => refusal !== undefined)).toBe(true)
})
