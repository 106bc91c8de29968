/** Weights as files: what is written is read, and what is quantised is near. */
import { expect, test } from "vitest"
import { trainBpe } from "../../models/train/bpe-train.ts"
import { answerOf } from "../../models/train/facts.ts"
import { guideFile, quantized } from "../../models/train/guide-file.ts"
import { heldOutNameDialogues, heldOutQuestions } from "../../models/train/held-out.ts"
import { fixedIntents } from "../../models/train/questions.ts"
import { judge, linesOf, tableOf, wholeTest } from "../../models/train/scoring.ts"
import { decodeWeights, encodeWeights } from "../../models/train/weights.ts"
import { randomWeights } from "../integration/guide-weights.ts"

const vocabulary = trainBpe(["Hello, hello, hello! 你好"], 280)

test("weights that are written are read", () => {
  const weights = randomWeights(vocabulary.tokens.length)
  expect(decodeWeights(encodeWeights(weights))).toEqual(weights)
})

test("a missing or misshapen tensor is named", () => {
  const weights = randomWeights(vocabulary.tokens.length)
  const without = { ...weights, tensors: weights.tensors.filter(({ name }) => name !== "blk.1.ffn_up.weight") }
  expect(() => guideFile(without, vocabulary)).toThrow("blk.1.ffn_up.weight is [missing]")
  expect(() => guideFile(randomWeights(7), vocabulary)).toThrow("token_embd.weight is [7,64]")
})

test("Q8_0 is within half a step of each weight", () => {
  const values = Float32Array.from({ length: 96 }, (_, i) => Math.sin(i) * (1 + (i >> 5)))
  values.fill(0, 64)
  const bytes = Buffer.from(quantized(values))
  expect(bytes).toHaveLength(3 * 34)
  values.forEach((value, i) => {
    const start = (i >> 5) * 34
    const scale = new Float16Array(Uint16Array.of(bytes.readUInt16LE(start)).buffer)[0]!
    expect(Math.abs(scale * bytes.readInt8(start + 2 + (i % 32)) - value)).toBeLessThanOrEqual(scale * 0.6)
  })
})

test("the held-out test is as large as it must be, and asks each thing once", () => {
  const of = (language: string, isOutside: boolean) =>
    heldOutQuestions.filter((one) => one.language === language && (one.intent === "outside") === isOutside).length
  expect(of("en", false)).toBeGreaterThanOrEqual(200)
  expect(of("zh", false)).toBeGreaterThanOrEqual(100)
  for (const language of ["en", "zh"]) expect(of(language, true)).toBeGreaterThanOrEqual(60)
  expect(heldOutNameDialogues.length).toBeGreaterThanOrEqual(30)
  for (const { asked } of heldOutNameDialogues) expect(asked.length).toBeGreaterThanOrEqual(6)
  const asked = heldOutQuestions.map(({ asked }) => asked.join("\n"))
  expect(asked.filter((one, nth) => asked.indexOf(one) !== nth)).toEqual([])
})

test("the right answer passes the held-out test, and a refusal does not", () => {
  const fixed = wholeTest().filter(({ intent }) => fixedIntents.includes(intent))
  expect(fixed.length).toBeGreaterThan(150)
  for (const one of fixed) {
    const isRight = (id: string) => judge(one, answerOf(id, one.language), true).isRight
    expect([one.asked, isRight(one.intent)]).toEqual([one.asked, true])
    expect([one.asked, isRight("outside")]).toEqual([one.asked, false])
  }
})

test("the result of a sum is its last number, and too little fails", () => {
  const test = wholeTest()
  const sum = test.find(({ wanted }) => wanted[0]?.includes("41"))!
  const judged = [
    judge(sum, "14 + 27: ones 4 + 7 = 11, tens 1 + 2 + 1 = 4. So 41.", true),
    judge(sum, "41 or 42.", true)
  ]
  expect(judged.map(({ isRight }) => isRight)).toEqual([true, false])
  const lines = linesOf(test.map((asked) => judge(asked, "no", false)))
  expect(tableOf(lines)).toMatch(/^inside en +0 of +2\d\d +0\.0 %, too few \(85 %\)$/m)
})
