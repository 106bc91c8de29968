/** The laws of residency.ts, after each step of any life of a few models, and a slow policy that tries every subset. */
import fc from "fast-check"
import { expect, test } from "vitest"
import { type Resident, review } from "../../src/inference/residency.ts"
import { commands, live, type Moment, patienceMs, snapshots, World, worlds } from "./residency-history.ts"

const runs = Number(process.env["PARLEY_HISTORIES"] ?? 400)

const property = (title: string, check: (moment: Moment) => void) =>
  test(title, { timeout: 1_800_000 }, () => {
    fc.assert(
      fc.property(worlds, commands, (world, commands) => live(world, commands).moments.forEach(check)),
      { numRuns: runs }
    )
    fc.assert(fc.property(snapshots, check), { numRuns: 10 * runs })
  })

const total = (all: ReadonlyArray<Resident>) => all.reduce((sum, { bytes }) => sum + bytes, 0)
const isForEver = ({ keepAliveMs }: Resident) => keepAliveMs === Number.POSITIVE_INFINITY
const isIdle = ({ answering, asking, phase }: Resident) => phase === "ready" && asking + answering === 0
const isOver = (one: Resident, nowMs: number) =>
  !one.mayLoad || (one.asking === 0 && nowMs - one.usedMs >= one.keepAliveMs)
const waiting = ({ before }: Moment) =>
  before
    .filter(({ asking, mayLoad, phase }) => phase === "cold" && asking > 0 && mayLoad)
    .toSorted((a, b) => a.waitingSinceMs - b.waitingSinceMs)
const named = ({ before }: Moment, names: Iterable<string>) =>
  [...names].map((name) => before.find((one) => one.name === name)!)
const unloaded = (moment: Moment) => named(moment, moment.verdict.unload)
const loaded = (moment: Moment) => named(moment, moment.verdict.load)
const inMemory = ({ before }: Moment) => before.filter(({ phase }) => phase !== "cold")
/** What has gone or is going by itself. */
const leaving = ({ before, nowMs }: Moment) =>
  before.filter(
    (one) => one.phase === "unloading" || (one.phase === "ready" && one.answering === 0 && isOver(one, nowMs))
  )
const free = (moment: Moment) => moment.limits.bytesMax - total(inMemory(moment))
/** Who has waited longest of those that free room is not enough for. */
function headOf(moment: Moment): Resident | undefined {
  let room = free(moment)
  return waiting(moment).find((one) => {
    if (one.bytes > room) return true
    room -= one.bytes
    return false
  })
}

property("M1: what is loading, ready or unloading needs at most `bytesMax` together", (moment) => {
  expect(total(inMemory(moment)) + total(loaded(moment))).toBeLessThanOrEqual(moment.limits.bytesMax)
})

property("M2: none that answers is unloaded, and none that is asked, unless it was told to stand back", (moment) => {
  for (const one of unloaded(moment)) {
    expect(one).toMatchObject({ phase: "ready", answering: 0 })
    if (one.asking > 0 && one.mayLoad) expect(moment.verdict.standBack).toContain(one.name)
  }
})

property(
  "M3: none is loaded but one that is asked, or that is kept for ever and finds room nobody waits for",
  (moment) => {
    for (const one of loaded(moment)) {
      expect(one.phase).toBe("cold")
      if (one.asking > 0) continue
      expect([isForEver(one), headOf(moment)]).toEqual([true, undefined])
    }
  }
)

property(
  "M4: one that nobody asks goes when its keep-alive is over, or for one that is asked and has no room",
  (moment) => {
    for (const one of moment.before) {
      if (one.phase === "ready" && one.answering === 0 && isOver(one, moment.nowMs)) {
        expect(moment.verdict.unload).toContain(one.name)
      }
    }
    const forRoom = unloaded(moment).filter((one) => !isOver(one, moment.nowMs))
    if (forRoom.length > 0) expect(headOf(moment)).toBeDefined()
  }
)

property("M5: nothing goes to make room that will not be enough", (moment) => {
  const going = [...unloaded(moment), ...named(moment, moment.verdict.standBack)]
  if (going.every((one) => isOver(one, moment.nowMs))) return
  const room = free(moment) - total(loaded(moment)) + total([...new Set([...leaving(moment), ...going])])
  expect(room).toBeGreaterThanOrEqual(headOf(moment)!.bytes)
})

property(
  "M6: who has waited longest is loaded first; others take free room until it has waited `patienceMs`",
  (moment) => {
    const head = headOf(moment)
    if (head === undefined || moment.nowMs - head.waitingSinceMs < patienceMs) return
    const earlier = waiting(moment).indexOf(head)
    for (const one of loaded(moment)) expect(waiting(moment).indexOf(one)).toBeLessThan(earlier)
  }
)

property(
  "M7: one that is asked stands back only after `patienceMs` of the other's waiting and of its own work",
  (moment) => {
    for (const one of named(moment, moment.verdict.standBack)) {
      expect(one.asking).toBeGreaterThan(0)
      expect(moment.nowMs - headOf(moment)!.waitingSinceMs).toBeGreaterThanOrEqual(patienceMs)
      expect(moment.nowMs - one.readySinceMs).toBeGreaterThanOrEqual(patienceMs)
    }
  }
)

property("M9: one whose breaker is open is not loaded, and is unloaded", (moment) => {
  for (const one of loaded(moment)) expect(one.mayLoad).toBe(true)
  for (const { answering, mayLoad, name, phase } of moment.before) {
    if (phase === "ready" && !mayLoad && answering === 0) expect(moment.verdict.unload).toContain(name)
  }
})

