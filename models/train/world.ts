/** What the guide knows by heart: capitals, days, months, and a table of units. */

import type { Language } from "./dialogue.ts"
import type { Dice } from "./dice.ts"
import type { Question } from "./questions.ts"
import { countries, days, months, ordinals, units } from "./word-lists.ts"

const monthLengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

export function capital(dice: Dice, language: Language): Question {
  const { city, country } = dice.pick(countries)
  const answer = language === "en" ? `The capital of ${country.en} is ${city.en}.` : `${country.zh}的首都是${city.zh}。`
  return { slots: { country: country[language] }, answer }
}

export function capitalOf(dice: Dice, language: Language): Question {
  const { city, country } = dice.pick(countries)
  const answer = language === "en" ? `${city.en} is the capital of ${country.en}.` : `${city.zh}是${country.zh}的首都。`
  return { slots: { city: city[language] }, answer }
}

type Cycle = Readonly<Record<Language, ReadonlyArray<string>>>

/** What comes `step` places later in a cycle. */
export function neighbour(cycle: Cycle, slot: "day" | "month", step: 1 | -1) {
  return (dice: Dice, language: Language): Question => {
    const names = cycle[language]
    const at = dice.between(0, names.length - 1)
    const from = names[at]!
    const to = names[(at + step + names.length) % names.length]!
    return { slots: { [slot]: from }, answer: neighbourSentence(from, to, step, language) }
  }
}

function neighbourSentence(from: string, to: string, step: 1 | -1, language: Language): string {
  if (language === "en") return `${step === 1 ? "After" : "Before"} ${from} comes ${to}.`
  return `${from}${step === 1 ? "之后" : "之前"}是${to}。`
}

export function monthNumber(dice: Dice, language: Language): Question {
  const at = dice.between(0, 11)
  const month = months[language][at]!
  const nth = ordinals[language][at]!
  const answer = language === "en" ? `${month} is the ${nth} month of the year.` : `${month}是一年的第${nth}个月。`
  return { slots: { month, nth }, answer }
}

export function monthDays(dice: Dice, language: Language): Question {
  const at = dice.between(0, 11)
  const month = months[language][at]!
  const count = monthLengths[at]!
  const leap = at === 1 ? { en: ", 29 in a leap year", zh: "\uFF0C闰年 29 天" }[language] : ""
  const answer = language === "en" ? `${month} has ${count} days${leap}.` : `${month}有 ${count} 天${leap}。`
  return { slots: { month }, answer }
}

export const allDays = (_: Dice, language: Language): Question => ({
  slots: {},
  answer: language === "en" ? `The 7 days are ${days.en.join(", ")}.` : `一个星期有 7 天\uFF1A${days.zh.join("、")}。`
})

export const allMonths = (_: Dice, language: Language): Question => ({
  slots: {},
  answer:
    language === "en" ? `The 12 months are ${months.en.join(", ")}.` : `一年有 12 个月\uFF1A${months.zh.join("、")}。`
})

/** The table goes to ten of each: products that can be known by heart. */
export function conversion(dice: Dice, language: Language): Question {
  const { factor, from, to } = dice.pick(units)
  const n = dice.between(1, 10)
  const slots = { n: String(n), from: n === 1 ? singular(from[language], language) : from[language], to: to[language] }
  const answer =
    language === "en"
      ? `${n} ${slots.from} ${n === 1 ? "is" : "are"} ${n * factor} ${to.en}.`
      : `${n} ${from.zh}等于 ${n * factor} ${to.zh}。`
  return { slots, answer }
}

function singular(unit: string, language: Language): string {
  if (language === "zh") return unit
  return unit === "feet" ? "foot" : unit.replace(/s$/, "")
}
