/** The laws of schedule.ts, after each step of any life of it, and a model of it that looks at everybody. */
import fc from "fast-check"
import { expect, test } from "vitest"
import * as Schedule from "../../src/inference/schedule.ts"
import {
  agedAfterMs,
  type Command,
  commands,
  histories,
  limits,
  live,
  type Moment,
  users,
  type View
} from "./schedule-history.ts"
import { Model } from "./schedule-model.ts"

const property = (
  title: string,
  check: (moments: ReadonlyArray<Moment>, limits: Schedule.Limits) => void,
  examples: ReadonlyArray<readonly [Schedule.Limits, Array<Command>]> = []
) =>
  test(title, { timeout: 1_800_000 }, () =>
    fc.assert(
      fc.property(limits, commands, (l, c) => check(live(l, c), l)),
      { numRuns: histories, examples: examples.map(([l, c]) => [l, c]) }
    )
  )

const inState = (state: View["state"], views: ReadonlyArray<View>) => views.filter((view) => view.state === state)
const isSuspect = ({ deaths }: View) => deaths >= Schedule.deathsMax
const tokensOf = (views: ReadonlyArray<View>) => views.reduce((sum, { tokens }) => sum + tokens, 0)
const isAged = ({ admittedMs }: View, nowMs: number) => nowMs - admittedMs >= agedAfterMs
/** It stands behind everybody who is interactive. */
const standsBack = (view: View, nowMs: number) =>
  view.class === "background" && view.deaths === 0 && !isAged(view, nowMs)
const hasRoom = (next: View, running: ReadonlyArray<View>, slots: number, { cacheTokensMax }: Schedule.Limits) =>
  running.length < slots && tokensOf(running) + next.tokens <= cacheTokensMax

test("it decides as a model does that looks at everybody", { timeout: 1_800_000 }, () => {
  fc.assert(
    fc.property(limits, commands, (limits, commands) => {
      const model = new Model(limits)
      for (const { after, command, order, refusal, started, stopped, totals } of live(limits, commands)) {
        const expected = model.play(command)
        expect({ refusal, started }).toEqual({ refusal: expected.refusal, started: expected.started ?? [] })
        expect(stopped.toSorted()).toEqual((expected.stopped ?? []).toSorted())
        const seen = after.map(({ deaths, isStopping, state, tokens }) => [deaths, state, tokens, isStopping])
        expect(seen).toEqual(model.all.map((one) => [one.deaths, one.state, model.tokensOf(one), one.isStopping]))
        expect(order).toEqual(model.order())
        const waiting = inState("waiting", after)
        expect(totals.waiting).toBe(waiting.length)
        expect(totals.waitingTokens).toBe(tokensOf(waiting))
        expect(totals.waitingBackground).toBe(waiting.filter((view) => view.class === "background").length)
      }
    }),
    { numRuns: histories }
  )
})

const s1 = "S1: when something starts, at most `slots` run; at most `slotsMax + queueMax` run or wait"
property(s1, (moments, { queueMax, slotsMax }) => {
  for (const { after, before, refusal, started, totals } of moments) {
    const present = (views: ReadonlyArray<View>) => views.filter(({ state }) => state !== "gone").length
    expect(inState("running", after).length).toBeLessThanOrEqual(slotsMax)
    if (started.length > 0) expect(inState("running", after).length).toBeLessThanOrEqual(totals.slots)
    expect(present(after)).toBeLessThanOrEqual(slotsMax + queueMax)
    if (refusal === "count") expect(present(before)).toBe(slotsMax + queueMax)
  }
})

property("S2: a request waits, runs, or is gone: never two of these, and who is gone stays gone", (moments) => {
  for (const { after, before, command, order } of moments) {
    expect(order.toSorted((a, b) => a - b)).toEqual(inState("waiting", after).map(({ id }) => id))
    for (const view of before) {
      const { state } = after[view.id]!
      if (view.state === "gone") expect(state).toBe("gone")
      if (view.state !== state && state === "gone") expect(command.type).toMatch(/release|requeue/)
      if (view.state !== state && state === "running") expect(command.type).toBe("fill")
      if (view.state !== state && state === "waiting") expect(command.type).toMatch(/requeue|give way/)
    }
  }
})

property("S3: requests of one user and class start for the first time in the order they were admitted", (moments) => {
  const ran = new Set<number>()
  const last = new Map<string, number>()
  for (const { before, started } of moments) {
    for (const id of started) {
      const line = `${before[id]!.user}/${before[id]!.class}`
      if (!ran.has(id)) expect(id).toBeGreaterThan(last.get(line) ?? -1)
      if (!ran.has(id)) last.set(line, id)
      ran.add(id)
    }
  }
})

