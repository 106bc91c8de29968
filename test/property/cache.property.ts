import fc from "fast-check"
import { expect, test } from "vitest"
import * as Cache from "../../src/inference/worker/cache.ts"

/** Of what a token would cost to decode, what it costs to use where it is, to fetch, and to copy and fetch. */
const fees = { held: 0, copy: 1 / 64, shared: 1 / 8 }
const worthTokensMin = 16

const sequences = fc.integer({ min: 1, max: 5 })
const limits = fc.record({
  bytesMax: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 600 }), fc.constant(1_000_000)),
  copiesMax: fc.integer({ min: 1, max: 6 }),
  canCut: fc.boolean()
})
/** Texts branch at three places, as system prompts and conversations do, and end anywhere. */
const tokens = fc
  .record({
    branches: fc.array(fc.nat({ max: 2 }), { minLength: 1, maxLength: 3, size: "max" }),
    stem: fc.constantFrom(20, 40, 70),
    more: fc.nat({ max: 60 })
  })
  .map(({ branches, more, stem }) => {
    const whole = branches.flatMap((branch) => Array.from({ length: stem }, (_, i) => 10 * branch + (i % 10)))
    return whole.slice(0, 1 + more + stem * (branches.length - 1))
  })
const command = fc.oneof(
  { weight: 16, arbitrary: fc.record({ type: fc.constant("begin" as const), prompt: tokens }) },
  {
    weight: 14,
    // Which of those in use, and how much of its answer was decoded.
    arbitrary: fc.record({ type: fc.constant("end" as const), nth: fc.nat({ max: 4 }), answer: fc.nat({ max: 40 }) })
  },
  { weight: 12, arbitrary: fc.record({ type: fc.constant("copy" as const), nth: fc.nat({ max: 4 }) }) },
  { weight: 1, arbitrary: fc.constant({ type: "clear" as const }) }
)
const commands = fc.array(command, { maxLength: 60, size: "max" })
type Command = typeof command extends fc.Arbitrary<infer C> ? C : never

/** What really is in the cells and the copies, beside what the cache says of it. */
interface World {
  readonly cache: Cache.Cache<string>
  readonly cells: Array<Cache.Past>
  readonly inUse: Array<Cache.Past | undefined>
  /** In the order in which they were used, with the tokens that really are in them. */
  readonly copies: Map<string, Cache.Kept<string>>
}

interface Moment {
  readonly command: Command
  readonly world: World
  readonly found?: Cache.Found<string> | undefined
  readonly prompt?: Cache.Tokens
  readonly spare?: number | undefined
  readonly dropped?: ReadonlyArray<Cache.Kept<string>>
  readonly kept?: Cache.Kept<string>
}

function pastOf(prompt: Cache.Tokens, answer: Cache.Tokens = []): Cache.Past {
  return { tokens: [...prompt, ...answer], promptTokens: prompt.length }
}

function snapshot({ cache, cells, copies, inUse }: World): World {
  const { bytes, held, uses } = cache
  const same = { limits: cache.limits, held: [...held], copies: new Set(cache.copies), bytes, uses }
  return { cache: same, cells: [...cells], inUse: [...inUse], copies: new Map(copies) }
}

const isFree = (world: World) => (id: number) => world.inUse[id] === undefined

