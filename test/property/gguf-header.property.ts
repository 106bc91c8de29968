/** What is read of a GGUF file, whole, cut short and garbled. */
import fc from "fast-check"
import { GgufFileType } from "node-llama-cpp"
import { expect, test } from "vitest"
import { encodeGguf, type GgufValue } from "../../src/inference/gguf.ts"
import { type GgufHeader, parseGgufHeader } from "../../src/inference/gguf-header.ts"

const metadata = fc.dictionary(
  fc.stringMatching(/^[a-z]{1,8}\.[a-z_]{1,8}$/),
  fc.oneof<fc.Arbitrary<GgufValue>[]>(
    fc.nat().map((value) => ({ type: "u32", value })),
    fc.float({ noNaN: true }).map((value) => ({ type: "f32", value })),
    fc.boolean().map((value) => ({ type: "bool", value })),
    fc.string({ unit: "binary" }).map((value) => ({ type: "string", value })),
    fc.array(fc.nat()).map((value) => ({ type: "i32[]", value })),
    fc.array(fc.string()).map((value) => ({ type: "string[]", value }))
  ),
  { maxKeys: 8 }
)
const model = fc
  .record({
    metadata,
    contextTokens: fc.nat(),
    shapes: fc.array(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 4 }), { maxLength: 5 })
  })
  .map(({ contextTokens, metadata, shapes }) => ({
    contextTokens,
    shapes,
    bytes: encodeGguf(
      {
        ...metadata,
        "general.architecture": { type: "string", value: "llama" },
        "general.file_type": { type: "u32", value: 15 },
        "llama.context_length": { type: "u32", value: contextTokens }
      },
      shapes.map((dimensions, at) => ({ name: `t${at}`, dimensions, type: "F32", data: new Uint8Array(8) }))
    )
  }))

test("what was written is read, whatever else the file says", () => {
  fc.assert(
    fc.property(model, ({ bytes, contextTokens, shapes }) => {
      const parameters = shapes.reduce((sum, shape) => sum + shape.reduce((product, size) => product * size, 1), 0)
      const said: GgufHeader = { architecture: "llama", quantisation: "Q4_K_M", parameters, contextTokens }
      expect(parseGgufHeader(bytes)).toEqual(said)
    })
  )
})

test("a header that is cut short is none, wherever it is cut", () => {
  fc.assert(
    fc.property(model, fc.nat(), ({ bytes, shapes }, at) => {
      // The data of the tensors lies at the end, and is not read.
      const header = bytes.length - shapes.length * 32 - 32
      fc.pre(header > 0)
      expect(parseGgufHeader(bytes.subarray(0, at % header))).toBe(undefined)
    })
  )
})

test("any bytes at all are read to an end", () => {
  const garbled = fc
    .tuple(model, fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 16 }))
    .map(([{ bytes }, at, noise]) => {
      const copy = Buffer.from(bytes)
      copy.set(noise.subarray(0, copy.length - (at % copy.length)), at % copy.length)
      return copy
    })
  fc.assert(fc.property(garbled, (bytes) => void parseGgufHeader(bytes)))
})

test("the names of the types are llama.cpp's", () => {
  const codes = Object.values(GgufFileType).filter((value) => typeof value === "number")
  expect(codes.length).toBeGreaterThan(30)
  const removed = [4, 5, 6, 33, 34, 35]
  for (const code of codes.filter((code) => !removed.includes(code))) {
    const bytes = encodeGguf({ "general.file_type": { type: "u32", value: code } }, [])
    const name = GgufFileType[code]?.replace(/^(MOSTLY|ALL)_|_MOE$/g, "")
    expect([code, parseGgufHeader(bytes)?.quantisation]).toEqual([code, name])
  }
})
