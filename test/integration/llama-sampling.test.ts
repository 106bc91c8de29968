/** How tokens are chosen, by a real llama.cpp and a random model, whose byte tokens have the byte as their id. */
import { layer } from "@effect/vitest"
import { Effect } from "effect"
import { expect } from "vitest"
import type { InferenceRequest } from "../../src/inference/engine.ts"
import {
  answer,
  answering,
  answerText,
  asked,
  endOf,
  Llama,
  llama,
  slotsMax,
  textOf,
  until,
  words
} from "./llama-harness.ts"

const letter = (text: string) => text.charCodeAt(0)
const hot = { temperature: 1, answerTokensMax: 100 }
const texts = (engine: Llama["Service"], more: Partial<InferenceRequest>) =>
  Effect.forEach([1, 2, 3, 4, 5, 6], (seed) => answerText(engine, asked("Hi", { ...hot, ...more, seed })), {
    concurrency: slotsMax
  })
/** How much of what was said was said before. */
const repetition = (all: ReadonlyArray<string>) => {
  const parts = all.map((text) => [...text])
  const said = parts.reduce((sum, some) => sum + some.length, 0)
  return 1 - parts.reduce((sum, some) => sum + new Set(some).size, 0) / said
}

layer(llama, { excludeTestServices: true })("biases", (it) => {
  it.effect("of -100 never let a token through, and of 100 nothing else", () =>
    Effect.gen(function* () {
      const engine = yield* Llama
      for (const temperature of [0, 1, 2]) {
        const one = [[letter("x"), 100]] as const
        const forced = yield* answer(engine, asked("Hi", { ...hot, temperature, logitBias: one, answerTokensMax: 20 }))
        expect(textOf(forced)).toBe("x".repeat(20))
        const two = [...one, [letter("y"), 100]] as const
        const either = yield* texts(engine, { temperature, logitBias: two, answerTokensMax: 20 })
        for (const text of either) expect(text).toMatch(/^[xy]{20}$/)
      }
      // Letters only, so that a token is told by its text.
      const letters = Array.from({ length: 26 }, (_, n) => [letter("a") + n, 90] as const)
      const all = yield* texts(engine, { topK: 0, logitBias: letters })
      expect(new Set(all.join("")).size).toBe(26)
      const never = letters.map(([token, bias]) => [token, token === letter("e") ? -100 : bias] as const)
      const without = yield* texts(engine, { topK: 0, logitBias: never })
      expect(without.join("")).toMatch(/^[a-df-z]+$/)
    })
  )
})

layer(llama, { excludeTestServices: true })("penalties", (it) => {
  it.effect("make an answer repeat itself less, each of them, and the more the less", () =>
    Effect.gen(function* () {
      const engine = yield* Llama
      // Letters only: what is told apart is how often each comes.
      const logitBias = Array.from({ length: 26 }, (_, n) => [letter("a") + n, 90] as const)
      const measured = (more: Partial<InferenceRequest>) =>
        Effect.map(texts(engine, { logitBias, topK: 0, topP: 1, answerTokensMax: 24, ...more }), repetition)
      const plain = yield* measured({})
      expect(plain).toBeGreaterThan(0.3)
      expect(yield* measured({ presencePenalty: 2 })).toBeLessThan(plain * 0.9)
      expect(yield* measured({ frequencyPenalty: 2 })).toBeLessThan(plain * 0.9)
      expect(yield* measured({ repeatPenalty: 1.05 })).toBeLessThan(plain * 0.5)
      expect(yield* measured({ presencePenalty: -2 })).toBeGreaterThan(plain)
      expect(yield* measured({ presencePenalty: 0, frequencyPenalty: 0, repeatPenalty: 1 })).toBe(plain)
      // Greedily every letter once.
      const none = yield* measured({ temperature: 0, repeatPenalty: 10 })
      expect(none).toBe(0)
    })
  )
})

layer(llama, { excludeTestServices: true })("candidates", (it) => {
  it.effect("are as few as is asked for: one of them is the likeliest", () =>
    Effect.gen(function* () {
      const engine = yield* Llama
      const greedy = yield* answerText(engine, asked("Hi", { answerTokensMax: 30 }))
      for (const narrow of [{ topK: 1 }, { minP: 1 }, { topP: 1e-9 }]) {
        const text = yield* answerText(engine, asked("Hi", { temperature: 2, seed: 5, answerTokensMax: 30, ...narrow }))
        expect(text).toBe(greedy)
      }
      const [few, all] = [yield* texts(engine, { topK: 5, topP: 1 }), yield* texts(engine, { topK: 0, topP: 1 })]
      expect(new Set(all.join("")).size).toBeGreaterThan(new Set(few.join("")).size)
    })
  )

  it.effect("same seed, same answer, in a batch with others or alone, with everything that is asked for", () =>
    Effect.gen(function* () {
      const engine = yield* Llama
      const schema = { type: "object", properties: { a: { type: "string" } }, required: ["a"] }
      const kinds: ReadonlyArray<Partial<InferenceRequest>> = [
        { topK: 10, minP: 0.01 },
        { frequencyPenalty: 1, presencePenalty: 1, repeatPenalty: 1.1 },
        { logitBias: [[letter("e"), 5]] },
        { shape: { type: "json-schema", name: "it", schema } },
        { shape: { type: "json-object" }, repeatPenalty: 1.2 }
      ]
      const requests = words.map((word, seed) => asked(word, { ...hot, seed, ...kinds[seed % kinds.length] }))
      const alone = yield* Effect.forEach(requests, (request) => answer(engine, request))
      const together = yield* Effect.forEach(requests, (request) => answer(engine, request), {
        concurrency: "unbounded"
      })
      expect(together.map(textOf)).toEqual(alone.map(textOf))
      // What was decoded for the one is found by the other.
      const endsOf = (all: typeof alone) =>
        all.map((tokens) => ({ ...endOf(tokens), usage: { ...endOf(tokens).usage, cachedTokens: 0 } }))
      expect(endsOf(together)).toEqual(endsOf(alone))
      expect(new Set(alone.map(textOf)).size).toBe(words.length)
    })
  )

  it.effect("an answer that is dropped frees its slot, whatever shape it has", () =>
    Effect.gen(function* () {
      const engine = yield* Llama
      const shape = { type: "grammar" as const, grammar: "root ::= [a-z]*" }
      const never = { shape, logitBias: [[letter("a"), 100]] as const, answerTokensMax: 250 }
      const { steps } = yield* engine.counts
      const running = words.map((word) => Effect.timeoutOption(Effect.forever(answer(engine, asked(word, never))), 400))
      yield* Effect.forEach(running, (one) => one, { concurrency: "unbounded" })
      expect((yield* engine.counts).steps).toBeGreaterThan(steps)
      const others = yield* Effect.forEach(words, (word) => answering(engine, word))
      expect(others).toHaveLength(slotsMax)
      yield* until(Effect.map(engine.counts, (counts) => counts.restarts === 0))
    })
  )
})
