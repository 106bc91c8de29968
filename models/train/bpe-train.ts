/** Learns a byte-level BPE vocabulary: the most frequent pair of neighbours becomes a token, again and again. */
import { byteCharacters } from "../../src/inference/byte-alphabet.ts"
import type { Vocabulary } from "../random-vocabulary.ts"
import { charactersOf, merged, wordsOf } from "./bpe.ts"

/** A pair that is rarer than this is not worth a token. */
const countMin = 10

interface Word {
  readonly count: number
  readonly parts: Array<number>
}

interface Pair {
  count: number
  /** Words that it was seen in; it may have gone from some. */
  readonly words: Set<Word>
}

/** The vocabulary has `tokensMax` tokens, fewer when the texts have no more pairs. */
export function trainBpe(texts: Iterable<string>, tokensMax: number): Vocabulary {
  const tokens = [...byteCharacters]
  const merges: Array<string> = []
  const pairs = new Map<number, Pair>()
  for (const word of countedWords(texts)) count(pairs, word, 1)
  while (tokens.length + specialNames.length < tokensMax) {
    const best = mostFrequent(pairs)
    if (best === undefined) break
    const [left, right] = [Math.floor(best / radix), best % radix]
    merges.push(`${tokens[left]} ${tokens[right]}`)
    const id = tokens.push(`${tokens[left]}${tokens[right]}`) - 1
    const { words } = pairs.get(best)!
    for (const word of words) {
      count(pairs, word, -1)
      join(word.parts, left, right, id)
      count(pairs, word, 1)
    }
    pairs.delete(best)
  }
  return vocabularyOf(tokens, merges)
}

/** As it was, and with a token for each of the characters: what it read as one token before, it reads so still. */
export function withCharacters({ merges, special, tokens }: Vocabulary, characters: Iterable<string>): Vocabulary {
  const text = tokens.slice(0, special["<|endoftext|>"])
  const known = new Set(text)
  const grown = [...merges]
  const rankOf = new Map(merges.map((merge, rank) => [merge, rank]))
  for (const character of characters) {
    let parts = merged(charactersOf(character), rankOf)
    while (parts.length > 1) {
      const [left, right, ...rest] = parts as [string, string, ...Array<string>]
      const joined = `${left}${right}`
      rankOf.set(`${left} ${right}`, grown.push(`${left} ${right}`) - 1)
      if (!known.has(joined)) text.push(joined)
      known.add(joined)
      parts = merged([joined, ...rest], rankOf)
    }
  }
  return vocabularyOf(text, grown)
}

const specialNames = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] as const
/** More than there are tokens: a pair is one number. */
const radix = 65_536

function vocabularyOf(text: ReadonlyArray<string>, merges: ReadonlyArray<string>): Vocabulary {
  const first = text.length
  return {
    tokens: [...text, ...specialNames],
    types: [...text.map(() => 1), ...specialNames.map(() => 3)],
    merges,
    special: { "<|endoftext|>": first, "<|im_start|>": first + 1, "<|im_end|>": first + 2 }
  }
}

function countedWords(texts: Iterable<string>): ReadonlyArray<Word> {
  const counts = new Map<string, number>()
  for (const text of texts) for (const word of wordsOf(text)) counts.set(word, (counts.get(word) ?? 0) + 1)
  const byteOf = new Map(byteCharacters.map((character, byte) => [character, byte]))
  return [...counts].map(([word, count]) => ({ count, parts: charactersOf(word).map((part) => byteOf.get(part)!) }))
}

function count(pairs: Map<number, Pair>, word: Word, sign: 1 | -1): void {
  for (let i = 0; i + 1 < word.parts.length; i++) {
    const key = word.parts[i]! * radix + word.parts[i + 1]!
    const pair = pairs.get(key) ?? { count: 0, words: new Set() }
    pair.count += sign * word.count
    if (sign === 1) pair.words.add(word)
    pairs.set(key, pair)
  }
}

/** Of equals the one that was seen first: a Map keeps its order. */
function mostFrequent(pairs: ReadonlyMap<number, Pair>): number | undefined {
  let best: number | undefined
  let bestCount = countMin - 1
  for (const [key, { count }] of pairs) if (count > bestCount) [best, bestCount] = [key, count]
  return best
}

function join(parts: Array<number>, left: number, right: number, id: number): void {
  for (let i = 0; i + 1 < parts.length; i++) {
    if (parts[i] === left && parts[i + 1] === right) parts.splice(i, 2, id)
  }
}
