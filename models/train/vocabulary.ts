/** The guide's vocabulary: learned from dialogues of a seed of its own, so that the corpus's size does not change it. */
import type { Vocabulary } from "../random-vocabulary.ts"
import { trainBpe } from "./bpe-train.ts"
import { corpusOf } from "./corpus.ts"
import { messagesOf } from "./dialogue.ts"

const seed = 7
const dialogues = 12_000
const tokensMax = 2_560

export function guideVocabulary(): Vocabulary {
  return trainBpe(textsOf(), tokensMax)
}

function* textsOf(): Generator<string> {
  for (const dialogue of corpusOf(seed, dialogues)) for (const { content } of messagesOf(dialogue)) yield content
}
