/**
 * Sums and differences in a form that a small model can compute: from the right, one column at a time, and the result
 * is read off the columns.
 *
 *     47 + 85: ones 7 + 5 = 12, tens 4 + 8 + 1 = 13. So 132.
 *     52 - 17: ones 12 - 7 = 5, tens 5 - 1 - 1 = 3. So 35.
 *
 * Each step needs two digits and a carry, all of which stand in the text; a result that is said at once would need all
 * columns in one pass. What is carried is the last summand, what is borrowed the last that is taken away.
 */

import type { Language } from "./dialogue.ts"
import type { Dice } from "./dice.ts"

export const numberMax = 999
export type Operation = "add" | "subtract"

const columns = {
  en: ["ones", "tens", "hundreds"],
  zh: ["个位", "十位", "百位"]
} as const

export function worked(operation: Operation, a: number, b: number, language: Language): string {
  if (operation === "add") return sentence(`${a} + ${b}`, sumSteps(a, b), a + b, language)
  const [larger, smaller] = [Math.max(a, b), Math.min(a, b)]
  const result = sentence(`${larger} - ${smaller}`, differenceSteps(larger, smaller), a - b, language)
  if (a >= b) return result
  return language === "en" ? `${a} - ${b} is below zero. ${result}` : `${a} - ${b} 小于零。${result}`
}

function sentence(task: string, steps: ReadonlyArray<string>, result: number, language: Language): string {
  const named = steps.map((step, column) => `${columns[language][column]} ${step}`)
  if (language === "en") return `${task}: ${named.join(", ")}. So ${result}.`
  return `${task}\uFF1A${named.join("\uFF0C")}。所以是 ${result}。`
}

function sumSteps(a: number, b: number): ReadonlyArray<string> {
  let carry = 0
  return columnsOf(a, b).map(([left, right]) => {
    const sum = left + right + carry
    const step = `${left} + ${right}${carry > 0 ? " + 1" : ""} = ${sum}`
    carry = sum > 9 ? 1 : 0
    return step
  })
}

function differenceSteps(a: number, b: number): ReadonlyArray<string> {
  let borrowed = 0
  return columnsOf(a, b).map(([top, bottom]) => {
    const isShort = top - borrowed < bottom
    const from = isShort ? top + 10 : top
    const step = `${from} - ${bottom}${borrowed > 0 ? " - 1" : ""} = ${from - bottom - borrowed}`
    borrowed = isShort ? 1 : 0
    return step
  })
}

function columnsOf(a: number, b: number): ReadonlyArray<readonly [number, number]> {
  const width = String(Math.max(a, b)).length
  return Array.from({ length: width }, (_, column) => [digit(a, column), digit(b, column)] as const)
}

const digit = (number: number, column: number) => Math.floor(number / 10 ** column) % 10

/** One pair in ten is kept for the test, in either order, and never asked in the corpus. */
export function isReserved(a: number, b: number): boolean {
  let mixed = Math.imul(Math.min(a, b) * 1009 + Math.max(a, b) + 1, 0x9e3779b1)
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x85ebca6b)
  return ((mixed ^ (mixed >>> 13)) >>> 0) % 10 === 0
}

/** Most numbers that people ask a small model about have one or two digits. */
export function pairOf(dice: Dice, reserved: boolean): readonly [number, number] {
  for (;;) {
    const a = numberOf(dice)
    const b = numberOf(dice)
    if (isReserved(a, b) === reserved) return [a, b]
  }
}

function numberOf(dice: Dice): number {
  const digits = dice.pick([1, 1, 2, 2, 2, 2, 2, 2, 3, 3])
  return dice.between(digits === 1 ? 0 : 10 ** (digits - 1), 10 ** digits - 1)
}
