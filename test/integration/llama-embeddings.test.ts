/** Vectors by a real llama.cpp, of random models. */
import { join } from "node:path"
import { it, layer } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { expect } from "vitest"
import { small, writeRandomModel } from "../../models/random-model.ts"
import type { EmbeddingInput, Token } from "../../src/inference/engine.ts"
import { type LlamaEngine, openLlama } from "../../src/inference/llama.ts"
import { answering, answerText, asked, defaults, directory, Llama, llama, slotsMax, until } from "./llama-harness.ts"

const requestOf = (inputs: ReadonlyArray<EmbeddingInput>, dimensions?: number) => ({
  id: "embd-1",
  user: "ann",
  inputs,
  ...(dimensions !== undefined && { dimensions })
})
const embed = (engine: LlamaEngine, ...inputs: ReadonlyArray<EmbeddingInput>) =>
  Stream.runCollect(engine.embed!(requestOf(inputs)))
const vectorsOf = (tokens: ReadonlyArray<Token>) =>
  tokens.flatMap((token) => {
    if (token.type !== "vector") return []
    const bytes = Buffer.from(token.vector, "base64")
    return [Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i))]
  })
const lengthOf = (vector: ReadonlyArray<number>) => Math.hypot(...vector)
const closeness = (a: ReadonlyArray<number>, b: ReadonlyArray<number>) =>
  a.reduce((sum, value, i) => sum + value * b[i]!, 0)

const long = "What was said of the sea, and of those who sail on it. ".repeat(12)

layer(llama, { excludeTestServices: true })("vectors", (it) => {
  it.effect("of a text are the same every time, of length 1, and of another text are others", () =>
    Effect.gen(function* () {
      const engine = yield* Llama
      const texts = ["Hello!", "How are you?", long, "你好"]
      const first = yield* embed(engine, ...texts)
      const vectors = vectorsOf(first)
      expect(vectors).toHaveLength(texts.length)
      for (const vector of vectors) expect(lengthOf(vector)).toBeCloseTo(1, 5)
      const pairs = vectors.flatMap((a, i) => vectors.slice(i + 1).map((b) => closeness(a, b)))
      for (const close of pairs) expect(close).toBeLessThan(0.999)
      // Alone, in another order, and beside answers.
      expect(vectorsOf(yield* embed(engine, long))).toEqual([vectors[2]])
      expect(vectorsOf(yield* embed(engine, ...texts.toReversed()))).toEqual(vectors.toReversed())
      const fiber = yield* answering(engine, "Tell me a story.")
      expect(vectorsOf(yield* embed(engine, ...texts))).toEqual(vectors)
      yield* Fiber.interrupt(fiber)
    })
  )

  it.effect("of a text and of its tokens are the same, and counted exactly", () =>
    Effect.gen(function* () {
      const engine = yield* Llama
      const usageOf = (tokens: ReadonlyArray<Token>) => tokens.find((token) => token.type === "finish")!.usage
      const [one, two] = [yield* embed(engine, "one"), yield* embed(engine, "one", "one and two")]
      const { promptTokens } = usageOf(one)
      expect(promptTokens).toBeGreaterThan(0)
      expect(usageOf(two).promptTokens).toBeGreaterThan(2 * promptTokens)
      expect(usageOf(yield* embed(engine, "one", "one"))).toMatchObject({
        promptTokens: 2 * promptTokens,
        answerTokens: 0
      })
      const numbered = yield* embed(engine, [65, 66, 67])
      expect(vectorsOf(numbered)).toEqual(vectorsOf(yield* embed(engine, [65, 66, 67])))
      expect(usageOf(numbered).promptTokens).toBeGreaterThanOrEqual(3)
    })
  )

  it.effect("what cannot be is refused by its name: a text too long, an unknown token, other dimensions", () =>
    Effect.gen(function* () {
      const engine = yield* Llama
      const failing = (inputs: ReadonlyArray<EmbeddingInput>, dimensions?: number) =>
        Effect.flip(Stream.runDrain(engine.embed!(requestOf(inputs, dimensions))))
      expect(yield* failing(["short", long.repeat(20)])).toMatchObject({ _tag: "PromptTooLong", tokensMax: 512 })
      expect(yield* failing([[1, 2_000_000]])).toMatchObject({ _tag: "EngineRefused", part: "input" })
      expect(yield* failing(["short"], 7)).toMatchObject({ _tag: "EngineRefused", part: "dimensions" })
      const size = vectorsOf(yield* embed(engine, "short"))[0]!.length
      expect(vectorsOf(yield* Stream.runCollect(engine.embed!(requestOf(["short"], size))))).toHaveLength(1)
      expect(yield* answerText(engine, asked("And now?"))).not.toBe("")
    })
  )
})

layer(llama, { excludeTestServices: true })("vectors that nobody waits for any more", (it) => {
  it.effect("who hangs up frees the slot, and what is read beside answers stops", () =>
    Effect.gen(function* () {
      const engine = yield* Llama
      const texts = Array.from({ length: 200 }, (_, i) => `${i} ${long}`)
      for (let round = 0; round < slotsMax + 1; round++) {
        yield* Stream.runDrain(Stream.take(engine.embed!(requestOf(texts)), 2))
      }
      expect(vectorsOf(yield* embed(engine, "Hello!"))).toHaveLength(1)
    })
  )

  it.effect("of a worker that dies are lost, and the next one gives the same", () =>
    Effect.gen(function* () {
      const engine = yield* Llama
      const [before] = vectorsOf(yield* embed(engine, long))
      const pid = (yield* engine.workerPid)!
      const lost = yield* Effect.forkChild(
        Effect.flip(embed(engine, ...Array.from({ length: 400 }, (_, i) => `${i} ${long}`))),
        { startImmediately: true }
      )
      yield* Effect.sleep(50)
      process.kill(pid, "SIGKILL")
      expect(yield* Fiber.join(lost)).toMatchObject({ _tag: "EngineLost" })
      yield* until(Effect.map(engine.workerPid, (other) => other !== undefined && other !== pid))
      expect(vectorsOf(yield* embed(engine, long))).toEqual([before])
    })
  )
})

it.live("a file that asks for its last token's has the same, and one that asks for the mean writes only", () =>
  Effect.gen(function* () {
    const engineOf = Effect.fnUntraced(function* (poolingType?: number) {
      const pooled = join(directory, `pooling-${poolingType}.gguf`)
      yield* Effect.promise(() => writeRandomModel(pooled, { ...small, ...(poolingType && { poolingType }) }))
      return yield* openLlama({ ...defaults, file: pooled, slotsMax: 1 })
    })
    const [mean, last] = [1, 3]
    const vectors = vectorsOf(yield* embed(yield* engineOf(), "Hello!", long))
    expect(vectorsOf(yield* embed(yield* engineOf(last), "Hello!", long))).toEqual(vectors)
    const engine = yield* engineOf(mean)
    const refused = yield* Effect.flip(embed(engine, "Hello!"))
    expect(refused).toMatchObject({ _tag: "EngineRefused", part: "model" })
    expect(yield* answerText(engine, asked("Hello!"))).not.toBe("")
  })
)
