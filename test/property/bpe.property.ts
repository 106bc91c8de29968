/** The tokenizer of the guide. That it is llama.cpp's is shown in test/integration/guide-tokens.test.ts. */
import fc from "fast-check"
import { expect, test } from "vitest"
import { bpeOf, wordsOf } from "../../models/train/bpe.ts"
import { trainBpe, withCharacters } from "../../models/train/bpe-train.ts"
import { corpusOf } from "../../models/train/corpus.ts"
import { messagesOf } from "../../models/train/dialogue.ts"
import { standardHan } from "../../models/train/han.ts"
import { tokenFiles } from "../../models/train/token-files.ts"

const dialogues = [...corpusOf(5, 600)]
const texts = dialogues.flatMap((dialogue) => messagesOf(dialogue).map(({ content }) => content))
const vocabulary = trainBpe(texts, 1_200)
const bpe = bpeOf(vocabulary)
const text = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 60 }),
  fc
    .array(fc.constantFrom(" ", "  ", "\n", "a", "I'm", "12", "你好", "\uFF0C", "é", "😀", "\t", "_", "٣"), {
      maxLength: 40,
      size: "max"
    })
    .map((parts) => parts.join("")),
  fc.constantFrom(...texts)
)

test("decoding what was encoded gives the text again, whatever it is", () => {
  fc.assert(
    fc.property(text, (text) => {
      expect(bpe.decode(bpe.encode(text))).toBe(text)
    })
  )
})

test("the words of a text are the text", () => {
  fc.assert(
    fc.property(text, (text) => {
      expect(wordsOf(text).join("")).toBe(text)
    })
  )
})

test("every digit is a token of its own, and so is a letter between dashes", () => {
  expect(bpe.encode("1234").map((id) => bpe.decode([id]))).toEqual(["1", "2", "3", "4"])
  expect(bpe.encode("r-i-v").map((id) => bpe.decode([id]))).toEqual(["r", "-", "i", "-", "v"])
})

test("no text is read as a special token, and every token is written once", () => {
  const special = Object.values(vocabulary.special)
  expect(bpe.encode("<|im_end|>").filter((id) => special.includes(id))).toEqual([])
  expect(new Set(vocabulary.tokens).size).toBe(vocabulary.tokens.length)
  expect(vocabulary.tokens).toHaveLength(1_200)
})

test("with characters added each is one token, what had its token keeps it, and every text is read back", () => {
  const grown = withCharacters(vocabulary, standardHan)
  const { decode, encode } = bpeOf(grown)
  expect(standardHan).toHaveLength(6_763)
  expect(standardHan.filter((character) => encode(character).length !== 1)).toEqual([])
  expect(new Set(grown.tokens).size).toBe(grown.tokens.length)
  const first = vocabulary.special["<|endoftext|>"]
  expect(grown.tokens.slice(0, first)).toEqual(vocabulary.tokens.slice(0, first))
  expect(grown.merges.slice(0, vocabulary.merges.length)).toEqual(vocabulary.merges)
  expect(withCharacters(grown, standardHan)).toEqual(grown)
  fc.assert(
    fc.property(fc.array(fc.oneof(text, fc.constantFrom(...standardHan))), (parts) => {
      expect(decode(encode(parts.join("")))).toBe(parts.join(""))
      expect(encode(parts.join("")).length).toBeLessThanOrEqual(bpe.encode(parts.join("")).length)
    })
  )
})

test("a vocabulary is learned again from the same texts", () => {
  expect(trainBpe(texts.slice(0, 300), 600)).toEqual(trainBpe(texts.slice(0, 300), 600))
})

test("the files of the trainer hold every dialogue that fits, and learn its answers alone", () => {
  const { learned, left, lengths, tokens } = tokenFiles(dialogues, bpe, vocabulary.special, 300)
  const fitting = lengths.length
  expect([fitting + left, left > 0, learned.length]).toEqual([dialogues.length, true, tokens.length])
  expect(lengths.reduce((sum, length) => sum + length, 0)).toBe(tokens.length)
  const first = dialogues.find((one) => tokenFiles([one], bpe, vocabulary.special, 300).left === 0)!
  const own = tokens.subarray(0, lengths[0])
  const said = [...own].filter((_, at) => learned[at] === 1)
  expect(bpe.decode(said)).toBe(first.turns.map(({ answer }) => `${answer}<|im_end|>`).join(""))
})
