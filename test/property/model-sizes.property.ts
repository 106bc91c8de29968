/** What fits into a machine, for any machine. */
import fc from "fast-check"
import { expect, test } from "vitest"
import { type ModelShape, memoryNeeded } from "../../src/inference/memory-needed.ts"
import { bestOf, sizesThatFit } from "../../src/inference/model-sizes.ts"

const gibi = 2 ** 30
const machine = fc.record({
  freeBytes: fc.integer({ min: 0, max: 256 }).map((size) => size * gibi),
  bytesPerSecond: fc.integer({ min: 1, max: 2_000 }).map((tenths) => tenths * 1e8),
  cachedTokens: fc.integer({ min: 128, max: 1_000_000 })
})

test("S1: with more memory everything still fits that did", () => {
  fc.assert(
    fc.property(machine, fc.nat(64), (given, more) => {
      const fitting = sizesThatFit(given)
      const larger = sizesThatFit({ ...given, freeBytes: given.freeBytes + more * gibi })
      expect(larger).toEqual(expect.arrayContaining([...fitting]))
      for (const { bytes } of fitting) expect(bytes).toBeLessThanOrEqual(given.freeBytes)
      const [best, bestOfMore] = [bestOf(fitting), bestOf(larger)]
      if (best !== undefined && best.tokensPerSecond >= 5) {
        expect(bestOfMore!.parameters).toBeGreaterThanOrEqual(best.parameters)
      }
    })
  )
})

test("S2: a larger model is never said to be faster", () => {
  fc.assert(
    fc.property(machine, (given) => {
      const speeds = (["Q4_K_M", "Q8_0"] as const).map((quantisation) =>
        sizesThatFit(given).flatMap((size) => (size.quantisation === quantisation ? [size.tokensPerSecond] : []))
      )
      for (const each of speeds) expect(each).toEqual(each.toSorted((a, b) => b - a))
    })
  )
})

test("more slots, longer contexts and larger vocabularies never need less memory", () => {
  const shape: fc.Arbitrary<ModelShape> = fc.record({
    architecture: fc.constant("llama"),
    name: fc.constant(undefined),
    layers: fc.nat(100),
    embedding: fc.nat(8192),
    feedForward: fc.nat(30_000),
    vocabulary: fc.nat(300_000),
    cachedValues: fc.nat(500_000),
    trainedContext: fc.option(fc.integer({ min: 1, max: 131_072 }), { nil: undefined })
  })
  const sizes = fc.record({
    slots: fc.integer({ min: 1, max: 256 }),
    contextTokens: fc.integer({ min: 128, max: 1e6 })
  })
  fc.assert(
    fc.property(shape, sizes, fc.nat(64), fc.nat(100_000), (of, given, slots, tokens) => {
      const needed = (size: typeof given) => memoryNeeded(1e9, of, size).bytes
      expect(needed({ ...given, slots: given.slots + slots })).toBeGreaterThanOrEqual(needed(given))
      expect(needed({ ...given, contextTokens: given.contextTokens + tokens })).toBeGreaterThanOrEqual(needed(given))
    })
  )
})
