import { createHash } from "node:crypto"
import { setImmediate } from "node:timers/promises"
import fc from "fast-check"
import { expect, test } from "vitest"
import { openLoop } from "../../src/inference/worker/loop.ts"
import type { Model } from "../../src/inference/worker/model.ts"
import type { FromWorker, Job } from "../../src/inference/worker/wire.ts"

/** A token is a byte. */
const endToken = 0
const contextTokens = 200

/**
 * The next token of this model is a hash of all that its sequence has seen: one wrong cell, and another answer comes.
 */
function tokenAfter(seen: ReadonlyArray<number>, seed: number): number {
  const hash = createHash("sha256").update(Uint8Array.from(seen)).update(String(seed)).digest()
  return hash[0]! < 12 ? endToken : 97 + (hash[1]! % 26)
}

interface Seen {
  readonly model: Model
  /** Rows of each step. */
  readonly steps: Array<number>
  readonly samplersOpen: () => number
}

/** Keeps for each sequence what llama.cpp's cache would, and objects to what llama.cpp would. */
function scriptedModel(slotsMax: number, stepTokensMax: number): Seen {
  const cache: Array<Array<number>> = Array.from({ length: slotsMax }, () => [])
  const steps: Array<number> = []
  let samplersOpen = 0
  const model: Model = {
    contextTokens,
    prompt: (messages, tokensMax) => {
      const tokens = [...Buffer.from(messages.map(({ content }) => content).join("|"))]
      if (tokens.includes(33)) throw new Error("it has an exclamation mark")
      return tokens.length <= tokensMax
        ? { type: "fits", tokens }
        : { type: "too-long", tokens: tokens.length, tokensMax }
    },
    bytesOf: (token) => Uint8Array.of(token),
    isEnd: (token) => token === endToken,
    sampler: ({ seed }) => {
      samplersOpen++
      return { applyConfig: () => {}, dispose: () => samplersOpen--, seed } as ReturnType<Model["sampler"]>
    },
    decode: async (rows) => {
      await setImmediate()
      expect(rows.flatMap(({ tokens }) => tokens).length).toBeLessThanOrEqual(Math.max(stepTokensMax, slotsMax))
      steps.push(rows.length)
      return rows.map(({ position, sampler, tokens }, id) => {
        expect(position).toBe(cache[id]!.length)
        expect(tokens.length).toBeGreaterThan(0)
        cache[id]!.push(...tokens)
        return sampler && tokenAfter(cache[id]!, (sampler as unknown as { seed: number }).seed)
      })
    },
    move: async (from, to) => {
      await setImmediate()
      expect(cache[to]).toEqual([])
      cache[to] = cache[from]!
      cache[from] = []
    },
    clear: (id) => {
      cache[id] = []
    }
  }
  return { model, steps, samplersOpen: () => samplersOpen }
}

const jobs = fc.record({
  prompt: fc.string({ unit: fc.constantFrom("x", "y", "z"), minLength: 1, maxLength: 90, size: "max" }),
  answerTokensMax: fc.integer({ min: 1, max: 120 }),
  seed: fc.nat({ max: 3 }),
  stop: fc.array(fc.string({ unit: fc.constantFrom("a", "b", "c", "d"), minLength: 1, maxLength: 2 }), {
    maxLength: 2
  }),
  /** Event loop turns until the next one comes, and until it is aborted. */
  gap: fc.nat({ max: 12 }),
  abortAfter: fc.option(fc.nat({ max: 25 }), { nil: undefined })
})
const schedules = fc.array(jobs, { minLength: 1, maxLength: 25, size: "max" })
type Arrival = typeof jobs extends fc.Arbitrary<infer A> ? A : never

/** What the job has to say when nobody else is there. */
function alone({ answerTokensMax, prompt, seed, stop }: Arrival) {
  const seen = [...Buffer.from(prompt)]
  let text = ""
  for (let answered = 0; answered < Math.min(answerTokensMax, contextTokens / 2); ) {
    const token = tokenAfter(seen, seed)
    if (token === endToken) return { text, reason: "stop", answerTokens: answered }
    seen.push(token)
    answered++
    text += String.fromCharCode(token)
    const found = stop.filter((s) => text.endsWith(s)).toSorted((a, b) => b.length - a.length)[0]
    if (found !== undefined) return { text: text.slice(0, -found.length), reason: "stop", answerTokens: answered }
  }
  return { text, reason: "length", answerTokens: Math.min(answerTokensMax, contextTokens / 2) }
}

interface Outcome {
  text: string
  end?: { readonly reason: string; readonly promptTokens: number; readonly answerTokens: number }
  refusal?: FromWorker
}

