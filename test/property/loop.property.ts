import { setImmediate } from "node:timers/promises"
import fc from "fast-check"
import { expect, test } from "vitest"
import type { Usage } from "../../src/inference/engine.ts"
import { openLoop } from "../../src/inference/worker/loop.ts"
import type { FromWorker, Job } from "../../src/inference/worker/wire.ts"
import {
  contextTokens,
  endToken,
  faultless,
  type Memory,
  memories,
  scriptedModel,
  tokenAfter
} from "./scripted-model.ts"

const systemPrompts = ["", "You answer briefly, and honestly. ", "You answer at length, and with care. "]

const jobs = fc.record({
  said: fc.string({ unit: fc.constantFrom("x", "y", "z"), minLength: 1, maxLength: 30, size: "max" }),
  system: fc.constantFrom(...systemPrompts),
  /** Whose conversation goes on: the so-manieth job before. */
  after: fc.option(fc.nat({ max: 5 }), { nil: undefined, freq: 3 }),
  answerTokensMax: fc.integer({ min: 1, max: 120 }),
  seed: fc.nat({ max: 3 }),
  stop: fc.array(fc.string({ unit: fc.constantFrom("a", "b", "c", "d"), minLength: 1, maxLength: 2 }), {
    maxLength: 2
  }),
  /** Event loop turns until the next one comes, and until it is aborted. */
  gap: fc.nat({ max: 12 }),
  abortAfter: fc.option(fc.nat({ max: 25 }), { nil: undefined }),
  forgets: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) })
})
const schedules = fc.array(jobs, { minLength: 1, maxLength: 25, size: "max" }).map((all) => {
  const arrivals: Array<Arrival> = []
  for (const { after, said, system, ...job } of all) {
    const before = after === undefined ? undefined : arrivals.at(-1 - after)
    const begun = before === undefined ? system : before.prompt + alone(before).text
    // What is left of the context is enough for any answer.
    arrivals.push({ ...job, prompt: (begun + said).slice(0, contextTokens / 2) })
  }
  return arrivals
})
type Drawn = typeof jobs extends fc.Arbitrary<infer A> ? A : never
type Arrival = Omit<Drawn, "said" | "system" | "after"> & { readonly prompt: string }

interface Alone {
  readonly text: string
  readonly reason: string
  readonly answerTokens: number
}

/** What the job has to say when nobody else is there. */
function alone({ answerTokensMax, prompt, seed, stop }: Arrival): Alone {
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
  end?: { readonly reason: string } & Required<Usage>
  refusal?: FromWorker
}

async function live(
  slotsMax: number,
  stepTokensMax: number,
  arrivals: ReadonlyArray<Arrival>,
  memory: Memory = faultless
) {
  const { copyBytes, did, model, samplersOpen, steps } = scriptedModel(slotsMax, stepTokensMax, memory)
  const outcomes = new Map<number, Outcome>()
  const aborts = new Map<number, number>()
  const abortedAtStep = new Map<number, number>()
  let lateSteps = 0
  const cached = new Map<number, number>()
  const loop = openLoop(model, { slotsMax, stepTokensMax, cacheBytesMax: memory.bytesMax }, (message) => {
    if (message.type === "begun") cached.set(message.key, message.cachedTokens)
    if (message.type === "too-long" || message.type === "refused") outcomes.get(message.key)!.refusal = message
    if (message.type !== "decoded") return
    expect(message.room).toMatchObject({ copyBytes: copyBytes() })
    expect(message.room.copyBytes).toBeLessThanOrEqual(memory.bytesMax)
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
  for (const [key, { abortAfter, answerTokensMax, forgets, gap, prompt, seed, stop }] of arrivals.entries()) {
    while (running() >= slotsMax) await turn()
    if (forgets) loop.forget()
    outcomes.set(key, { text: "" })
    if (abortAfter !== undefined) aborts.set(key, abortAfter)
    const messages = [{ role: "user" as const, content: prompt }]
    const job: Job = { key, messages, mayDrop: true, answerTokensMax, temperature: 1, seed, stop }
    loop.generate(job)
    for (let i = 0; i < gap; i++) await turn()
  }
  while (running() > 0 || !loop.isIdle()) await turn()
  return { outcomes, abortedAtStep, lateSteps, steps, samplersOpen: samplersOpen(), cached, did }
}

/** The second one is aborted, and the third comes, while what the second waits for is copied. */
const raced: [number, number, Array<Arrival>, Memory] = [
  2,
  4,
  [
    { ...{ answerTokensMax: 2, gap: 1, abortAfter: undefined, forgets: false }, ...plainly("x") },
    { ...{ answerTokensMax: 1, gap: 0, abortAfter: 8, forgets: true }, ...plainly("xuux") },
    { ...{ answerTokensMax: 1, gap: 0, abortAfter: undefined, forgets: false }, prompt: "x", seed: 0, stop: [] }
  ],
  { canCopy: true, canCut: true, failsEach: 2, bytesMax: 1 }
]

function plainly(said: string) {
  return { prompt: systemPrompts[1] + said, seed: 0, stop: [] }
}

const run = (check: (lived: Awaited<ReturnType<typeof live>>, arrivals: ReadonlyArray<Arrival>) => void) =>
  fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 30 }),
      schedules,
      memories,
      async (s, t, a, m) => check(await live(s, t, a, m), a)
    ),
    { numRuns: 200, examples: [raced] }
  )

test("each answer is the one it would have had alone, whoever comes and goes, and whatever is kept of whom", () =>
  run(({ abortedAtStep, cached, outcomes }, arrivals) => {
    for (const [key, arrival] of arrivals.entries()) {
      const { end, refusal, text } = outcomes.get(key)!
      const expected = alone(arrival)
      const promptTokens = arrival.prompt.length
      expect(refusal).toBeUndefined()
      if (end === undefined) {
        expect(abortedAtStep.has(key)).toBe(true)
        expect(expected.text.startsWith(text)).toBe(true)
      } else expect({ text, ...end }).toEqual({ ...expected, promptTokens, cachedTokens: cached.get(key) })
      expect(cached.get(key) ?? 0).toBeLessThan(promptTokens)
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

test("their conversations are continued in place, from copies, and without, and what fails is decoded", async () => {
  const drawn = fc.sample(fc.tuple(schedules, memories), { numRuns: 60, seed: 1 })
  const lives = await Promise.all(drawn.map(([arrivals, memory]) => live(3, 10, arrivals, memory)))
  const total = (what: keyof (typeof lives)[number]["did"]) => lives.reduce((sum, { did }) => sum + did[what], 0)
  for (const what of ["copied", "restored", "failed", "cut"] as const) expect(total(what)).toBeGreaterThan(20)
  const cached = lives.flatMap((lived) => [...lived.cached.values()])
  expect(cached.filter((tokens) => tokens > 0).length).toBeGreaterThan(cached.length / 5)
  expect(cached).toContain(0)
})

test("what does not fit, and what the template refuses, is said, and the others go on", async () => {
  const { model } = scriptedModel(2, 8)
  const said: Array<FromWorker> = []
  const loop = openLoop(model, { slotsMax: 2, stepTokensMax: 8, cacheBytesMax: 0 }, (message) => said.push(message))
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
