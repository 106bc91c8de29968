/** Names made of syllables, so that remembering one is copying it, not knowing it. */

import type { Language } from "./dialogue.ts"
import type { Dice } from "./dice.ts"
import { anyHan } from "./han.ts"
import { heldOutNames } from "./held-out.ts"
import { madeUpWord } from "./letters.ts"
import { givenNames, surnames } from "./word-lists.ts"

/** Never one that the test uses. */
export function nameOf(dice: Dice, language: Language): string {
  const name = language === "zh" && dice.chance(0.7) ? chineseName(dice) : latinName(dice)
  return heldOutNames.has(name.toLowerCase()) ? nameOf(dice, language) : name
}

function latinName(dice: Dice): string {
  const word = dice.chance(0.35) ? anyLetters(dice) : madeUpWord(dice)
  return dice.chance(0.15) ? word : word.slice(0, 1).toUpperCase() + word.slice(1)
}

function chineseName(dice: Dice): string {
  const given = Array.from({ length: dice.between(1, 2) }, () =>
    dice.chance(0.6) ? anyHan(dice) : dice.pick(givenNames)
  )
  return dice.pick(surnames) + given.join("")
}

/** No syllables: whoever copies it goes letter by letter, to the end. */
const anyLetters = (dice: Dice) =>
  Array.from({ length: dice.between(3, 9) }, () => String.fromCharCode(dice.between(97, 122))).join("")

export const greeted = (name: string, language: Language) =>
  language === "en" ? `Nice to meet you, ${name}.` : `很高兴认识你\uFF0C${name}。`

export const remembered = (name: string, language: Language) =>
  language === "en" ? `Your name is ${name}.` : `你叫${name}。`

export const notTold = (language: Language) =>
  language === "en" ? "You have not told me your name yet." : "你还没有告诉我你的名字。"