/** `before` is shown to `see` with what was decided in it. */
function live(count: number, limits: Cache.Limits, commands: ReadonlyArray<Command>, see: (moment: Moment) => void) {
  const cells = Array.from({ length: count }, () => pastOf([]))
  const inUse = cells.map((): Cache.Past | undefined => undefined)
  const world: World = { cache: Cache.empty(count, limits), cells, inUse, copies: new Map() }
  let copied = 0
  const keep = (command: Command, { promptTokens, tokens }: Cache.Past) => {
    const kept = { tokens, promptTokens, bytes: tokens.length + 5, copy: `${++copied}` }
    const before = snapshot(world)
    const dropped = Cache.keep(world.cache, kept)
    world.copies.set(kept.copy, kept)
    for (const { copy } of dropped) world.copies.delete(copy)
    see({ command, world: before, kept, dropped })
  }
  for (const command of commands) {
    if (command.type === "clear") {
      for (const { copy } of Cache.clear(world.cache)) world.copies.delete(copy)
    } else if (command.type === "begin") {
      const { prompt } = command
      const before = snapshot(world)
      const found = Cache.find(world.cache, prompt, inUse)
      const spare = Cache.spare(world.cache, isFree(world))
      see({ command, world: before, found, prompt, spare })
      const id = found?.type === "held" ? found.id : spare
      if (id === undefined) continue
      if (found?.type === "copy") {
        Cache.use(world.cache, found.kept)
        world.copies.delete(found.kept.copy)
        world.copies.set(found.kept.copy, found.kept)
      }
      Cache.letGo(world.cache, id)
      inUse[id] = pastOf(prompt)
      cells[id] = pastOf(prompt)
    } else {
      const running = [...inUse.keys()].filter((id) => command.type === "copy" || inUse[id] !== undefined)
      const id = running[command.nth % running.length]
      if (id === undefined) continue
      if (command.type === "end") {
        const answer = Array.from({ length: command.answer }, () => 100 + command.answer)
        cells[id] = pastOf(inUse[id]!.tokens, answer)
        inUse[id] = undefined
        Cache.hold(world.cache, id, cells[id]!)
      } else {
        const held = world.cache.held[id]
        if (held !== undefined && Cache.isWorthACopy(world.cache, held, 0)) keep(command, held)
        // Of what somebody else wants as well.
        if (inUse[id] !== undefined) keep(command, inUse[id])
      }
    }
    see({ command, world: snapshot(world) })
  }
}

const property = (title: string, check: (moment: Moment) => void) =>
  test(title, () =>
    fc.assert(
      fc.property(sequences, limits, commands, (s, l, c) => live(s, l, c, check)),
      { numRuns: Number(process.env["PARLEY_HISTORIES"] ?? 1_000) }
    )
  )

const shared = (a: Cache.Tokens, b: Cache.Tokens) => {
  const differs = a.findIndex((token, i) => token !== b[i])
  return differs < 0 ? a.length : differs
}
const promptOf = ({ promptTokens, tokens }: Cache.Past) => tokens.slice(0, promptTokens)
const begins = (a: Cache.Tokens, b: Cache.Tokens) => shared(a, b) === a.length

/** What really is where the cache says that something was found. */
function reallyIn({ copies, cells, inUse }: World, found: Cache.Found<string>): Cache.Tokens {
  if (found.type === "copy") return copies.get(found.kept.copy)!.tokens
  return (inUse[found.id] ?? cells[found.id]!).tokens
}

property(
  "C1: what is found begins with the same tokens as the prompt, as many as are said",
  ({ found, prompt, world }) => {
    if (found === undefined) return
    expect(reallyIn(world, found).slice(0, found.tokens)).toEqual(prompt!.slice(0, found.tokens))
  }
)

property("C2: it is never the whole prompt", ({ found, prompt }) => {
  if (found !== undefined) expect(found.tokens).toBeLessThan(prompt!.length)
})

property(
  "C3: nothing that is kept would save more, less what it costs to fetch",
  ({ command, found, prompt, world }) => {
    if (prompt === undefined || command.type !== "begin") return
    const { bytesMax, canCut } = world.cache.limits
    const worthOf = (tokens: Cache.Tokens, fee: number) => {
      const saved = Math.min(shared(tokens, prompt), prompt.length - 1)
      if (saved < worthTokensMin || (!canCut && saved < tokens.length)) return 0
      return saved - fee * tokens.length
    }
    const lostFee = ({ promptTokens, tokens }: Cache.Past) => {
      const left = Math.min(shared(tokens, prompt), prompt.length - 1)
      const lost = tokens.length - left
      const isCopied = [...world.copies.values()].some((kept) => begins(tokens, kept.tokens))
      const isLoss =
        left < promptTokens && lost >= worthTokensMin && lost >= tokens.length / 8 && !isCopied && bytesMax > 0
      return isLoss ? fees.shared : fees.held
    }
    const worths = [
      ...world.cells.map((past, id) => {
        if (world.inUse[id] !== undefined) return bytesMax === 0 ? 0 : worthOf(world.inUse[id].tokens, fees.shared)
        return world.cache.held[id] === undefined ? 0 : worthOf(past.tokens, lostFee(past))
      }),
      ...[...world.copies.values()].map(({ tokens }) => worthOf(tokens, fees.copy))
    ]
    const worth = found === undefined ? 0 : worthOf(reallyIn(world, found), fees[found.type])
    expect(worth).toBe(Math.max(0, ...worths))
  }
)

