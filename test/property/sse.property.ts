/** The reader of server-sent events: a chunk is an accident of the network, and means nothing. */
import fc from "fast-check"
import { expect, test } from "vitest"
import { readSse, type SseEvent, sseReader } from "../../src/inference/sse.ts"

const lineMax = 60
const value = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 12 }).map((text) => text.replace(/[\r\n]/g, "")),
  fc.constantFrom("[DONE]", "", " two spaces", "a:b", '{"text":"🙂é漢"}')
)
const line = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constantFrom("data: ", "data:", "event: ", "id: ", ": ", ":", ""), value) },
  { weight: 3, arbitrary: fc.constant(["", ""] as const) },
  { weight: 1, arbitrary: fc.constantFrom(["data", ""] as const, ["data:", "x".repeat(lineMax + 1)] as const) }
)
const source = fc
  .tuple(fc.array(fc.tuple(line, fc.constantFrom("\n", "\r\n", "\r")), { maxLength: 40, size: "max" }), fc.boolean())
  .map(
    ([lines, hasBom]) => (hasBom ? "\uFEFF" : "") + lines.map(([[field, value], end]) => field + value + end).join("")
  )
const cuts = fc.array(fc.nat(), { maxLength: 60, size: "max" })

function read(chunks: ReadonlyArray<Uint8Array>): { events: ReadonlyArray<SseEvent>; isOverlong: boolean } {
  const reader = sseReader(lineMax)
  const events = chunks.flatMap((chunk) => readSse(reader, chunk))
  return { events, isOverlong: reader.isOverlong }
}

function chunksOf(bytes: Uint8Array, cuts: ReadonlyArray<number>): ReadonlyArray<Uint8Array> {
  const places = cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b)
  return [...places, bytes.length].map((end, index) => bytes.subarray(places[index - 1] ?? 0, end))
}

/** The standard, read naively, of a whole text. */
function reference(text: string): ReadonlyArray<SseEvent> {
  const blocks = text
    .replace(/^\uFEFF/, "")
    .replace(/\r\n?/g, "\n")
    .split(/(?<=\n|^)\n/)
    .slice(0, -1)
  return blocks.flatMap((block) => {
    const fields = block.split("\n").map((line) => /^([^:]*):? ?(.*)$/s.exec(line)!)
    const data = fields.filter(([line, name]) => line !== "" && name === "data").map(([, , value]) => value)
    const event = fields.findLast(([, name]) => name === "event")?.[2] ?? ""
    return data.length === 0 ? [] : [{ event, data: data.join("\n") }]
  })
}

test("any chunking of the same bytes gives the same events", () => {
  fc.assert(
    fc.property(source, cuts, (source, cuts) => {
      const bytes = new TextEncoder().encode(source)
      const whole = read([bytes])
      expect(read(chunksOf(bytes, cuts))).toEqual(whole)
      expect(read([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual(whole)
    }),
    { numRuns: 300 }
  )
})

test("the events are those of the standard, up to what is too long", () => {
  fc.assert(
    fc.property(source, (source) => {
      const { events, isOverlong } = read([new TextEncoder().encode(source)])
      const expected = reference(source)
      expect(events).toEqual(isOverlong ? expected.slice(0, events.length) : expected)
      if (expected.some(({ data }) => data.length > lineMax)) expect(isOverlong).toBe(true)
    }),
    { numRuns: 300 }
  )
})

test("a line without an end is not kept for ever", () => {
  const reader = sseReader(lineMax)
  const chunk = new TextEncoder().encode("data: ".padEnd(50, "x"))
  expect(readSse(reader, chunk)).toEqual([])
  expect(reader.isOverlong).toBe(false)
  for (let count = 0; count < 1_000; count++) readSse(reader, chunk)
  expect(reader.isOverlong).toBe(true)
  expect(reader.rest.length).toBeLessThan(200)
})

test("the sources above reach every kind of event, and what is too long", () => {
  const sources = fc.sample(source, { numRuns: 300, seed: 1 }).map((source) => ({
    source,
    ...read([new TextEncoder().encode(source)])
  }))
  const events = sources.flatMap(({ events }) => events)
  expect(new Set(sources.map(({ isOverlong }) => isOverlong))).toEqual(new Set([true, false]))
  expect(events.some(({ data }) => data.includes("\n"))).toBe(true)
  expect(events.some(({ data }) => data === "")).toBe(true)
  expect(events.some(({ data }) => data.startsWith(" "))).toBe(true)
  expect(events.some(({ data }) => /[^\0-\x7f]/.test(data))).toBe(true)
  expect(events.some(({ event }) => event !== "")).toBe(true)
})
