/** llama.cpp reads the guide's file, and tokens as the corpus was encoded. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { getLlama } from "node-llama-cpp"
import { afterAll, expect, test } from "vitest"
import { bpeOf } from "../../models/train/bpe.ts"
import { corpusOf } from "../../models/train/corpus.ts"
import { messagesOf, piecesOf } from "../../models/train/dialogue.ts"
import { guideFile } from "../../models/train/guide-file.ts"
import { heldOutQuestions } from "../../models/train/held-out.ts"
import { guideVocabulary } from "../../models/train/vocabulary.ts"
import { openLlama } from "../../src/inference/llama.ts"
import { randomWeights } from "./guide-weights.ts"
import { answer, asked, defaults, endOf } from "./llama-harness.ts"

const directory = mkdtempSync(join(tmpdir(), "parley-guide-"))
const file = join(directory, "untrained.gguf")
const vocabulary = guideVocabulary()
writeFileSync(file, guideFile(randomWeights(vocabulary.tokens.length), vocabulary))
afterAll(() => rmSync(directory, { recursive: true }))

const odd = [
  "",
  " ",
  "  a",
  "a  1",
  "I'm 12 years",
  "x\n\n y",
  "naïve – 😀👩‍👩‍👧",
  "\t\t7 ",
  "１２ Ⅷ ²",
  "don't DON'T",
  "_a_b",
  "“你好”"
]

test("the same ids as ours, of questions, answers and odd texts", async () => {
  const model = await (await getLlama({ gpu: false, build: "never" })).loadModel({ modelPath: file, vocabOnly: true })
  const { encode } = bpeOf(vocabulary)
  const dialogues = [...corpusOf(21, 400)]
  const said = dialogues.flatMap((dialogue) => messagesOf(dialogue).map(({ content }) => content))
  const texts = [...odd, ...said, ...heldOutQuestions.flatMap(({ asked }) => asked)]
  expect(texts.length).toBeGreaterThan(1_000)
  for (const text of texts) expect([text, [...model.tokenize(text)]]).toEqual([text, encode(text)])
  for (const dialogue of dialogues.slice(0, 50)) {
    const pieces = piecesOf(messagesOf(dialogue))
    const whole = pieces.map(({ text }) => text).join("")
    const ids = pieces.flatMap(({ special, text }) =>
      special ? [vocabulary.special[text as keyof typeof vocabulary.special]] : encode(text)
    )
    expect([...model.tokenize(whole, true)]).toEqual(ids)
  }
  await model.dispose()
})

it.live("decodes, and the chat template writes the prompt that was trained", () =>
  Effect.scoped(
    Effect.gen(function* () {
      const engine = yield* openLlama({ ...defaults, name: "untrained", file, contextTokens: 1_024 })
      const messages = [
        { role: "system" as const, content: "Be brief." },
        { role: "user" as const, content: "Hello, 你好" }
      ]
      const { usage } = endOf(yield* answer(engine, asked("", { messages, answerTokensMax: 8 })))
      const pieces = [
        ...piecesOf(messages),
        { text: "<|im_start|>", special: true },
        { text: "assistant\n", special: false }
      ]
      const { encode } = bpeOf(vocabulary)
      expect(usage.promptTokens).toBe(pieces.flatMap(({ special, text }) => (special ? [0] : encode(text))).length)
      expect(usage.answerTokens).toBeGreaterThan(0)
    })
  )
)
