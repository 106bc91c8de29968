/**
 * Writes the corpus for the trainer, and the vocabulary that it is encoded with.
 *
 *   node models/train/make-corpus.ts [--out .cache/guide] [--dialogues 250000] [--seed 1] [--named 26]
 *                                    [--copied 4] [--vocabulary FILE]
 *
 * `--vocabulary` takes that of an earlier corpus, and what is new in today's: `grow.py` lets a model of the
 * earlier one go on learning with it.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { parseArgs } from "node:util"
import type { Vocabulary } from "../random-vocabulary.ts"
import { bpeOf } from "./bpe.ts"
import { withCharacters } from "./bpe-train.ts"
import { corpusOf, usualShares } from "./corpus.ts"
import { standardHan } from "./han.ts"
import { waysOf } from "./phrasing.ts"
import { phrasings } from "./questions.ts"
import { tokenFiles } from "./token-files.ts"
import { guideVocabulary } from "./vocabulary.ts"

const { values } = parseArgs({
  options: {
    out: { type: "string", default: ".cache/guide" },
    dialogues: { type: "string", default: "250000" },
    seed: { type: "string", default: "1" },
    named: { type: "string", default: String(usualShares.named) },
    copied: { type: "string", default: String(usualShares.copied) },
    vocabulary: { type: "string" }
  }
})
const contextTokens = 1_024
const [count, seed] = [Number(values.dialogues), Number(values.seed)]

const vocabulary: Vocabulary =
  values.vocabulary === undefined
    ? guideVocabulary()
    : withCharacters(JSON.parse(await readFile(values.vocabulary, "utf8")), standardHan)
const { learned, left, lengths, tokens } = tokenFiles(
  corpusOf(seed, count, { named: Number(values.named), copied: Number(values.copied) }),
  bpeOf(vocabulary),
  vocabulary.special,
  contextTokens
)
const about = {
  seed,
  dialogues: lengths.length,
  tokens: tokens.length,
  learnedTokens: learned.reduce((sum, one) => sum + one, 0),
  vocabulary: vocabulary.tokens.length,
  contextTokens,
  /** Ways to ask, by language and intent, before slips and what fills the slots. */
  ways: Object.fromEntries(
    Object.entries(phrasings).map(([language, sections]) => [
      language,
      Object.fromEntries(
        [...sections].map(([intent, ways]) => [intent, ways.reduce((sum, way) => sum + waysOf(way), 0)])
      )
    ])
  )
}
await mkdir(values.out, { recursive: true })
await Promise.all([
  writeFile(join(values.out, "tokens.bin"), tokens),
  writeFile(join(values.out, "learned.bin"), learned),
  writeFile(join(values.out, "lengths.bin"), lengths),
  writeFile(join(values.out, "vocabulary.json"), JSON.stringify(vocabulary)),
  writeFile(join(values.out, "corpus.json"), `${JSON.stringify(about, null, 2)}\n`)
])
process.stdout.write(`${about.dialogues} dialogues, ${about.tokens} tokens; ${left} dialogues were too long\n`)