const s5 = "S5: after `fill` nothing waits, or there is no room for the next, or a suspect runs or is the next to run"
property(s5, (moments, limits) => {
  for (const { after, command, next, totals } of moments) {
    const running = inState("running", after)
    if (command.type !== "fill" || next === undefined || !hasRoom(after[next]!, running, totals.slots, limits)) continue
    expect(running.length > 0 && [...running, after[next]!].some(isSuspect)).toBe(true)
  }
})

const s6 = "S6: who lost an engine starts before all who did not, and among themselves they keep the order of admission"
property(s6, (moments) => {
  for (const { after, order } of moments) {
    const returned = order.filter((id) => after[id]!.deaths > 0)
    expect(order.slice(0, returned.length)).toEqual(returned.toSorted((a, b) => a - b))
  }
})

const s7 =
  "S7: a suspect, which was running at `deathsMax` deaths of its engine, runs alone; one more death, and it is gone"
property(s7, (moments) => {
  for (const { after, before, command } of moments) {
    const running = inState("running", after)
    if (running.some(isSuspect)) expect(running.length).toBe(1)
    for (const view of before) {
      const { deaths, state } = after[view.id]!
      if (command.type === "requeue all" && view.state === "running") {
        expect({ deaths, state }).toEqual(
          isSuspect(view) ? { deaths: view.deaths, state: "gone" } : { deaths: view.deaths + 1, state: "waiting" }
        )
      } else if (command.type !== "requeue") expect(deaths).toBe(view.deaths)
    }
  }
})

const s8 =
  "S8: when something starts, what runs has reserved at most `cacheTokensMax`; later only prompts that are counted " +
  "longer than they were believed add to that"
/** Counted shorter, and, once another had started in what that left, longer. */
const countedTwice: readonly [Schedule.Limits, Array<Command>] = [
  { slotsMax: 2, cacheTokensMax: 40, queueMax: 0, queueTokensMax: 30, agedAfterMs },
  [
    { type: "admit", user: "ann", class: "interactive", promptTokens: 20, answerTokensMax: 1 },
    { type: "fill" },
    { type: "measure", nth: 0, tokens: 0 },
    { type: "admit", user: "ann", class: "interactive", promptTokens: 3, answerTokensMax: 17 },
    { type: "fill" },
    { type: "measure", nth: 0, tokens: 20 }
  ]
]
property(
  s8,
  (moments, { cacheTokensMax }) => {
    let longer = 0
    let reserved = 0
    for (const { after, command, started, totals } of moments) {
      if (command.type === "measure") longer += Math.max(0, totals.reservedTokens - reserved)
      if (started.length > 0) longer = 0
      reserved = totals.reservedTokens
      expect(reserved).toBe(tokensOf(inState("running", after)))
      expect(reserved).toBeLessThanOrEqual(cacheTokensMax + longer)
    }
  },
  [countedTwice]
)

property("S9: who is admitted leaves at most `queueTokensMax` waiting, or waits alone", (moments, limits) => {
  for (const { after, command, refusal, totals } of moments) {
    if (command.type !== "admit" || refusal !== undefined || inState("waiting", after).length === 1) continue
    expect(totals.waitingTokens).toBeLessThanOrEqual(limits.queueTokensMax)
  }
})

property("S10: a user for whom nothing waits is refused only when the queue is full", (moments, limits) => {
  for (const { before, command, refusal } of moments) {
    if (command.type !== "admit" || refusal === undefined) continue
    const waiting = inState("waiting", before)
    if (waiting.some(({ user }) => user === command.user)) continue
    const needed = Math.min(command.promptTokens + command.answerTokensMax, limits.cacheTokensMax)
    expect(refusal).not.toBe("share")
    if (refusal === "tokens") expect(tokensOf(waiting) + needed).toBeGreaterThan(limits.queueTokensMax)
  }
})

property("S11: no background request starts while an interactive one waits, unless it is aged", (moments) => {
  for (const { after, before, nowMs, started } of moments) {
    const isBehind = started.some((id) => standsBack(before[id]!, nowMs))
    if (isBehind) expect(inState("waiting", after).every((view) => standsBack(view, nowMs))).toBe(true)
  }
})

const s12 = "S12: only for want of room a background one is stopped: no more than need be, and none that may not be"
property(s12, (moments, limits) => {
  for (const { after, next, nowMs, stopped, totals } of moments) {
    if (stopped.length === 0) continue
    const stays = inState("running", after).filter(({ isStopping }) => !isStopping)
    expect(standsBack(after[next!]!, nowMs)).toBe(false)
    expect(hasRoom(after[next!]!, stays, totals.slots, limits)).toBe(true)
    for (const id of stopped) {
      expect(standsBack(after[id]!, nowMs)).toBe(true)
      expect(after[id]!.isPinned).toBe(false)
      expect(hasRoom(after[next!]!, [...stays, after[id]!], totals.slots, limits)).toBe(false)
    }
  }
})

