/**
 * Words taken apart, so that a model that sees tokens works on letters: spelled with dashes (a letter between two
 * dashes is a token of its own), turned round from that spelling, counted by numbering.
 */

import type { Language } from "./dialogue.ts"
import type { Dice } from "./dice.ts"
import { anyHan } from "./han.ts"
import { chineseWords, englishWords, nameEndings, nameSyllables, smallEnglishWords } from "./word-lists.ts"

export const spelled = (word: string) => [...word].join("-")
const numbered = (parts: ReadonlyArray<string>, comma: string) =>
  parts.map((part, index) => `${index + 1} ${part}`).join(comma)

export function reversed(word: string, language: Language): string {
  const back = spelled([...word].toReversed().join(""))
  if (language === "en") return `${word} is ${spelled(word)}; backwards ${back}.`
  return `${word} 是 ${spelled(word)}\uFF0C倒过来是 ${back}。`
}

export function lettersCounted(word: string, language: Language): string {
  const count = [...word].length
  if (language === "en") return `${numbered([...word], ", ")}. That is ${count} letters.`
  return `${numbered([...word], "\uFF0C")}。一共 ${count} 个字母。`
}

export function wordsCounted(words: string): string {
  const parts = words.split(" ")
  return `${numbered(parts, ", ")}. That is ${parts.length} words.`
}

export function charactersCounted(text: string): string {
  return `${numbered([...text], "\uFF0C")}。一共 ${[...text].length} 个字。`
}

/** Half are of the list, half are made up: what is learned is to spell, not a list of words. */
export function wordOf(dice: Dice): string {
  return dice.chance(0.5) ? dice.pick(englishWords) : madeUpWord(dice)
}

export function madeUpWord(dice: Dice): string {
  const parts = Array.from({ length: dice.between(1, 2) }, () => dice.pick(nameSyllables))
  const word = [...parts, dice.pick(nameEndings)].join("")
  return word.length < 3 ? madeUpWord(dice) : word
}

export function wordsOf(dice: Dice): string {
  const word = () =>
    dice.chance(0.4) ? dice.pick(smallEnglishWords) : dice.chance(0.8) ? dice.pick(englishWords) : madeUpWord(dice)
  return Array.from({ length: dice.between(2, 7) }, word).join(" ")
}

export function charactersOf(dice: Dice): string {
  const isOfWords = dice.chance(0.6)
  return Array.from({ length: dice.between(1, 5) }, () => (isOfWords ? dice.pick(chineseWords) : anyHan(dice))).join("")
}
