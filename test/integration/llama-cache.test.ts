/** What is kept of past answers changes none to come: real conversations by a real llama.cpp, greedily. */
import { describe, it, layer } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import fc from "fast-check"
import { expect } from "vitest"
import type { ChatMessage, InferenceRequest } from "../../src/inference/engine.ts"
import { type LlamaEngine, type LlamaOptions, openLlama } from "../../src/inference/llama.ts"
import { builtIn } from "../../src/inference/models.ts"
import { answer, asked, defaults, endOf, Llama, llama, textOf, until } from "./llama-harness.ts"

const systemPrompts = [
  "You are a helpful assistant. Answer briefly and honestly, in the language of the person who writes to you.",
  "You are a patient teacher. Explain everything at length, with examples, and ask whether it was understood."
]
const questions = [
  "What are the months of the year?",
  "How do I connect a webhook?",
  "What is 347 plus 285?",
  "Which channels are there?",
  "Hello!",
  "你好",
  "Tell me of the sea, and of those who sail on it, from the beginning."
]

interface Turn {
  readonly conversation: number
  readonly question: string
  readonly answerTokensMax: number
  /** How many tokens it is heard before the listener goes. */
  readonly leavesAfter: number | undefined
}

const turns = fc.array(
  fc.record({
    conversation: fc.nat({ max: 7 }),
    question: fc.constantFrom(...questions),
    answerTokensMax: fc.integer({ min: 1, max: 40 }),
    leavesAfter: fc.oneof(
      { weight: 3, arbitrary: fc.constant(undefined) },
      { weight: 1, arbitrary: fc.integer({ min: 1, max: 12 }) }
    )
  }),
  { minLength: 48, maxLength: 48, size: "max" }
)

const requestOf = (messages: ReadonlyArray<ChatMessage>, answerTokensMax: number): InferenceRequest =>
  asked("", { messages, answerTokensMax })

/** Nothing of it is in the prompts that are asked, and so a lone sequence is empty after it. */
const wash = asked("Washed 0123456789 away, and away, and away with all of it!", { answerTokensMax: 1 })

interface Asked {
  readonly request: InferenceRequest
  readonly text: string
  readonly promptTokens: number
  readonly cachedTokens: number
}

/** Each conversation goes on when its last turn is answered, whatever the others do. */
const converse = (engine: LlamaEngine, drawn: ReadonlyArray<Turn>) =>
  Effect.gen(function* () {
    const heard: Array<Asked> = []
    const one = Effect.fnUntraced(function* (conversation: number) {
      const messages: Array<ChatMessage> = [{ role: "system", content: systemPrompts[conversation % 2]! }]
      for (const turn of drawn.filter((turn) => turn.conversation === conversation)) {
        messages.push({ role: "user", content: turn.question })
        const request = requestOf([...messages], turn.answerTokensMax)
        if (turn.leavesAfter !== undefined) {
          yield* Stream.runDrain(Stream.take(engine.generate(request), turn.leavesAfter))
          messages.pop()
          continue
        }
        const tokens = yield* answer(engine, request)
        const { cachedTokens = 0, promptTokens } = endOf(tokens).usage
        heard.push({ request, text: textOf(tokens), promptTokens, cachedTokens })
        messages.push({ role: "assistant", content: textOf(tokens) })
      }
    })
    yield* Effect.forEach(
      Array.from({ length: 8 }, (_, i) => i),
      one,
      { concurrency: engine.slotsMax }
    )
    return heard
  })

/** Of the same requests, each read from its beginning, so many tokens at a time. */
const anew = (options: LlamaOptions, heard: ReadonlyArray<Asked>, stepTokensMax: number) =>
  Effect.gen(function* () {
    const engine = yield* openLlama({ ...options, slotsMax: 1, cacheBytesMax: 0, stepTokensMax })
    return yield* Effect.forEach(heard, ({ request }) =>
      Effect.gen(function* () {
        yield* answer(engine, wash)
        const tokens = yield* answer(engine, request)
        expect(endOf(tokens).usage.cachedTokens).toBe(0)
        return textOf(tokens)
      })
    )
  }).pipe(Effect.scoped)

