/**
 * Byte-level BPE, the same as llama.cpp's for `tokenizer.ggml.pre = smollm`: every digit alone, then the words of
 * GPT-2, then in each word the merge that was learned first.
 *
 * Decoding what was encoded gives the text again, whatever it is.
 */
import { byteCharacters, bytesOfCharacters } from "../../src/inference/byte-alphabet.ts"
import type { Vocabulary } from "../random-vocabulary.ts"

export interface Bpe {
  /** The text is never read as a special token. */
  readonly encode: (text: string) => ReadonlyArray<number>
  readonly decode: (ids: ReadonlyArray<number>) => string
}

/** GPT-2 splits a text between its digits, as if there were nothing on their other side. */
export function wordsOf(text: string): ReadonlyArray<string> {
  return text.split(/(\p{N})/u).flatMap((part) => part.match(gpt2) ?? [])
}

const gpt2 = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu

export function charactersOf(text: string): Array<string> {
  return [...Buffer.from(text, "utf8")].map((byte) => byteCharacters[byte]!)
}

export function bpeOf({ merges, tokens }: Vocabulary): Bpe {
  const idOf = new Map(tokens.map((token, id) => [token, id]))
  const rankOf = new Map(merges.map((merge, rank) => [merge, rank]))
  const known = new Map<string, ReadonlyArray<number>>()
  const encodeWord = (word: string) => {
    const found = known.get(word)
    if (found !== undefined) return found
    const ids = merged(charactersOf(word), rankOf).map((token) => idOf.get(token)!)
    if (known.size < knownMax) known.set(word, ids)
    return ids
  }
  return {
    encode: (text) => wordsOf(text).flatMap(encodeWord),
    decode: (ids) => Buffer.concat(ids.map((id) => bytesOf(tokens[id] ?? ""))).toString("utf8")
  }
}

const knownMax = 200_000

/** A special token is written as it is called. */
const bytesOf = (token: string) => bytesOfCharacters(token) ?? Buffer.from(token, "utf8")

/** The parts with every merge applied, the one that was learned first before the others. */
export function merged(parts: Array<string>, rankOf: ReadonlyMap<string, number>): Array<string> {
  for (;;) {
    let best = -1
    let bestRank = Number.POSITIVE_INFINITY
    for (let i = 0; i + 1 < parts.length; i++) {
      const rank = rankOf.get(`${parts[i]} ${parts[i + 1]}`) ?? Number.POSITIVE_INFINITY
      if (rank < bestRank) [best, bestRank] = [i, rank]
    }
    if (best < 0) return parts
    parts.splice(best, 2, `${parts[best]}${parts[best + 1]}`)
  }
}
