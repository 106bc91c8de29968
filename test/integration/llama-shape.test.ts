/** The shape of answers, by a real llama.cpp and a random model: it would say anything that it is let. */
import { layer } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import fc from "fast-check"
import { getLlama } from "node-llama-cpp"
import { expect, test } from "vitest"
import { trainVocabulary } from "../../models/random-vocabulary.ts"
import type { Shape, Token, ToolUse } from "../../src/inference/engine.ts"
import { openLlama } from "../../src/inference/llama.ts"
import { answerGrammar } from "../../src/inference/shape/answer-grammar.ts"
import { invalidity, type Schema, schemas } from "../property/json-schemas.ts"
import { answer, answerText, asked, defaults, endOf, Llama, llama, slotsMax, textOf } from "./llama-harness.ts"

/**
 * llama.cpp takes a character that is written in more bytes than it has (E0 82 80) for one. An untrained model writes
 * such, and what is no UTF-8 is left out of an answer.
 */
const neverBytes = [0xe0, 0xf0].map((byte) => [byte, -100] as const)
const shaped = (schema: Schema) => ({
  shape: { type: "json-schema" as const, name: "it", schema },
  logitBias: neverBytes
})

const reasonsOf = (ends: ReadonlyArray<string>) => Object.entries(Object.groupBy(ends, (reason) => reason))
const counted = (ends: ReadonlyArray<string>) =>
  Object.fromEntries(reasonsOf(ends).map(([reason, some]) => [reason, some?.length ?? 0]))
const temperatures = [0, 1, 2]

