/** The laws of breaker.ts over any history of requests, answers, and deaths. */
import fc from "fast-check"
import { expect, test } from "vitest"
import * as Breaker from "../../src/inference/breaker.ts"

const limits = fc.record({
  deathsMax: fc.integer({ min: 1, max: 4 }),
  withinMs: fc.constantFrom(20, 100, 1_000),
  pauseMinMs: fc.constantFrom(5, 30),
  pauseMaxMs: fc.constantFrom(40, 200)
})
const commands = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.constant({ type: "ask" as const }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constantFrom("answer" as const, "leave" as const), nth: fc.nat(2) }) },
    { weight: 5, arbitrary: fc.constant({ type: "die" as const }) },
    { weight: 1, arbitrary: fc.constant({ type: "refuse" as const }) },
    { weight: 4, arbitrary: fc.record({ type: fc.constant("pass" as const), ms: fc.constantFrom(1, 10, 30, 150) }) }
  ),
  { maxLength: 100, size: "max" }
)
type Limits = typeof limits extends fc.Arbitrary<infer L> ? L : never
type Command = typeof commands extends fc.Arbitrary<ReadonlyArray<infer C>> ? C : never

interface Moment {
  readonly command: Command
  readonly nowMs: number
  readonly before: Breaker.Breaker
  readonly after: Breaker.Breaker
  readonly turnedAway: Breaker.TurnedAway | undefined
  /** Of whoever was let through before and has not ended. */
  readonly inside: ReadonlyArray<string>
  /** Deaths since the last answer or opening, at their times. */
  readonly deathsMs: ReadonlyArray<number>
  /** Openings since the last answer. */
  readonly openings: number
}

/** Whoever is inside when it opens is told so, and leaves. */
function live(limits: Limits, commands: ReadonlyArray<Command>): ReadonlyArray<Moment> {
  const moments: Array<Moment> = []
  let breaker = Breaker.closed
  let inside: ReadonlyArray<string> = []
  let deathsMs: ReadonlyArray<number> = []
  let openings = 0
  let nowMs = 0
  for (const [index, command] of commands.entries()) {
    if (command.type === "pass") nowMs += command.ms
    const before = Breaker.at(breaker, nowMs)
    const id = "nth" in command ? inside[command.nth] : `r${index}`
    let turnedAway: Breaker.TurnedAway | undefined
    const known = { before, nowMs, command, inside, deathsMs, openings }
    if (command.type === "ask") {
      const asked = Breaker.ask(breaker, id!, nowMs)
      breaker = asked.breaker
      turnedAway = asked.turnedAway
      if (turnedAway === undefined) inside = [...inside, id!]
    } else if (command.type === "die") {
      breaker = Breaker.died(limits, breaker, "it died", nowMs)
      deathsMs = [...deathsMs, nowMs]
    } else if (command.type === "refuse") breaker = Breaker.unloadable(limits, breaker, "no model", nowMs)
    else if (command.type === "answer" || command.type === "leave") {
      if (id === undefined) continue
      if (command.type === "answer") {
        breaker = Breaker.answered(breaker)
        deathsMs = []
        openings = 0
      }
      breaker = Breaker.leave(breaker, id)
      inside = inside.filter((other) => other !== id)
    }
    if (Breaker.at(breaker, nowMs).state === "open" && before.state !== "open") {
      openings++
      deathsMs = []
      for (const other of inside) breaker = Breaker.leave(breaker, other)
      inside = []
    }
    moments.push({ ...known, after: Breaker.at(breaker, nowMs), turnedAway })
  }
  return moments
}

const property = (title: string, check: (moment: Moment, limits: Limits, moments: ReadonlyArray<Moment>) => void) =>
  test(title, { timeout: 600_000 }, () =>
    fc.assert(
      fc.property(limits, commands, (limits, commands) => {
        const moments = live(limits, commands)
        for (const moment of moments) check(moment, limits, moments)
      }),
      { numRuns: 1_000 }
    )
  )

property("B1: closed, it lets everybody through", ({ before, command, turnedAway }) => {
  if (before.state === "closed" && command.type === "ask") expect(turnedAway).toBeUndefined()
})

property(
  "B2: it opens at the `deathsMax`th death within `withinMs` without an answer between, and when the model cannot be " +
    "loaded; at nothing else",
  ({ after, before, command, deathsMs, nowMs }, { deathsMax, withinMs }) => {
    const recent = [...deathsMs, nowMs].filter((ms) => ms > nowMs - withinMs)
    const isTooMany = command.type === "die" && (before.state === "half-open" || recent.length >= deathsMax)
    const opens = command.type === "refuse" || isTooMany
    if (before.state !== "open") expect(after.state === "open").toBe(opens)
  }
)

property(
  "B3: open, it lets nobody through until its pause is over, and says how long that is",
  (moment, _, moments) => {
    const { after, before, command, nowMs, turnedAway } = moment
    if (before.state !== "open") return
    expect(nowMs).toBeLessThan(before.untilMs)
    // Nothing but time ends it, and nothing makes it longer.
    expect(after).toEqual(before)
    if (command.type === "ask") expect(turnedAway?.retryAfterMs).toBe(before.untilMs - nowMs)
    const opening = moments.findLast(({ after, before }) => after.state === "open" && before.state !== "open")
    if (opening?.after.state === "open") expect(opening.after.untilMs - opening.nowMs).toBe(opening.after.pauseMs)
  }
)

property("B4: half-open, it lets one through, and another one only when that one is gone", (moment) => {
  const { before, command, inside, turnedAway } = moment
  if (before.state !== "half-open") return
  expect(inside.length).toBeLessThanOrEqual(1)
  if (command.type === "ask") expect(turnedAway === undefined).toBe(inside.length === 0)
})

property("B5: an answer to whom it let through closes it, and what was before is forgotten", ({ after, command }) => {
  if (command.type === "answer") expect(after).toEqual(Breaker.closed)
})

property(
  "B6: each time it opens again without an answer between, its pause is twice as long, up to `pauseMaxMs`",
  ({ after, before, openings }, { pauseMaxMs, pauseMinMs }) => {
    if (after.state !== "open" || before.state === "open") return
    let pauseMs: number = pauseMinMs
    for (let nth = 0; nth < openings; nth++) pauseMs = Math.min(pauseMaxMs, 2 * pauseMs)
    expect(after.pauseMs).toBe(pauseMs)
  }
)

test("the histories above reach every change of state", () => {
  const seen = new Set<string>()
  for (const [bounds, list] of fc.sample(fc.tuple(limits, commands), { numRuns: 300, seed: 1 })) {
    for (const { after, before, command } of live(bounds, list)) {
      if (after.state !== before.state) seen.add(`${before.state} → ${after.state}: ${command.type}`)
    }
  }
  expect(seen).toEqual(
    new Set([
      "closed → open: die",
      "closed → open: refuse",
      "half-open → open: die",
      "half-open → open: refuse",
      "half-open → closed: answer"
    ])
  )
})