const c4 = "C4: what a sequence in use holds is copied and never taken, and its id is not given away"
property(c4, ({ found, spare, world }) => {
  if (found?.type === "held") expect(world.inUse[found.id]).toBeUndefined()
  if (spare !== undefined) expect(world.inUse[spare]).toBeUndefined()
  for (const [id, held] of world.cache.held.entries()) {
    if (world.inUse[id] !== undefined) expect(held).toBeUndefined()
    if (held !== undefined) expect(held).toMatchObject(world.cells[id]!)
  }
})

const c5 = "C5: who was used longest ago goes first, and no more go than must"
property(c5, ({ dropped, kept, world }) => {
  const { cache, copies } = world
  expect([...cache.copies]).toEqual([...copies.values()])
  expect(cache.bytes).toBe([...copies.values()].reduce((sum, { bytes }) => sum + bytes, 0))
  expect(cache.bytes).toBeLessThanOrEqual(cache.limits.bytesMax)
  expect(copies.size).toBeLessThanOrEqual(cache.limits.copiesMax)
  if (kept === undefined) return
  if ([...copies.values()].some(({ tokens }) => begins(kept.tokens, tokens))) {
    expect(dropped).toEqual([kept])
    return
  }
  // The model: whoever it makes superfluous goes, then the eldest, one by one.
  const left = [...copies.values().filter((one) => !begins(promptOf(one), kept.tokens)), kept]
  const isOver = () =>
    left.length > cache.limits.copiesMax || left.reduce((sum, { bytes }) => sum + bytes, 0) > cache.limits.bytesMax
  while (isOver()) left.shift()
  const gone = [...copies.values(), kept].filter((one) => !left.includes(one))
  expect(new Set(dropped)).toEqual(new Set(gone))
  expect(dropped).toHaveLength(gone.length)
})

property("C6: no copy begins another one, nor does its prompt begin one that was made later", ({ world }) => {
  for (const one of world.copies.values()) {
    for (const two of world.copies.values()) {
      if (one === two) continue
      expect(begins(one.tokens, two.tokens)).toBe(false)
      if (Number(one.copy) < Number(two.copy)) expect(begins(promptOf(one), two.tokens)).toBe(false)
    }
  }
})

const c7 = "C7: an empty sequence is given away first, then one whose tokens a copy has, then the one used longest ago"
property(c7, ({ command, prompt, spare, world }) => {
  if (command.type !== "begin" || prompt === undefined) return
  const { cache, copies } = world
  const free = [...cache.held.keys()].filter(isFree(world))
  if (spare === undefined) return expect(free).toEqual([])
  const rankOf = (id: number) => {
    const held = cache.held[id]
    if (held === undefined) return -2
    return [...copies.values()].some(({ tokens }) => begins(held.tokens, tokens)) ? -1 : held.lastUse
  }
  expect(rankOf(spare)).toBe(Math.min(...free.map(rankOf)))
})

test("the lives above find all kinds, and nothing; drop for either bound; and give away all kinds", () => {
  const kinds = new Map<string, number>()
  const saw = (kind: string) => kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
  for (const [s, l, c] of fc.sample(fc.tuple(sequences, limits, commands), { numRuns: 200, seed: 1 })) {
    live(s, l, c, ({ dropped, found, kept, prompt, spare, world }) => {
      if (prompt !== undefined) saw(found === undefined ? "nothing" : found.type)
      if (found !== undefined && !world.cache.limits.canCut) saw("whole")
      if (prompt !== undefined && spare === undefined) saw("full")
      if (spare !== undefined && world.cache.held[spare] !== undefined) saw("given away")
      const isCopied = kept && [...world.copies.values()].some(({ tokens }) => begins(kept.tokens, tokens))
      if (isCopied) saw("copied already")
      else if (kept !== undefined && dropped!.includes(kept)) saw("too large")
      if (dropped?.some((one) => begins(promptOf(one), kept!.tokens))) saw("superfluous")
      if (dropped?.some((one) => !begins(promptOf(one), kept!.tokens))) saw("eldest")
    })
  }
  const expected = [
    "nothing",
    "held",
    "shared",
    "copy",
    "whole",
    "full",
    "given away",
    "too large",
    "superfluous",
    "copied already",
    "eldest"
  ]
  for (const kind of expected) expect([kind, (kinds.get(kind) ?? 0) > 20]).toEqual([kind, true])
})