property("S13: what is released has its slot, its place and its tokens back at once", (moments) => {
  for (const { after, before, command, totals } of moments) {
    const gone = before.filter(({ id, state }) => state !== "gone" && after[id]!.state === "gone")
    if (command.type === "release") expect(gone.length).toBeLessThanOrEqual(1)
    expect(totals.reservedTokens).toBe(tokensOf(inState("running", after)))
    expect(totals.waitingTokens).toBe(tokensOf(inState("waiting", after)))
  }
})

property("S14: admitted = done + cancelled + failed + running + waiting", (moments) => {
  for (const { after, totals } of moments) {
    const { cancelled, done, failed } = totals.tally
    const present = inState("running", after).length + inState("waiting", after).length
    expect(after.length).toBe(done + cancelled + failed + present)
  }
})

property("whoever was admitted is served once nobody comes any more, in at most one fill each", (moments, limits) => {
  const state = Schedule.empty<{ readonly id: number } & Schedule.Request>(limits)
  const tickets = moments.flatMap(({ command }) => {
    if (command.type !== "admit") return []
    const { type: _, ...request } = command
    const ticket = Schedule.admit(state, { id: 0, ...request }, 0)
    return typeof ticket === "string" ? [] : [ticket]
  })
  for (const _ of tickets) for (const one of Schedule.fill(state, 0).started) Schedule.release(state, one, "done")
  expect(tickets.every(({ state }) => state === "gone")).toBe(true)
})

test("the commands above reach every refusal, every return and every reason to wait", () => {
  const moments = fc.sample(fc.tuple(limits, commands), { numRuns: 600, seed: 1 }).flatMap(([l, c]) => {
    return live(l, c).map((moment) => ({ ...moment, ...l }))
  })
  const some = (is: (moment: (typeof moments)[number]) => boolean) => expect(moments.some(is)).toBe(true)
  for (const reason of ["count", "tokens", "share"]) some(({ refusal }) => refusal === reason)
  some(({ after, before }) => before.some((view) => isSuspect(view) && after[view.id]!.state === "waiting"))
  some(({ after, before, command }) => {
    return (
      command.type === "requeue all" &&
      before.some(({ id, state }) => state === "running" && after[id]!.state === "gone")
    )
  })
  some(({ started }) => started.length > 2)
  some(({ stopped }) => stopped.length > 1)
  some(({ after, before }) => before.some(({ id, isStopping }) => isStopping && after[id]!.state === "waiting"))
  some(({ before, nowMs, started }) =>
    started.some((id) => before[id]!.class === "background" && isAged(before[id]!, nowMs))
  )
  some(({ after, totals }) => inState("running", after).length > totals.slots)
  some(({ cacheTokensMax, totals }) => totals.reservedTokens > cacheTokensMax)
  some(({ after }) => new Set(inState("waiting", after).map(({ user }) => user)).size === users.length)
  some(({ after }) => inState("waiting", after).filter(({ deaths }) => deaths > 0).length > 2)
})

test("10,000 requests of 5,000 users pass in next to no time each", () => {
  const state = Schedule.empty<Schedule.Request>({
    ...{ slotsMax: 32, queueMax: 10_000, agedAfterMs },
    ...{ cacheTokensMax: Number.POSITIVE_INFINITY, queueTokensMax: Number.POSITIVE_INFINITY }
  })
  const steps = 10_000
  const started = process.cpuUsage()
  const tickets = Array.from({ length: steps }, (_, id) => {
    const sizes = { promptTokens: (id % 70) + 1, answerTokensMax: 50 }
    return Schedule.admit(state, { user: `${id % 5_000}`, class: "interactive", ...sizes }, 0)
  })
  for (const ticket of tickets) {
    if (typeof ticket === "string") continue
    if (ticket.admission % 3 === 0) Schedule.release(state, ticket, "cancelled")
    for (const next of Schedule.fill(state, 0).started) Schedule.release(state, next, "done")
  }
  const { user } = process.cpuUsage(started)
  expect(state.waiting + state.running.size).toBe(0)
  // About 2 µs each here; a linear walk takes 20 and more.
  expect(user / steps).toBeLessThan(20)
})

test("who was served and is gone is forgotten, and gains nothing by it", () => {
  const state = Schedule.empty<Schedule.Request>({
    ...{ slotsMax: 2, queueMax: 100, agedAfterMs },
    ...{ cacheTokensMax: Number.POSITIVE_INFINITY, queueTokensMax: Number.POSITIVE_INFINITY }
  })
  const ask = (user: string) =>
    Schedule.admit(state, { user, class: "interactive", promptTokens: 10, answerTokensMax: 10 }, 0)
  // Never idle, so that nothing is forgotten for that.
  ask("always")
  Schedule.fill(state, 0)
  for (let count = 0; count < 10_000; count++) {
    const ticket = ask(`passing ${count}`)
    Schedule.fill(state, 0)
    if (typeof ticket !== "string") Schedule.release(state, ticket, "done")
  }
  expect(state.lanes.interactive.accounts.size).toBeLessThan(200)
})
