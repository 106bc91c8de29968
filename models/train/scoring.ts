/** What is right in an answer to the held-out test, and how much of it must be. */
import { pairOf } from "./arithmetic.ts"
import { hasHan, type Language } from "./dialogue.ts"
import { diceOf } from "./dice.ts"
import { type HeldOut, heldOutNameDialogues, heldOutQuestions, heldOutSums, lastNumber } from "./held-out.ts"
import { filled } from "./phrasing.ts"

export interface Judged {
  readonly group: Group
  readonly language: Language
  readonly intent: string
  readonly isRight: boolean
  readonly isInLanguage: boolean
  /** It came to its end token by itself. */
  readonly isEnded: boolean
}

/** What has a threshold of its own, in each language. */
export type Group = keyof typeof thresholds
export const thresholds = { inside: 0.85, outside: 0.9, sums: 0.9, names: 0.9 } as const
const inLanguageMin = 0.98

export interface Asked extends HeldOut {
  readonly group: Group
}

const sumsEach = 10

/** Every question of the test; sums are of pairs that the corpus never asks, the same ones each time. */
export function wholeTest(): ReadonlyArray<Asked> {
  const dice = diceOf(2)
  const sums = heldOutSums.flatMap(({ ask, language, operation }) =>
    Array.from({ length: sumsEach }, (): Asked => {
      const pair = pairOf(dice, true)
      const [a, b] = operation === "subtract" ? [Math.max(...pair), Math.min(...pair)] : pair
      const result = operation === "add" ? a + b : a - b
      const asked = [filled(ask, { a: String(a), b: String(b) })]
      return { group: "sums", language, intent: operation, asked, wanted: [lastNumber(String(result))] }
    })
  )
  return [
    ...heldOutQuestions.map((one): Asked => ({ ...one, group: one.intent === "outside" ? "outside" : "inside" })),
    ...heldOutNameDialogues.map((one): Asked => ({ ...one, group: "names" })),
    ...sums
  ]
}

export function judge({ group, intent, language, wanted }: Asked, answer: string, isEnded: boolean): Judged {
  const isFound = wanted.every((part) => new RegExp(part, "i").test(answer))
  // The refusal says what larger models are for, and so holds some of the facts: inside its world it is wrong.
  const isRight = isFound && (group === "outside" || !/beyond me|超出/.test(answer))
  // A spelled word is of no language.
  const isInLanguage = language === "en" ? !hasHan(answer) : hasHan(answer) || intent === "spell"
  return { group, language, intent, isRight, isInLanguage, isEnded }
}

export interface Line {
  readonly name: string
  readonly right: number
  readonly of: number
  /** Undefined where no threshold is set. */
  readonly least: number | undefined
}

/** The groups that must hold, then every intent. */
export function linesOf(judged: ReadonlyArray<Judged>): ReadonlyArray<Line> {
  const groups = (Object.keys(thresholds) as ReadonlyArray<Group>).flatMap((group) =>
    (["en", "zh"] as const).map((language) =>
      line(`${group} ${language}`, judged.filter(of({ group, language })), ({ isRight }) => isRight, thresholds[group])
    )
  )
  const names = new Set(judged.map(({ intent, language }) => `${intent} ${language}`))
  return [
    ...groups,
    line("in the language asked", judged, ({ isInLanguage }) => isInLanguage, inLanguageMin),
    line("ended by itself", judged, ({ isEnded }) => isEnded, 1),
    ...[...names].toSorted().map((name) => {
      const [intent = "", language] = name.split(" ")
      const own = judged.filter((one) => one.intent === intent && one.language === language)
      return line(`  ${name}`, own, ({ isRight }) => isRight, undefined)
    })
  ]
}

const of =
  (wanted: Pick<Judged, "group" | "language">) =>
  ({ group, language }: Judged) =>
    group === wanted.group && language === wanted.language

function line(name: string, judged: ReadonlyArray<Judged>, is: (one: Judged) => boolean, least: number | undefined) {
  return { name, right: judged.filter(is).length, of: judged.length, least }
}

export const isEnough = ({ least = 0, of, right }: Line) => of > 0 && right / of >= least

export function tableOf(lines: ReadonlyArray<Line>): string {
  const rows = lines.map((one) => {
    const share = `${((100 * one.right) / Math.max(1, one.of)).toFixed(1)} %`
    const least = one.least === undefined ? "" : `, ${isEnough(one) ? "enough" : "too few"} (${one.least * 100} %)`
    return `${one.name.padEnd(24)} ${String(one.right).padStart(4)} of ${String(one.of).padStart(4)} ${share.padStart(8)}${least}`
  })
  return `${rows.join("\n")}\n`
}