const guide: LlamaOptions = { ...defaults, name: "guide", file: builtIn.file, contextTokens: 1_024 }
const random: LlamaOptions = { ...defaults, contextTokens: 1_024 }
const megabyte = 1024 ** 2

/**
 * How many tokens are decoded in a step changes the last bits of what comes out, with or without a cache: what is the
 * same to the last bit is in llama-copies.test.ts, and what may be found in cache.property.ts. Here an answer counts
 * when three sizes of steps agree on it, and of these one in twenty may be on the brink for a fourth.
 */
describe("conversations, with others between their turns, whose listeners leave: each answer is the same anew", () => {
  for (const [options, slotsMax, cacheBytesMax, sure] of [
    [guide, 4, 100 * megabyte, 0.8],
    [guide, 2, 2 * megabyte, 0.8],
    [guide, 3, 0, 0.8],
    [random, 3, 3 * megabyte, 0.5]
  ] as const) {
    it.live(
      `${options.name}, ${slotsMax} slots, ${cacheBytesMax / megabyte} MiB`,
      () =>
        Effect.gen(function* () {
          const engine = yield* openLlama({ ...options, slotsMax, cacheBytesMax, stepTokensMax: 32 })
          const [drawn] = fc.sample(turns, { numRuns: 1, seed: slotsMax })
          const heard = yield* converse(engine, drawn!)
          expect(heard.length).toBeGreaterThan(20)
          const { foundTokens, promptTokens, room } = yield* engine.steps
          expect(foundTokens.sequence + foundTokens.copy).toBeGreaterThan(promptTokens)
          expect(room.copies > 0).toBe(cacheBytesMax > 0)
          expect(room.copyBytes).toBeLessThanOrEqual(cacheBytesMax)
          const expected = yield* Effect.forEach([256, 48, 24], (tokens) => anew(options, heard, tokens))
          const counting = heard.flatMap(({ text }, i) => {
            const texts = new Set(expected.map((all) => all[i]))
            return texts.size === 1 ? [{ text, isSame: texts.has(text) }] : []
          })
          expect(counting.length).toBeGreaterThanOrEqual(sure * heard.length)
          expect(counting.filter(({ isSame }) => !isSame).length).toBeLessThanOrEqual(counting.length / 20)
        }).pipe(Effect.scoped),
      // As a whole; no step of it is measured.
      600_000
    )
  }
})

const usageOf = (engine: LlamaEngine, request: InferenceRequest) =>
  Effect.map(answer(engine, request), (tokens) => endOf(tokens).usage)
const system: ChatMessage = { role: "system", content: systemPrompts[0]! }
const asks = (content: string, ...before: ReadonlyArray<ChatMessage>) =>
  requestOf([system, ...before, { role: "user", content }], 20)

