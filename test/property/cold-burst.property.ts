/** C8 of cache.ts: who waits for another to read what both begin with reads less, and is not much later. */
import fc from "fast-check"
import { expect, test } from "vitest"
import * as Cache from "../../src/inference/worker/cache.ts"
import * as Step from "../../src/inference/worker/step.ts"

/** Texts branch at two places, as a system prompt and a conversation do. */
const prompts = fc
  .record({
    system: fc.nat({ max: 1 }),
    systemTokens: fc.constantFrom(20, 60, 200, 500),
    conversation: fc.nat({ max: 1 }),
    conversationTokens: fc.constantFrom(0, 40, 150),
    question: fc.integer({ min: 1, max: 120 })
  })
  .map(
    ({ conversation, conversationTokens, question, system, systemTokens }): ReadonlyArray<number> => [
      ...Array.from({ length: systemTokens }, (_, i) => 1_000 * (system + 1) + i),
      ...Array.from({ length: conversationTokens }, (_, i) => 10_000 * (conversation + 1) + i),
      ...Array.from({ length: question }, (_, i) => 100_000 + i)
    ]
  )
const arrivals = fc.array(
  fc.record({
    prompt: prompts,
    /** Steps after the one before. */
    gap: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat({ max: 4 }) }),
    /** Gone after so many steps. */
    leaves: fc.option(fc.nat({ max: 6 }), { nil: undefined, freq: 5 })
  }),
  { minLength: 2, maxLength: 12, size: "max" }
)
type Arrival = typeof arrivals extends fc.Arbitrary<ReadonlyArray<infer A>> ? A : never

interface One {
  readonly key: number
  readonly prompt: ReadonlyArray<number>
  decoded: number
  awaited?: Cache.Awaited | undefined
}

/** All prompts are read at once, each with its sequence; what is copied is there at once. */
function read(drawn: ReadonlyArray<Arrival>, stepTokensMax: number, mayWait: boolean) {
  let at = 0
  const due = drawn.map(({ gap, ...one }, key) => {
    at += gap
    return { ...one, key, at }
  })
  const cache = Cache.empty<string>(drawn.length, { bytesMax: 1e9, copiesMax: 100, canCut: true })
  let plan = Step.empty(drawn.length, stepTokensMax)
  const running = new Map<number, One>()
  const waiting = new Map<number, One>()
  const firstAt = new Map<number, number>()
  const waits = new Map<number, number>()
  /** Of all, those that are gone too: their cells are kept. */
  const all = new Map<number, One>()
  let tokens = 0
  const begin = (one: One, saved: number) => {
    waiting.delete(one.key)
    one.decoded = saved
    all.set(one.key, one)
    running.set(one.key, one)
    const id = plan.sequences.indexOf(undefined)
    plan = Step.admit(plan, id, one.key, one.prompt.length - saved)
  }
  for (let step = 0; step <= at || running.size + waiting.size > 0; step++) {
    for (const { at, key, leaves } of due) {
      if (leaves === undefined || at + leaves !== step) continue
      waiting.delete(key)
      if (running.delete(key)) plan = Step.release(plan, key)
    }
    for (const one of waiting.values()) {
      const { key, tokens } = one.awaited!
      const { decoded } = all.get(key)!
      if (!running.has(key) || decoded >= tokens) begin(one, Math.min(decoded, tokens))
    }
    for (const { at, key, leaves, prompt } of due) {
      if (at !== step || leaves === 0) continue
      const one: One = { key, prompt, decoded: 0 }
      one.awaited = mayWait ? Cache.awaitedBy(cache, prompt, running.values(), stepTokensMax, () => 0) : undefined
      if (one.awaited === undefined) begin(one, 0)
      else waiting.set(key, one)
    }
    if (waiting.size > 0) expect(running.size).toBeGreaterThan(0)
    for (const { key } of waiting.values()) waits.set(key, (waits.get(key) ?? 0) + 1)
    const [{ rows }, after] = Step.next(plan)
    plan = after
    for (const row of rows) {
      const one = running.get(row.key)!
      one.decoded += row.tokens
      tokens += row.tokens
      if (!row.isSampled) continue
      firstAt.set(row.key, step)
      running.delete(row.key)
      plan = Step.release(plan, row.key)
    }
  }
  return { firstAt, tokens, waits }
}

const numRuns = Number(process.env["PARLEY_HISTORIES"] ?? 300)
const budgets = fc.integer({ min: 12, max: 300 })

test(
  "C8: nobody's first token is later by more than a step, and somebody reads whenever somebody waits",
  { timeout: 1_800_000 },
  () =>
    fc.assert(
      fc.property(arrivals, budgets, (drawn, stepTokensMax) => {
        const still = drawn.map((one) => ({ ...one, leaves: undefined }))
        const alone = read(still, stepTokensMax, false)
        const together = read(still, stepTokensMax, true)
        expect(together.firstAt.size).toBe(still.length)
        for (const [key, step] of together.firstAt) expect(step).toBeLessThanOrEqual(alone.firstAt.get(key)! + 1)
        expect(together.tokens).toBeLessThanOrEqual(alone.tokens)
      }),
      { numRuns }
    )
)

test("C8: whoever is awaited may leave, and who waits is read all the same", { timeout: 1_800_000 }, () =>
  fc.assert(
    fc.property(arrivals, budgets, (drawn, stepTokensMax) => {
      const { firstAt } = read(drawn, stepTokensMax, true)
      for (const [key, { leaves }] of drawn.entries()) if (leaves === undefined) expect(firstAt.has(key)).toBe(true)
    }),
    { numRuns }
  )
)

test("the arrivals above wait, and save", () => {
  const drawn = fc.sample(fc.tuple(arrivals, budgets), { numRuns: 200, seed: 1 })
  const lives = drawn.map(([some, budget]) => [read(some, budget, true), read(some, budget, false)] as const)
  expect(lives.filter(([{ waits }]) => waits.size > 0).length).toBeGreaterThan(60)
  const total = (index: 0 | 1) => lives.reduce((sum, life) => sum + life[index].tokens, 0)
  expect(total(0)).toBeLessThan(0.95 * total(1))
})

test("eight at once with one system prompt: one reads it", () => {
  const prompt = (question: number) => [
    ...Array.from({ length: 200 }, (_, i) => i),
    ...Array.from({ length: 20 }, () => 1_000 + question)
  ]
  const burst = Array.from({ length: 8 }, (_, i): Arrival => ({ prompt: prompt(i), gap: 0, leaves: undefined }))
  const { firstAt, tokens } = read(burst, 256, true)
  expect(tokens).toBe(200 + 8 * 20)
  expect([...firstAt.values()]).toEqual([0, 1, 1, 1, 1, 1, 1, 1])
  expect(read(burst, 256, false).tokens).toBe(8 * 220)
})