layer(llama, { excludeTestServices: true })("an answer with a shape", (it) => {
  it.effect("G1: whatever the grammar takes is JSON, and valid by the schema, unless it was cut off", () =>
    Effect.gen(function* () {
      const engine = yield* Llama
      const cases = fc.sample(fc.tuple(schemas, fc.nat({ max: 1_000 })), { numRuns: 200, seed: 1 })
      const ends = yield* Effect.forEach(
        cases,
        ([schema, seed]) => {
          const temperature = temperatures[seed % 3]!
          const request = asked("Say it.", { ...shaped(schema), temperature, seed, answerTokensMax: 250 })
          return Effect.map(answer(engine, request), (tokens) => {
            const { reason } = endOf(tokens)
            const text = textOf(tokens)
            if (reason === "length") return reason
            expect([schema, text, invalidity(schema, JSON.parse(text))]).toEqual([schema, text, undefined])
            return reason
          })
        },
        { concurrency: slotsMax }
      )
      expect(counted(ends)).toMatchObject({ stop: expect.any(Number), length: expect.any(Number) })
      expect(counted(ends)["stop"]).toBeGreaterThan(150)
    })
  )

  it.effect("is an object of JSON, and whatever a grammar says", () =>
    Effect.gen(function* () {
      const engine = yield* Llama
      const ask = (shape: Shape, seed: number, more = {}) =>
        answer(engine, asked("Say it.", { shape, temperature: 1, seed, answerTokensMax: 200, ...more }))
      const objects = yield* Effect.forEach([1, 2, 3, 4, 5, 6], (seed) => ask({ type: "json-object" }, seed))
      for (const tokens of objects) {
        const text = textOf(tokens)
        expect(text).toMatch(/^\{/)
        if (endOf(tokens).reason === "stop") expect(JSON.parse(text)).toBeTypeOf("object")
      }
      const grammar = 'root ::= ("yes" | "no") ", " [0-9]{2,3} "." # and no more\n'
      for (const seed of [1, 2, 3, 4]) {
        const tokens = yield* ask({ type: "grammar", grammar }, seed)
        expect(textOf(tokens)).toMatch(/^(yes|no), \d{2,3}\.$/)
        expect(endOf(tokens)).toMatchObject({ reason: "stop" })
        const tokensMax = 2
        const cut = yield* ask({ type: "grammar", grammar }, seed, { answerTokensMax: tokensMax })
        expect(endOf(cut)).toMatchObject({ reason: "length", usage: { answerTokens: tokensMax } })
      }
    })
  )
})

layer(llama, { excludeTestServices: true })("a shape that is hard to keep", (it) => {
  it.effect("is kept though its only way out is forbidden, and the worker lives", () =>
    Effect.gen(function* () {
      const engine = yield* Llama
      const shape = { type: "grammar" as const, grammar: 'root ::= "{" [ab]{3} "}"' }
      const logitBias = Array.from({ length: 256 }, (_, byte) => [byte, -100] as const)
      const tokens = yield* answer(engine, asked("Say it.", { shape, logitBias, temperature: 1, seed: 1 }))
      expect(textOf(tokens)).toMatch(/^\{[ab]{3}\}$/)
      expect((yield* engine.counts).restarts).toBe(0)
    })
  )

  it.effect("is kept in text: not by a mark, whose name is text to a grammar, nor by half of a character", () =>
    Effect.gen(function* () {
      const engine = yield* Llama
      const mark = trainVocabulary().special["<|im_start|>"]
      const grammar = { type: "grammar" as const, grammar: 'root ::= "<|im_start|>" | "no"' }
      const biased = yield* answer(engine, asked("Say it.", { shape: grammar, logitBias: [[mark, 100]] }))
      expect(["<|im_start|>", "no"]).toContain(textOf(biased))
      const text = { type: "string", minLength: 6, maxLength: 6 }
      const logitBias = [..."\\ud8c"].map((letter) => [letter.charCodeAt(0), 90] as const)
      const seeds = Array.from({ length: 40 }, (_, seed) => seed)
      const texts = yield* Effect.forEach(
        seeds,
        (seed) => answerText(engine, asked("Say it.", { ...shaped(text), logitBias, temperature: 1, seed })),
        { concurrency: slotsMax }
      )
      expect(texts.filter((said) => said.includes("\\u")).length).toBeGreaterThan(9)
      for (const said of texts) expect([said, JSON.parse(said).isWellFormed()]).toEqual([said, true])
    })
  )

  it.effect("is refused with its reason when it cannot be kept, and nobody else notices", () =>
    Effect.gen(function* () {
      const engine = yield* Llama
      const refusal = (more: Parameters<typeof asked>[1]) => Effect.flip(answer(engine, asked("Say it.", more)))
      const unknown = yield* refusal(shaped({ type: "object", properties: { a: { type: "string", pattern: "^a" } } }))
      expect(unknown).toMatchObject({ part: "shape", reason: expect.stringContaining("`properties.a.pattern`") })
      const grammar = yield* refusal({ shape: { type: "grammar", grammar: 'root ::= "a" root | "b"' } })
      expect(grammar).toMatchObject({ part: "grammar", reason: expect.stringContaining("line 1") })
      const token = yield* refusal({ logitBias: [[1_000_000, 1]] })
      expect(token).toMatchObject({ part: "logitBias", reason: expect.stringContaining("no token 1000000") })
      expect((yield* engine.counts).restarts).toBe(0)
    })
  )
})

const tools = [
  {
    name: "look_up",
    description: "Looks it up.",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] }
  },
  {
    name: "look",
    parameters: { type: "object", properties: { at: { enum: ["left", "right"] }, often: { type: "integer" } } }
  },
  { name: "stop" }
]
const calling = (choice: ToolUse["choice"], isParallel = true, more: object = {}) => ({
  toolUse: { tools, choice, isParallel },
  // A line's end, after which the next call begins.
  logitBias: [...neverBytes, [10, 6] as const],
  answerTokensMax: 250,
  temperature: 1,
  ...more
})

/** Tools take room in the prompt. */
const roomy = Layer.effect(
  Llama,
  Effect.suspend(() => openLlama({ ...defaults, contextTokens: 1_400 }))
)

