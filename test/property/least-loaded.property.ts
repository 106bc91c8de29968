/** The laws of least-loaded.ts. */
import fc from "fast-check"
import { expect, test } from "vitest"
import { type Candidate, choose, slotsOfAll } from "../../src/inference/least-loaded.ts"

const nowMs = 1_000
const candidate: fc.Arbitrary<Candidate> = fc.record({
  isUp: fc.boolean(),
  restsUntilMs: fc.constantFrom(0, nowMs, nowMs + 1, nowMs + 500),
  inFlight: fc.nat(6),
  limit: fc.integer({ min: 1, max: 6 }),
  chosenAs: fc.nat(),
  isTried: fc.boolean()
})
const candidates = fc.uniqueArray(candidate, { maxLength: 6, size: "max", selector: ({ chosenAs }) => chosenAs })

const law = (title: string, check: (candidates: ReadonlyArray<Candidate>, choice: ReturnType<typeof choose>) => void) =>
  test(title, () =>
    fc.assert(
      fc.property(candidates, (candidates) => check(candidates, choose(candidates, nowMs))),
      { numRuns: 2_000 }
    )
  )

const may = ({ isTried, restsUntilMs }: Candidate) => !isTried && restsUntilMs <= nowMs

law("C1: the least part of its limit in flight, and of equals the longest ago", (candidates, choice) => {
  if (choice.type !== "ask") return
  const chosen = choice.candidate
  expect(may(chosen) && chosen.inFlight < chosen.limit).toBe(true)
  const others = candidates.filter((one) => one !== chosen && may(one) && one.isUp === chosen.isUp)
  for (const { chosenAs, inFlight, limit } of others.filter((one) => one.inFlight < one.limit)) {
    const [its, ours] = [inFlight / limit, chosen.inFlight / chosen.limit]
    expect(its > ours || (its === ours && chosenAs > chosen.chosenAs)).toBe(true)
  }
})

law("C2: those that are down are asked only when all are", (candidates, choice) => {
  if (choice.type === "ask" && !choice.candidate.isUp) expect(candidates.some(({ isUp }) => isUp)).toBe(false)
})

law("C3: while one has room no request waits, and none waits for servers that all rest", (candidates, choice) => {
  const isAnyUp = candidates.some(({ isUp }) => isUp)
  const left = candidates.filter(({ isTried, isUp }) => !isTried && (isUp || !isAnyUp))
  const awake = left.filter(may)
  if (choice.type === "none") expect(left).toEqual([])
  if (choice.type === "wait") {
    expect(awake.length).toBeGreaterThan(0)
    expect(awake.every(({ inFlight, limit }) => inFlight >= limit)).toBe(true)
  }
  if (choice.type === "rest") {
    expect(awake).toEqual([])
    expect(Math.min(...left.map(({ restsUntilMs }) => restsUntilMs))).toBe(choice.untilMs)
  }
})

test("equal servers take turns", () => {
  const servers = [0, 1, 2].map((chosenAs) => ({
    ...{ isUp: true, restsUntilMs: 0, inFlight: 0, limit: 2, chosenAs, isTried: false }
  }))
  const turns: Array<number> = []
  for (let turn = 3; turn < 9; turn++) {
    const choice = choose(servers, nowMs)
    if (choice.type !== "ask") throw new Error(choice.type)
    choice.candidate.chosenAs = turn
    turns.push(servers.indexOf(choice.candidate))
  }
  expect(turns).toEqual([0, 1, 2, 0, 1, 2])
})

test("as many start as there is room, whatever else runs where none is", () => {
  fc.assert(
    fc.property(candidates, (all) => {
      const running = all.reduce((sum, { inFlight }) => sum + inFlight, 0)
      const copies = all.map((one) => ({ ...one, isTried: false }))
      let started = 0
      // Those that are down are asked only by whoever has no other choice.
      while (copies.some(({ isUp }) => isUp)) {
        const choice = choose(copies, nowMs)
        if (choice.type !== "ask") break
        choice.candidate.inFlight++
        started++
      }
      expect(slotsOfAll(all, nowMs)).toBe(running + started)
    })
  )
})
