/** One question of an intent with its right answer: what the corpus is composed of. */

import { pairOf, worked } from "./arithmetic.ts"
import type { Language, Turn } from "./dialogue.ts"
import type { Dice } from "./dice.ts"
import { answerOf, explain, explainedKeys, facts } from "./facts.ts"
import { isHeldOut } from "./held-out.ts"
import {
  charactersCounted,
  charactersOf,
  lettersCounted,
  reversed,
  spelled,
  wordOf,
  wordsCounted,
  wordsOf
} from "./letters.ts"
import { messy } from "./mess.ts"
import { outsideQuestion } from "./outside.ts"
import { chosen, filled, readSections, type Sections, type Slots } from "./phrasing.ts"
import { days, messengers, months, things } from "./word-lists.ts"
import { allDays, allMonths, capital, capitalOf, conversion, monthDays, monthNumber, neighbour } from "./world.ts"

export interface Question {
  readonly slots: Slots
  readonly answer: string
}

type Maker = (dice: Dice, language: Language) => Question

export const phrasings: Readonly<Record<Language, Sections>> = { en: readSections("en"), zh: readSections("zh") }

const sum = (operation: "add" | "subtract"): Maker => {
  return (dice, language) => {
    const pair = pairOf(dice, false)
    // Below zero is rare, as it is when people ask.
    const [a, b] = operation === "subtract" && dice.chance(0.85) ? [Math.max(...pair), Math.min(...pair)] : pair
    const slots = { a: String(a), b: String(b), thing: dice.pick(things)[language] }
    return { slots, answer: worked(operation, a, b, language) }
  }
}

const ofWord = (answer: (word: string, language: Language) => string): Maker => {
  return (dice, language) => {
    const word = wordOf(dice)
    return { slots: { word }, answer: answer(word, language) }
  }
}

const makers: Readonly<Record<string, Maker>> = {
  add: sum("add"),
  subtract: sum("subtract"),
  spell: ofWord(spelled),
  reverse: ofWord(reversed),
  "count-letters": ofWord(lettersCounted),
  "count-words": (dice) => {
    const words = wordsOf(dice)
    return { slots: { words }, answer: wordsCounted(words) }
  },
  "count-chars": (dice) => {
    const chars = charactersOf(dice)
    return { slots: { chars }, answer: charactersCounted(chars) }
  },
  repeat: (dice, language) => {
    const answer = language === "en" ? wordsOf(dice) : charactersOf(dice)
    return { slots: { words: answer, chars: answer }, answer }
  },
  config: (dice, language) => {
    const key = dice.pick(explainedKeys)
    return { slots: { key }, answer: explain(key, language) }
  },
  capital,
  "capital-next": capital,
  "capital-of": capitalOf,
  "day-after": neighbour(days, "day", 1),
  "day-before": neighbour(days, "day", -1),
  "month-after": neighbour(months, "month", 1),
  "month-before": neighbour(months, "month", -1),
  "month-number": monthNumber,
  "month-days": monthDays,
  days: allDays,
  months: allMonths,
  units: conversion
}

const fixed =
  (intent: string): Maker =>
  (dice, language) => ({
    slots: { messenger: dice.pick(messengers[language]), port: String(dice.between(1024, 9999)) },
    answer: answerOf(intent, language)
  })

/** How often an intent is asked, next to the others; those that are told by heart have two each. */
const weights: Readonly<Record<string, number>> = {
  add: 14,
  subtract: 14,
  spell: 9,
  reverse: 9,
  "count-letters": 9,
  "count-words": 5,
  "count-chars": 5,
  repeat: 10,
  config: 8,
  capital: 7,
  "capital-of": 3,
  units: 6,
  "month-number": 3,
  outside: 48,
  "channel-other": 3,
  "bigger-model": 3
}
/** These need what was said before: the corpus places them. */
const placed = ["name-tell", "name-ask", "capital-next"]

const intentsOf = (language: Language) =>
  [...phrasings[language].keys(), "outside"].filter((intent) => !placed.includes(intent))
const drawn: Readonly<Record<Language, ReadonlyArray<string>>> = { en: weighed("en"), zh: weighed("zh") }

function weighed(language: Language): ReadonlyArray<string> {
  return intentsOf(language).flatMap((intent) => Array<string>(weights[intent] ?? 2).fill(intent))
}

export const fixedIntents = Object.keys(facts.answers).filter((intent) => intent !== "outside")

export function turnOf(dice: Dice, language: Language): Turn {
  return turnOfIntent(dice, language, dice.pick(drawn[language]))
}

export function turnOfIntent(dice: Dice, language: Language, intent: string): Turn {
  if (intent === "outside") {
    return asking(dice, language, intent, () => ({
      template: outsideQuestion(dice, language),
      slots: {},
      answer: answerOf("outside", language)
    }))
  }
  const make = makers[intent] ?? fixed(intent)
  return askedTurn(dice, language, intent, () => make(dice, language))
}

export function askedTurn(dice: Dice, language: Language, intent: string, make: () => Question): Turn {
  const ways = phrasings[language].get(intent) ?? []
  return asking(dice, language, intent, () => ({ ...make(), template: chosen(dice, dice.pick(ways)) }))
}

/** What the test asks is asked by nobody else: such a draw is drawn again. */
function asking(
  dice: Dice,
  language: Language,
  intent: string,
  draw: () => Question & { readonly template: string }
): Turn {
  for (;;) {
    const { answer, slots, template } = draw()
    const asked = filled(messy(dice, language, template), slots).trim()
    if (!isHeldOut(asked)) return { intent, asked, answer }
  }
}