layer(roomy, { excludeTestServices: true })("an answer with tools", (it) => {
  it.effect("always parses, and names a given tool", () =>
    Effect.gen(function* () {
      const engine = yield* Llama
      const seeds = Array.from({ length: 24 }, (_, seed) => seed)
      const ends = yield* Effect.forEach(
        seeds,
        (seed) =>
          Effect.map(answer(engine, asked("Look.", calling("required", seed % 2 === 0, { seed }))), (tokens) => {
            const calls = callsOf(tokens)
            const { reason } = endOf(tokens)
            expect(textOf(tokens)).toBe("")
            expect(new Set(calls.map(({ id }) => id)).size).toBe(calls.length)
            for (const { arguments: given, name } of reason === "length" ? calls.slice(0, -1) : calls) {
              const tool = tools.find((one) => one.name === name)!
              const schema = tool.parameters ?? { type: "object", additionalProperties: false }
              expect([given, invalidity(schema, JSON.parse(given))]).toEqual([given, undefined])
            }
            if (seed % 2 !== 0) expect(calls.length).toBeLessThanOrEqual(1)
            return `${reason} ${Math.min(2, calls.length)}`
          }),
        { concurrency: slotsMax }
      )
      expect(new Set(ends)).toContain("tool-calls 1")
      expect(new Set(ends)).toContain("tool-calls 2")
    })
  )

  it.effect("calls the tool that is named, once, and stop strings are letters within a call", () =>
    Effect.gen(function* () {
      const engine = yield* Llama
      for (const seed of [1, 2, 3]) {
        const stop = ["{", "l", '"']
        const tokens = yield* answer(engine, asked("Look.", calling({ name: "look" }, true, { seed, stop })))
        expect(callsOf(tokens).map(({ name }) => name)).toEqual(["look"])
        expect(endOf(tokens).reason).toBe("tool-calls")
      }
    })
  )

  it.effect("is text where a model may choose and this one would not call, and its tools count in the prompt", () =>
    Effect.gen(function* () {
      const engine = yield* Llama
      const request = asked("Look.", calling("auto", true, { seed: 4, answerTokensMax: 60 }))
      const tokens = yield* answer(engine, request)
      expect(textOf(tokens)).not.toBe("")
      expect(callsOf(tokens)).toEqual([])
      expect(endOf(tokens).reason).not.toBe("tool-calls")
      const without = yield* answer(engine, asked("Look.", { answerTokensMax: 1 }))
      expect(endOf(tokens).usage.promptTokens).toBeGreaterThan(endOf(without).usage.promptTokens + 100)
    })
  )
})

/** What llama.cpp takes and refuses by a grammar, without a model. */
const accepting = async (grammar: string) => {
  const llama = await getLlama({ gpu: false, build: "never" })
  const made = await llama.createGrammar({ grammar })
  return (text: string) => (made as unknown as { _testText: (text: string) => boolean })._testText(text)
}

test("where a model may choose, it writes any text and calls at any place, but no broken call", async () => {
  const toolUse = { tools, choice: "auto" as const, isParallel: true }
  const takes = await accepting(Result.getOrThrow(answerGrammar(undefined, toolUse))!)
  const near = fc.constantFrom("<", "<tool_", "tool_call>", "<<", "<tool_call", "a", "漢", "{}", "\n", "</tool_call>")
  const said = fc.array(near, { maxLength: 12, size: "max" }).map((some) => some.join(""))
  const called = fc.array(fc.constantFrom('look_up", "arguments": {"city": "x"}', 'stop", "arguments": {}'), {
    maxLength: 3
  })
  fc.assert(
    fc.property(said, called, (said, called) => {
      fc.pre(!said.includes("<tool_call>"))
      const calls = called.map((one) => `<tool_call>\n{"name": "${one}}\n</tool_call>`)
      const whole = said + calls.join("\n")
      expect([whole, takes(whole)]).toEqual([whole, true])
      const broken = [
        `${said}<tool_call>`,
        `${said}<tool_call>x`,
        `${said}<tool_call>\n{"name": "else", "arguments": {}}`
      ]
      for (const text of broken) expect([text, takes(text)]).toEqual([text, false])
      if (calls.length > 0) expect([`${whole}x`, takes(`${whole}x`)]).toEqual([`${whole}x`, false])
    })
  )
  const shape = { type: "json-object" } as const
  const either = await accepting(Result.getOrThrow(answerGrammar(shape, toolUse))!)
  const call = '<tool_call>\n{"name": "stop", "arguments": {}}\n</tool_call>'
  const both = [call, '{"a": [1, 2.5e3, null]}', "Sure.", `{}${call}`]
  expect(both.map(either)).toEqual([true, true, false, false])
})

function callsOf(tokens: ReadonlyArray<Token>) {
  const calls: Array<{ id: string; name: string; arguments: string }> = []
  for (const token of tokens) {
    if (token.type !== "call") continue
    const { arguments: more, id = "", index, name = "" } = token
    const before = calls[index] ?? { id, name, arguments: "" }
    calls[index] = { ...before, arguments: before.arguments + more }
  }
  return calls
}