async function live(slotsMax: number, stepTokensMax: number, arrivals: ReadonlyArray<Arrival>) {
  const { model, samplersOpen, steps } = scriptedModel(slotsMax, stepTokensMax)
  const outcomes = new Map<number, Outcome>()
  const aborts = new Map<number, number>()
  const abortedAtStep = new Map<number, number>()
  let lateSteps = 0
  const loop = openLoop(model, { slotsMax, stepTokensMax }, (message) => {
    if (message.type === "too-long" || message.type === "refused") outcomes.get(message.key)!.refusal = message
    if (message.type !== "decoded") return
    for (const [key, text] of message.texts) {
      outcomes.get(key)!.text += text
      if (abortedAtStep.has(key) && steps.length > abortedAtStep.get(key)! + 1) lateSteps++
    }
    for (const [key, reason, usage] of message.ends) {
      expect(outcomes.get(key)!.end).toBeUndefined()
      outcomes.get(key)!.end = { reason, ...usage }
    }
  })
  const failed = loop.run()
  const isOver = (key: number) => {
    const { end, refusal } = outcomes.get(key)!
    return end !== undefined || refusal !== undefined || abortedAtStep.has(key)
  }
  const turn = async () => {
    await Promise.race([setImmediate(), failed])
    for (const [key, left] of aborts) {
      aborts.set(key, left - 1)
      if (left > 0 || isOver(key)) continue
      loop.abort(key)
      abortedAtStep.set(key, steps.length)
    }
  }
  const running = () => [...outcomes.keys()].filter((key) => !isOver(key)).length
  for (const [key, { abortAfter, answerTokensMax, gap, prompt, seed, stop }] of arrivals.entries()) {
    while (running() >= slotsMax) await turn()
    outcomes.set(key, { text: "" })
    if (abortAfter !== undefined) aborts.set(key, abortAfter)
    const messages = [{ role: "user" as const, content: prompt }]
    const job: Job = { key, messages, mayDrop: true, answerTokensMax, temperature: 1, seed, stop }
    loop.generate(job)
    for (let i = 0; i < gap; i++) await turn()
  }
  while (running() > 0 || !loop.isIdle()) await turn()
  return { outcomes, abortedAtStep, lateSteps, steps, samplersOpen: samplersOpen() }
}

const run = (check: (lived: Awaited<ReturnType<typeof live>>, arrivals: ReadonlyArray<Arrival>) => void) =>
  fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 30 }), schedules, async (s, t, a) =>
      check(await live(s, t, a), a)
    )
  )

test("each answer is the one it would have had alone, whoever comes and goes", () =>
  run(({ abortedAtStep, outcomes }, arrivals) => {
    for (const [key, arrival] of arrivals.entries()) {
      const { end, refusal, text } = outcomes.get(key)!
      const expected = alone(arrival)
      const promptTokens = arrival.prompt.length
      expect(refusal).toBeUndefined()
      if (end === undefined) {
        expect(abortedAtStep.has(key)).toBe(true)
        expect(expected.text.startsWith(text)).toBe(true)
      } else expect({ text, ...end }).toEqual({ ...expected, promptTokens })
    }
  }))

test("an aborted answer is in no step that begins later, and nothing is left behind", () =>
  run(({ lateSteps, samplersOpen }) => {
    expect(lateSteps).toBe(0)
    expect(samplersOpen).toBe(0)
  }))

test("the schedules above are decoded together, aborted, and finished for both reasons", async () => {
  const schedule = fc.sample(schedules, { numRuns: 30, seed: 1 })
  const lives = await Promise.all(schedule.map((arrivals) => live(4, 10, arrivals)))
  const ends = lives.flatMap(({ outcomes }) =>
    outcomes
      .values()
      .toArray()
      .map(({ end }) => end?.reason)
  )
  expect(new Set(ends)).toEqual(new Set(["stop", "length", undefined]))
  expect(Math.max(...lives.flatMap(({ steps }) => steps))).toBe(4)
})

test("what does not fit, and what the template refuses, is said, and the others go on", async () => {
  const { model } = scriptedModel(2, 8)
  const said: Array<FromWorker> = []
  const loop = openLoop(model, { slotsMax: 2, stepTokensMax: 8 }, (message) => said.push(message))
  const failed = loop.run()
  const job = { mayDrop: true, answerTokensMax: 1, temperature: 0, seed: 0, stop: [] }
  const ask = (key: number, content: string) => loop.generate({ ...job, key, messages: [{ role: "user", content }] })
  ask(1, "x".repeat(500))
  ask(2, "what!")
  ask(3, "what?")
  while (!loop.isIdle()) await Promise.race([setImmediate(), failed])
  expect(said).toMatchObject([
    { type: "too-long", key: 1, tokens: 500, tokensMax: contextTokens - 1 },
    { type: "refused", key: 2, reason: expect.stringContaining("exclamation mark") },
    { type: "begun", key: 3, promptTokens: 5 },
    { type: "decoded", tokens: 5, promptTokens: 5, ends: [[3, expect.anything(), { promptTokens: 5 }]] }
  ])
})
