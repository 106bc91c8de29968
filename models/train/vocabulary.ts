/**
 * The guide's vocabulary: learned from dialogues of a seed of its own, so that the corpus's size does not change it, and
 * every character of GB 2312, for a name is copied token by token, and of bytes there are three to a character.
 */
import type { Vocabulary } from "../random-vocabulary.ts"
import { trainBpe, withCharacters } from "./bpe-train.ts"
import { corpusOf } from "./corpus.ts"
import { messagesOf } from "./dialogue.ts"
import { standardHan } from "./han.ts"

const seed = 7
const dialogues = 12_000
/** Before the characters. */
const learnedTokens = 2_560

export function guideVocabulary(): Vocabulary {
  return withCharacters(trainBpe(textsOf(), learnedTokens), standardHan)
}

function* textsOf(): Generator<string> {
  for (const dialogue of corpusOf(seed, dialogues)) for (const { content } of messagesOf(dialogue)) yield content
}
