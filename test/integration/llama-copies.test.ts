/** Copies of a sequence, by a real llama.cpp: what follows from them is the same to the last bit. */
import { getLlama, LlamaLogLevel, type LlamaModel } from "node-llama-cpp"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { builtIn } from "../../src/inference/models.ts"
import { copiesOf } from "../../src/inference/worker/copies.ts"
import { type Internals, internalsOf } from "../../src/inference/worker/internals.ts"
import { file } from "./llama-harness.ts"

const tokens = Array.from({ length: 300 }, (_, i) => 20 + ((i * 7_919) % 280))

/** Steps of another size are rounded in another way: the logits of the random model differ by up to 0.02 then. */
const stepTokens = 50

for (const [name, path] of [
  ["the guide", () => builtIn.file],
  ["a random model", () => file]
] as const) {
  describe(name, () => {
    const bench = openBench(path)

    test("it can copy and cut", () => {
      expect(bench.copies).toMatchObject({ canCopy: true, canCut: true })
    })

    test("a copy, whole or in part, in another sequence, while the first has gone on", async () => {
      const { clear, copies, decoded, prefilled } = bench
      await prefilled(0, 200)
      const copy = await copies.copy(0, 200)
      const expected = await decoded(0, 200, 240)
      expect(expected.logits?.length).toBeGreaterThanOrEqual(2 * 20)
      await prefilled(3, 150)
      const expectedOfPart = await decoded(3, 150, 190)
      expect(expectedOfPart).not.toEqual(expected)
      for (const id of [1, 3, 0]) {
        clear(id)
        expect(await copies.restore(copy!, 200, id)).toBe(true)
        expect(await decoded(id, 200, 240)).toEqual(expected)
        clear(id)
        expect(await copies.restore(copy!, 150, id)).toBe(true)
        expect(await decoded(id, 150, 190)).toEqual(expectedOfPart)
      }
      copy!.free()
      expect(await copies.restore(copy!, 200, 1)).toBe(false)
    })

    test("what is left of a sequence when its end is cut off", async () => {
      const { copies, decoded, prefilled } = bench
      await prefilled(0, 150)
      const expected = await decoded(0, 150, 190)
      await prefilled(0, 250)
      expect(copies.cut(0, 150)).toBe(true)
      expect(await decoded(0, 150, 190)).toEqual(expected)
    })

    // What is in its cells comes with that step: a copy before it would have other values, and nobody would object.
    test("a copy of a sequence that was moved, after the step that moved it", async () => {
      const { clear, context, copies, decoded, prefilled } = bench
      await prefilled(0, 200)
      clear(2)
      await context.copySequenceStateFromOtherSequence(2, 0)
      const expected = await decoded(0, 200, 240)
      const copy = await copies.copy(2, 200)
      clear(1)
      expect(await copies.restore(copy!, 200, 1)).toBe(true)
      expect(await decoded(1, 200, 240)).toEqual(expected)
      copy!.free()
    })
  })
}

interface Bench {
  readonly context: Internals["context"]
  readonly copies: Awaited<ReturnType<typeof copiesOf>>
  readonly clear: (id: number) => void
  /** Decodes tokens in one step, and returns the likeliest after the last with their exact logits. */
  readonly decoded: (
    id: number,
    from: number,
    to: number
  ) => Promise<{ readonly token: unknown; readonly logits: ReadonlyArray<number> | undefined }>
  readonly prefilled: (id: number, tokens: number) => Promise<void>
}

/** Filled in when the tests begin. */
function openBench(path: () => string): Bench {
  const bench = {} as { -readonly [K in keyof Bench]: Bench[K] }
  let model: LlamaModel
  beforeAll(async () => {
    const llama = await getLlama({ gpu: false, build: "never", maxThreads: 1, logLevel: LlamaLogLevel.error })
    model = await llama.loadModel({ modelPath: path() })
    const opened = await model.createContext({ sequences: 4, contextSize: 512, batchSize: 256, threads: 1 })
    const internals = internalsOf(llama, model, opened)
    const { context } = internals
    bench.context = context
    bench.copies = await copiesOf(internals)
    bench.clear = (id) => context.disposeSequence(id)
    bench.decoded = decoderOf(internals)
    bench.prefilled = async (id, count) => {
      bench.clear(id)
      for (let from = 0; from < count; from += stepTokens) await bench.decoded(id, from, from + stepTokens)
    }
  })
  afterAll(() => model.dispose())
  return bench
}

function decoderOf({ context, newSampler }: Internals): Bench["decoded"] {
  return async (id, from, to) => {
    context.initBatch(to - from)
    const some = Uint32Array.from(tokens.slice(from, to))
    const [at] = context.addToBatch(id, from, some, Uint32Array.of(some.length - 1))
    await context.decodeBatch()
    const sampler = newSampler()
    sampler.applyConfig({ ...greedy, temperature: 0 })
    const sampleToken = context.sampleToken as unknown as (...all: Array<unknown>) => Promise<Array<unknown>>
    const [token, , , logits] = await sampleToken.call(context, at, sampler, false, false, [[], true, true, true, 20])
    sampler.dispose()
    return { token, logits: logits as ReadonlyArray<number> | undefined }
  }
}

const greedy = {
  topK: 40,
  topP: 0.95,
  minP: 0,
  seed: 0,
  repeatPenaltyTokens: new Uint32Array(),
  repeatPenaltyMaxTokens: 0,
  repeatPenalty: 1,
  repeatPenaltyFrequencyPenalty: 0,
  repeatPenaltyPresencePenalty: 0,
  tokenBiasKeys: new Uint32Array(),
  tokenBiasValues: new Float32Array()
}
