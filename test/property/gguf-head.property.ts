/** The head of a GGUF file, against the writer's, and against bytes that nobody wrote. */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import fc from "fast-check"
import { GgufFileType } from "node-llama-cpp"
import { afterAll, beforeAll, expect, test } from "vitest"
import { encodeGguf, type GgufValue } from "../../models/gguf.ts"
import { writeRandomModel } from "../../models/random-model.ts"
import { parseGgufHead, readGgufHead } from "../../src/inference/gguf-head.ts"

const dir = mkdtempSync(join(tmpdir(), "parley-head-"))
const model = join(dir, "random.gguf")
beforeAll(() => writeRandomModel(model))
afterAll(() => rmSync(dir, { recursive: true }))

const value: fc.Arbitrary<GgufValue> = fc.oneof(
  fc.record({ type: fc.constant("u32" as const), value: fc.nat() }),
  fc.record({ type: fc.constant("f32" as const), value: fc.float({ noNaN: true }) }),
  fc.record({ type: fc.constant("bool" as const), value: fc.boolean() }),
  fc.record({ type: fc.constant("string" as const), value: fc.string({ unit: "grapheme" }) }),
  fc.record({ type: fc.constant("i32[]" as const), value: fc.array(fc.integer(), { maxLength: 40 }) }),
  fc.record({ type: fc.constant("string[]" as const), value: fc.array(fc.string(), { minLength: 1, maxLength: 40 }) })
)
const metadata = fc.dictionary(fc.stringMatching(/^[a-z][a-z._]{0,20}$/), value, { maxKeys: 20 })
const tensors = fc.array(fc.record({ blocks: fc.integer({ min: 1, max: 8 }), rows: fc.integer({ min: 1, max: 5 }) }), {
  maxLength: 6
})
const encoded = (pairs: Record<string, GgufValue>, shapes: ReadonlyArray<{ blocks: number; rows: number }>) =>
  encodeGguf(
    pairs,
    shapes.map(({ blocks, rows }, i) => ({
      name: `t${i}`,
      dimensions: [blocks * 32, rows],
      type: "Q8_0",
      data: Buffer.alloc(blocks * rows * 34)
    }))
  )

test("H1: any bytes at all give a head or a sentence; nothing is allocated that the bytes do not hold", () => {
  fc.assert(
    fc.property(
      metadata,
      tensors,
      fc.uint8Array({ minLength: 1, maxLength: 12 }),
      fc.nat(),
      (pairs, shapes, bad, at) => {
        const bytes = encoded(pairs, shapes)
        bytes.set(bad.subarray(0, bytes.length - (at % bytes.length)), at % bytes.length)
        const head = parseGgufHead(bytes)
        if (head !== "longer" && !("problem" in head)) expect(head.endBytes).toBeLessThanOrEqual(2 ** 54)
      }
    ),
    { numRuns: 2_000 }
  )
  const u64 = (count: bigint) => Buffer.from(BigUint64Array.of(count).buffer)
  const head = (...parts: ReadonlyArray<Buffer>) => Buffer.concat([Buffer.from("GGUF\x03\0\0\0"), ...parts])
  for (const lie of [2n ** 63n, 2n ** 53n, 2n ** 40n, 10_000_000n]) {
    expect(parseGgufHead(head(u64(lie), u64(0n)))).toMatchObject({ problem: expect.any(String) })
    expect(parseGgufHead(head(u64(0n), u64(1n), u64(lie)))).toSatisfy((is) => is === "longer" || "problem" in is)
  }
})

test("H2: what a writer was told comes back", () => {
  fc.assert(
    fc.property(metadata, tensors, (pairs, shapes) => {
      const bytes = encoded(pairs, shapes)
      const head = parseGgufHead(bytes)
      if (head === "longer" || "problem" in head) throw new Error(JSON.stringify(head))
      for (const [key, { type, value }] of Object.entries(pairs)) {
        if (key === "general.alignment") continue
        if (type === "string[]") expect(head.listLengths.get(key)).toBe(value.length)
        else expect(head.metadata.get(key)).toEqual(value)
      }
      expect(head.parameters).toBe(shapes.reduce((sum, { blocks, rows }) => sum + 32 * blocks * rows, 0))
      expect(head.endBytes).toBeLessThanOrEqual(bytes.length)
    })
  )
})

test("H3: a file that ends before its last tensor does is known by its head", async () => {
  const whole = await Effect.runPromise(readGgufHead(model))
  // Embedding, six layers of two norms, four matrices of attention and three behind it, and the last norm.
  const parameters = 128 * 479 + 6 * (2 * 128 + 2 * 128 ** 2 + 2 * 128 * 64 + 3 * 128 * 384) + 128
  expect(whole.head).toMatchObject({ parameters, quantisation: "Q8_0" })
  expect(whole.head.endBytes).toBeLessThanOrEqual(whole.fileBytes)
  expect(whole.fileBytes - whole.head.endBytes).toBeLessThan(32)
  truncateSync(model, whole.fileBytes - 1024)
  const cut = await Effect.runPromise(readGgufHead(model))
  expect(cut.fileBytes).toBeLessThan(cut.head.endBytes)
  truncateSync(model, 2000)
  expect(await Effect.runPromise(Effect.flip(readGgufHead(model)))).toEqual({
    problem: "is cut off: its head is not whole"
  })
  writeFileSync(model, `GGUF${"x".repeat(4096)}`)
  expect(await Effect.runPromise(Effect.flip(readGgufHead(model)))).toEqual({
    problem: "is GGUF of version 2021161080; 2 and 3 are known"
  })
})

test("the names of the mixtures are llama.cpp's", () => {
  const codes = Object.values(GgufFileType).filter((value) => typeof value === "number")
  expect(codes.length).toBeGreaterThan(30)
  const removed = [4, 5, 6, 33, 34, 35]
  for (const code of codes.filter((code) => !removed.includes(code))) {
    const head = parseGgufHead(encodeGguf({ "general.file_type": { type: "u32", value: code } }, []))
    const name = GgufFileType[code]?.replace(/^(MOSTLY|ALL)_|_MOE$/g, "")
    expect([code, head]).toMatchObject([code, { quantisation: name }])
  }
})
