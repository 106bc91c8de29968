import fc from "fast-check"
import { expect, test } from "vitest"
import { answerText } from "../../src/inference/worker/answer-text.ts"

// Few letters, so that stop strings happen; characters of one to four bytes, and bytes that are none.
const letter = fc.constantFrom("a", "b")
const character = fc.oneof(letter, fc.constantFrom("é", "你", "好", "😀", "😁", "\n"))
const word = fc.string({ unit: fc.oneof({ weight: 4, arbitrary: letter }, character), minLength: 1, maxLength: 4 })
const stops = fc.array(word, { maxLength: 3 })
const junk = fc.constantFrom([0x80], [0xff], [0xe4], [0xe4, 0xbd], [0xf0, 0x9f, 0x98], [0], [0xef, 0xbf, 0xbd])
const piece = fc.oneof(
  { weight: 8, arbitrary: character.map((c) => [...Buffer.from(c)]) },
  { weight: 1, arbitrary: junk }
)
const answers = fc.array(piece, { maxLength: 40, size: "max" }).map((pieces) => Uint8Array.from(pieces.flat()))
// Mostly as short as tokens are; sometimes so long that several stop strings are in one.
const cuts = fc.infiniteStream(fc.oneof(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 40 })))

function tokensOf(bytes: Uint8Array, cuts: Iterator<number>): ReadonlyArray<Uint8Array> {
  const tokens: Array<Uint8Array> = []
  for (let at = 0; at < bytes.length; ) {
    const length = cuts.next().value!
    tokens.push(bytes.subarray(at, at + length))
    at += length
  }
  return tokens
}

function show(tokens: ReadonlyArray<Uint8Array>, stop: ReadonlyArray<string>, until?: string) {
  const answer = answerText(stop, until)
  const pieces: Array<string> = []
  for (const token of tokens) if (!answer.isStopped()) pieces.push(answer.push(token))
  const isStopped = answer.isStopped()
  return { pieces: [...pieces, answer.end()], isStopped }
}

/** Ten lines that read the whole answer at once. */
function reference(bytes: Uint8Array, stop: ReadonlyArray<string>): string {
  const text = [...new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes)]
    .filter((c) => c !== "\uFFFD" && (c >= " " || c === "\n"))
    .join("")
  for (let end = 0; end <= text.length; end++) {
    const found = stop.filter((s) => text.slice(0, end).endsWith(s)).toSorted((a, b) => b.length - a.length)[0]
    if (found !== undefined) return text.slice(0, end - found.length)
  }
  return text
}

test("X1: however the bytes are cut into tokens, the text is the same", () => {
  fc.assert(
    fc.property(answers, stops, cuts, cuts, (bytes, stop, some, others) => {
      const once = show(tokensOf(bytes, some), stop)
      const again = show(tokensOf(bytes, others), stop)
      expect(again.pieces.join("")).toBe(once.pieces.join(""))
      expect(again.isStopped).toBe(once.isStopped)
    })
  )
})

test("X2: every piece is whole: no half of a code point, no U+FFFD", () => {
  fc.assert(
    fc.property(answers, stops, cuts, (bytes, stop, cuts) => {
      for (const piece of show(tokensOf(bytes, cuts), stop).pieces) {
        expect(piece.isWellFormed()).toBe(true)
        expect(piece).not.toMatch(/[\0\uFFFD]/)
      }
    })
  )
})

test("X3: the text ends before the stop string that is complete first; nothing of it is shown, and nothing after it", () => {
  fc.assert(
    fc.property(answers, stops, cuts, (bytes, stop, cuts) => {
      expect(show(tokensOf(bytes, cuts), stop).pieces.join("")).toBe(reference(bytes, stop))
    }),
    { numRuns: 2_000 }
  )
})

test("X4: what is held back could still become a stop string or a character", () => {
  fc.assert(
    fc.property(fc.string({ unit: character, maxLength: 40, size: "max" }), stops, (text, stop) => {
      const answer = answerText(stop)
      const shown = answer.push(Buffer.from(text))
      if (answer.isStopped()) return
      const held = text.slice(shown.length)
      expect(held === "" || stop.some((s) => s.startsWith(held))).toBe(true)
    })
  )
})

test("the answers above are stopped and not, held back and not", () => {
  const shown = fc.sample(fc.tuple(answers, stops, cuts), { numRuns: 300, seed: 1 }).map(([bytes, stop, cuts]) => ({
    stop,
    ...show(tokensOf(bytes, cuts), stop)
  }))
  expect(new Set(shown.map(({ isStopped }) => isStopped))).toEqual(new Set([true, false]))
  expect(shown.some(({ isStopped, pieces }) => !isStopped && pieces.at(-1) !== "")).toBe(true)
})

const x5 = "X5: from the text `until` on, which is shown, stop strings are letters like any other; within it as well"
test(x5, () => {
  const pieces = fc.array(fc.oneof(fc.constantFrom("<ab>", "<a", "<", ">"), character), { maxLength: 30, size: "max" })
  const marked = fc.oneof(word, fc.constantFrom("<", "a<", "b>", "<a", "<ab>a", "ab>"))
  fc.assert(
    fc.property(pieces, fc.array(marked, { maxLength: 3 }), cuts, (some, stop, lengths) => {
      const text = some.join("")
      const mark = text.indexOf("<ab>")
      const before = mark < 0 ? text : text.slice(0, mark)
      const shown = show(tokensOf(Buffer.from(text), lengths), stop, "<ab>")
      const expected = reference(Buffer.from(before), stop)
      expect(shown.pieces.join("")).toBe(expected.length < before.length ? expected : text)
    })
  )
})
