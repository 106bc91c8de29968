/**
 * The corpus as `train.py` reads it.
 *
 *     tokens.bin    the dialogues one after the other, 16 bits a token, little-endian
 *     learned.bin   a byte a token: 1 where the model learns to write it
 *     lengths.bin   the tokens of each dialogue, 32 bits
 */
import type { Vocabulary } from "../random-vocabulary.ts"
import type { Bpe } from "./bpe.ts"
import { type Dialogue, messagesOf, piecesOf } from "./dialogue.ts"

export interface TokenFiles {
  readonly tokens: Uint16Array
  readonly learned: Uint8Array
  readonly lengths: Uint32Array
  /** Dialogues that do not fit into the context of the model. */
  readonly left: number
}

export function tokenFiles(
  dialogues: Iterable<Dialogue>,
  bpe: Bpe,
  special: Vocabulary["special"],
  contextTokens: number
): TokenFiles {
  const tokens: Array<Uint16Array> = []
  const learned: Array<Uint8Array> = []
  let left = 0
  for (const dialogue of dialogues) {
    const encoded = encodedDialogue(dialogue, bpe, special)
    if (encoded.length > contextTokens) left++
    else {
      tokens.push(Uint16Array.from(encoded, ({ id }) => id))
      learned.push(Uint8Array.from(encoded, ({ isLearned }) => (isLearned ? 1 : 0)))
    }
  }
  // Buffer.concat may share a larger buffer, which a Uint16Array must not begin in the middle of.
  const bytes = Uint8Array.from(Buffer.concat(tokens.map(({ buffer }) => new Uint8Array(buffer))))
  return {
    tokens: new Uint16Array(bytes.buffer),
    learned: Buffer.concat(learned),
    lengths: Uint32Array.from(tokens, ({ length }) => length),
    left
  }
}

function encodedDialogue(dialogue: Dialogue, { encode }: Bpe, special: Vocabulary["special"]) {
  return piecesOf(messagesOf(dialogue)).flatMap((piece) => {
    const ids = piece.special ? [special[piece.text as keyof typeof special]] : encode(piece.text)
    return ids.map((id) => ({ id, isLearned: piece.learned }))
  })
}