property("whoever goes for room, the first in order go that are needed, as trying every subset shows", (moment) => {
  const head = headOf(moment)
  const going = unloaded(moment).filter((one) => !isOver(one, moment.nowMs))
  const standing = named(moment, moment.verdict.standBack)
  const victims = new Set([...going, ...standing].map(({ name }) => name))
  expect(victims).toEqual(new Set(head === undefined ? [] : bestVictims(moment, head).map(({ name }) => name)))
})

property("time alone changes nothing before `againMs`", ({ before, limits, nowMs, verdict }) => {
  const untilMs = Math.min(verdict.againMs, nowMs + 500) - 1
  for (const laterMs of [nowMs, Math.floor((nowMs + untilMs) / 2), untilMs].filter((ms) => ms >= nowMs)) {
    const { againMs: _, ...later } = review(before, limits, laterMs)
    expect({ ...later, againMs: verdict.againMs }).toEqual(verdict)
  }
})

test("M8: as long as answers end, whoever is asked and fits is loaded", { timeout: 1_800_000 }, () => {
  fc.assert(
    fc.property(worlds, commands, (options, commands) => {
      const world = live(options, commands)
      const asked = world.lives.filter(({ asking, mayLoad }) => asking > 0 && mayLoad)
      world.served.clear()
      // The others are asked without end.
      for (let round = 0; round < 100; round++) {
        for (const [which, life] of world.lives.entries()) if (life.asking === 0) world.play({ type: "ask", which })
        world.goOn()
      }
      for (const { name } of asked) expect([name, world.served.get(name) ?? 0]).not.toEqual([name, 0])
    }),
    { numRuns: runs / 4 }
  )
})

test("the histories above reach every kind of verdict", () => {
  const seen = new Set<string>()
  for (const [world, list] of fc.sample(fc.tuple(worlds, commands), { numRuns: 500, seed: 1 })) {
    for (const moment of live(world, list).moments) {
      for (const one of loaded(moment)) seen.add(one.asking > 0 ? "load: asked" : "load: for ever")
      for (const one of unloaded(moment)) {
        const why = isOver(one, moment.nowMs) ? "over" : one.asking > 0 ? "stood back" : "for room"
        seen.add(`unload: ${why}`)
      }
      if (moment.verdict.standBack.size > 0) seen.add("stand back")
      if (headOf(moment) && moment.verdict.load.length > 0) seen.add("overtaken")
    }
  }
  const all = ["load: asked", "load: for ever", "unload: over", "unload: for room", "unload: stood back"]
  expect(seen).toEqual(new Set([...all, "stand back", "overtaken"]))
})

test("of those that make room, none goes that need not", () => {
  const known = { keepAliveMs: Number.POSITIVE_INFINITY, asking: 0, answering: 0, readySinceMs: 0, mayLoad: true }
  const idle = [1, 1, 2].map((bytes, usedMs): Resident => {
    return { ...known, name: `m${usedMs}`, bytes, usedMs, waitingSinceMs: 0, phase: "ready" }
  })
  const asked: Resident = { ...idle[0]!, name: "asked", bytes: 3, asking: 1, phase: "cold" }
  expect(review([...idle, asked], { bytesMax: 4, patienceMs }, 9).unload.toSorted()).toEqual(["m0", "m2"])
})

test("two models that are asked without end, where one fits, have the memory in turn", () => {
  const world = new World({ bytesMax: 4, models: [4, 4].map((bytes) => ({ bytes, keepAliveMs: 50 })) })
  for (let round = 0; round < 200; round++) {
    for (const which of [0, 1]) if (world.lives[which]!.asking < 2) world.play({ type: "ask", which })
    world.goOn()
  }
  const [one = 0, other = 0] = ["m0", "m1"].map((name) => world.served.get(name))
  expect(Math.min(one, other) / Math.max(one, other)).toBeGreaterThan(0.7)
})

/** Of the shortest beginning of the order that is enough, the subset that spares the last of them it can. */
function bestVictims(moment: Moment, head: Resident): ReadonlyArray<Resident> {
  const { before, nowMs } = moment
  const missing = head.bytes - (free(moment) - total(waitingBefore(moment, head))) - total(leaving(moment))
  const kept = before.filter((one) => one.phase === "ready" && !leaving(moment).includes(one))
  const idle = kept
    .filter(isIdle)
    .toSorted((a, b) => Number(isForEver(a)) - Number(isForEver(b)) || a.usedMs - b.usedMs)
  const isPatient = nowMs - head.waitingSinceMs < patienceMs
  const busy = kept
    .filter((one) => !isIdle(one) && nowMs - one.readySinceMs >= patienceMs)
    .toSorted((a, b) => a.readySinceMs - b.readySinceMs)
  const order = isPatient ? idle : [...idle, ...busy]
  if (missing <= 0) return []
  for (let length = 1; length <= order.length; length++) {
    const subsets = subsetsOf(order.slice(0, length)).filter((subset) => total(subset) >= missing)
    if (subsets.length === 0) continue
    const rank = (subset: ReadonlyArray<Resident>) =>
      order.slice(0, length).reduceRight((sum, one) => 2 * sum + Number(subset.includes(one)), 0)
    return subsets.toSorted((a, b) => rank(a) - rank(b))[0]!
  }
  return []
}

const waitingBefore = (moment: Moment, head: Resident) => waiting(moment).slice(0, waiting(moment).indexOf(head))

function subsetsOf<A>(all: ReadonlyArray<A>): ReadonlyArray<ReadonlyArray<A>> {
  return Array.from({ length: 2 ** all.length }, (_, bits) => all.filter((_, index) => bits & (1 << index)))
}