layer(llama, { excludeTestServices: true })("where it is found", (it) => {
  it.effect("two who take turns keep a sequence each", () =>
    Effect.gen(function* () {
      const engine = yield* Llama
      const histories: ReadonlyArray<Array<ChatMessage>> = [[], []]
      for (const turn of [0, 1, 2]) {
        for (const [i, history] of histories.entries()) {
          const question = `I am the ${["first", "second"][i]} who asks, and this is question ${turn}.`
          const request = asks(question, ...history)
          const tokens = yield* answer(engine, request)
          const { cachedTokens = 0, promptTokens } = endOf(tokens).usage
          const read = promptTokens - cachedTokens
          if (turn > 0) expect(read).toBeLessThan(promptTokens / 2)
          history.push({ role: "user", content: question }, { role: "assistant", content: textOf(tokens) })
        }
      }
      // The second found the system prompt in what the first had, who then found all of it in its place.
      expect((yield* engine.steps).room).toMatchObject({ copies: 1, usedTokens: 0, reservedTokens: 0 })
    })
  )

  it.effect("what is stopped in mid-answer is begun again without reading its prompt", () =>
    Effect.gen(function* () {
      const engine = yield* Llama
      const request = { ...asks("Tell me a story that takes long."), answerTokensMax: 200 }
      yield* Stream.runDrain(Stream.take(engine.generate(request), 5))
      const { cachedTokens, promptTokens } = yield* usageOf(engine, request)
      expect(cachedTokens).toBe(promptTokens - 1)
    })
  )

  it.effect("a system prompt, in what its only reader so far is still answered", () =>
    Effect.gen(function* () {
      const engine = yield* Llama
      const alone: ChatMessage = { role: "system", content: "This was never said before. ".repeat(8) }
      const request = (content: string) => requestOf([alone, { role: "user", content }], 200)
      const { steps } = yield* engine.counts
      const reader = yield* Effect.forkChild(Effect.forever(answer(engine, request("one"))))
      yield* until(Effect.map(engine.counts, (counts) => counts.steps > steps + 3))
      const { cachedTokens = 0, promptTokens } = yield* usageOf(engine, request("two"))
      expect(cachedTokens).toBeGreaterThan(promptTokens / 2)
      expect(cachedTokens).toBeLessThan(promptTokens - 1)
      yield* Fiber.interrupt(reader)
    })
  )
})

it.live("eight who come at once with one system prompt, to a cold worker: one of them reads it", () =>
  Effect.gen(function* () {
    const alone: ChatMessage = {
      role: "system",
      content: "This was never said before, and is said at length. ".repeat(6)
    }
    const request = (n: number) => requestOf([alone, { role: "user", content: `This is question ${n}.` }], 10)
    const readBy = Effect.fnUntraced(function* (cacheBytesMax: number) {
      const engine = yield* openLlama({ ...random, slotsMax: 8, cacheBytesMax })
      const all = yield* Effect.forEach(
        Array.from({ length: 8 }, (_, n) => n),
        (n) => answer(engine, request(n)),
        { concurrency: "unbounded" }
      )
      const { promptTokens } = yield* engine.steps
      return { promptTokens, texts: all.map(textOf), prompts: all.map((tokens) => endOf(tokens).usage.promptTokens) }
    })
    const [together, each] = [yield* readBy(100 * megabyte), yield* readBy(0)]
    const whole = each.prompts.reduce((sum, tokens) => sum + tokens, 0)
    expect(each.promptTokens).toBe(whole)
    expect(together.prompts).toEqual(each.prompts)
    // All but the first read their question, and next to nothing besides.
    expect(together.promptTokens).toBeLessThan(whole / 4)
  })
)

layer(llama, { excludeTestServices: true })("where it is not found", (it) => {
  it.effect("once the worker was told to forget", () =>
    Effect.gen(function* () {
      const engine = yield* Llama
      const request = asks("Where are you?")
      yield* answer(engine, request)
      expect((yield* usageOf(engine, request)).cachedTokens).toBeGreaterThan(0)
      yield* engine.forget
      expect((yield* usageOf(engine, request)).cachedTokens).toBe(0)
      expect((yield* engine.steps).room).toMatchObject({ copies: 0, copyBytes: 0 })
    })
  )

  it.effect("once the worker was replaced", () =>
    Effect.gen(function* () {
      const engine = yield* Llama
      const request = asks("Who are you?")
      yield* answer(engine, request)
      expect((yield* usageOf(engine, request)).cachedTokens).toBeGreaterThan(0)
      const pid = (yield* engine.workerPid)!
      process.kill(pid, "SIGKILL")
      yield* until(Effect.map(engine.workerPid, (other) => other !== undefined && other !== pid))
      expect((yield* engine.steps).room).toMatchObject({ copies: 0, copyBytes: 0, heldTokens: 0 })
      expect((yield* usageOf(engine, request)).cachedTokens).toBe(0)
    })
  )
})
