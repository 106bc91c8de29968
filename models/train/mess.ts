/** How people type: lower case, missing punctuation, slips of the finger, a word before and one after. */

import type { Language } from "./dialogue.ts"
import type { Dice } from "./dice.ts"

/** The slots of a text are never touched: what is to be spelled or remembered must arrive whole. */
export function messy(dice: Dice, language: Language, text: string): string {
  return language === "en" ? messyEnglish(dice, text) : messyChinese(dice, text)
}

const before = ["hey ", "hi, ", "please ", "ok ", "so ", "um ", "hello, ", "well, ", "ok, ", "now ", "guide, "]
const after = [" please", " pls", " thanks", " thx", " ok?", " then", ", thanks"]

function messyEnglish(dice: Dice, text: string): string {
  let messed = text
  if (dice.chance(0.14)) messed = dice.pick(before) + lowerFirst(messed)
  // Behind words to repeat or to count, a word more would be one of them.
  const isOpen = /\{(words|chars)\}$/.test(text)
  if (dice.chance(0.06) && !isOpen) messed = messed.replace(/[?.!]?$/, (end) => dice.pick(after) + end)
  if (dice.chance(0.35)) messed = outsideSlots(messed, (part) => part.toLowerCase())
  if (dice.chance(0.3)) messed = messed.replace(/[?.!]$/, "")
  else if (dice.chance(0.04)) messed = messed.replace(/[?.!]?$/, (end) => dice.pick(["??", "!!", "...", " ?", end]))
  if (dice.chance(0.1)) messed = messed.replaceAll("'", "")
  if (dice.chance(0.12)) messed = outsideSlots(messed, (part) => slipped(dice, part))
  return messed
}

const beforeChinese = ["请问", "你好\uFF0C", "那", "那么", "嗯\uFF0C", "麻烦问一下\uFF0C", "向导\uFF0C", "我想知道"]

function messyChinese(dice: Dice, text: string): string {
  let messed = text
  if (dice.chance(0.14)) messed = dice.pick(beforeChinese) + messed
  if (dice.chance(0.3)) messed = messed.replace(/[\uFF1F\uFF01。]$/, "")
  if (dice.chance(0.1)) messed = messed.replace(/\uFF1F$/, "?").replaceAll("\uFF0C", ",")
  if (dice.chance(0.05)) messed = messed.replaceAll("\uFF0C", " ")
  return messed
}

function lowerFirst(text: string): string {
  return /^(I\b|\{)/.test(text) ? text : text.slice(0, 1).toLowerCase() + text.slice(1)
}

function outsideSlots(text: string, change: (part: string) => string): string {
  return text.replace(/\{[a-z]+\}|[^{]+/g, (part) => (part.startsWith("{") ? part : change(part)))
}

/** One word of at least four letters loses a letter, doubles one, or has two of them the wrong way round. */
function slipped(dice: Dice, text: string): string {
  const words = [...text.matchAll(/[A-Za-z]{4,}/g)]
  if (words.length === 0) return text
  const { 0: word, index } = dice.pick(words)
  const at = dice.between(1, word.length - 2)
  const slip = dice.pick([
    word.slice(0, at) + word.slice(at + 1),
    word.slice(0, at) + word[at] + word.slice(at),
    word.slice(0, at) + word[at + 1] + word[at] + word.slice(at + 2)
  ])
  return text.slice(0, index) + slip + text.slice(index + word.length)
}
