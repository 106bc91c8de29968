/** The test, typed by hand in `held-out/`, and the check that nothing of it is in the corpus. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import type { Language } from "./dialogue.ts"
import { countries, days, englishWords, messengers, months } from "./word-lists.ts"

export interface HeldOut {
  readonly language: Language
  readonly intent: string
  /** What the person says, turn by turn; the last answer is judged. */
  readonly asked: ReadonlyArray<string>
  /** Expressions that all must be found in the answer, in either case. */
  readonly wanted: ReadonlyArray<string>
}

interface Line {
  readonly intent: string
  readonly ask: string | ReadonlyArray<string>
  readonly want: string | ReadonlyArray<string>
}

interface NameLine {
  readonly name: string
  readonly ask: ReadonlyArray<string>
}

interface SumLine {
  readonly operation: "add" | "subtract"
  readonly ask: string
}

export const heldOutQuestions: ReadonlyArray<HeldOut> = (["en", "zh"] as const).flatMap((language) => [
  ...linesOf<Line>(language).map(({ ask, intent, want }) => heldOut(language, intent, ask, want)),
  ...linesOf<string>(`outside-${language}`).map((ask) =>
    heldOut(language, "outside", ask, ["beyond me|超出", "PARLEY_MODEL"])
  )
])

const names = (["en", "zh"] as const).flatMap((language) =>
  linesOf<NameLine>(`names-${language}`).map(({ ask, name }) => ({ language, name, ask }))
)
export const heldOutNameDialogues: ReadonlyArray<HeldOut> = names.map(({ ask, language, name }) =>
  heldOut(language, "name", ask, name)
)
export const heldOutNames: ReadonlySet<string> = new Set(names.map(({ name }) => name.toLowerCase()))

/** With `{a}` and `{b}`, for pairs that the corpus never asks. */
export const heldOutSums = (["en", "zh"] as const).flatMap((language) =>
  linesOf<SumLine>(`sums-${language}`).map((line) => ({ language, ...line }))
)

function heldOut(language: Language, intent: string, ask: Line["ask"], want: Line["want"]): HeldOut {
  const isSum = intent === "add" || intent === "subtract"
  return {
    language,
    intent,
    asked: [ask].flat(),
    wanted: [want].flat().map((part) => (isSum ? lastNumber(part) : part))
  }
}

/** The result is the last number of the answer: the steps before it have numbers too. */
export function lastNumber(result: string): string {
  return `(?<![\\d-])${result}\\D*$`
}

function linesOf<A>(name: string): ReadonlyArray<A> {
  const text = readFileSync(join(import.meta.dirname, "held-out", `${name}.jsonl`), "utf8")
  return text.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as A]))
}

const placeNames = countries.flatMap(({ city, country }) => [...Object.values(country), ...Object.values(city)])
const latin = (text: string) => /^[a-z -]+$/i.test(text)
const all = [...placeNames, ...Object.values(days).flat(), ...Object.values(months).flat(), ...messengers.en]
const listed = [...all, ...messengers.zh].toSorted((a, b) => b.length - a.length)
const latinListed = new Set([...listed.filter(latin), ...englishWords].map((word) => word.toLowerCase()))
const hanListed = new RegExp(listed.filter((word) => !latin(word)).join("|"), "g")

/**
 * A question without case, punctuation, spaces and what fills its slots: two questions of one shape ask the same thing
 * in the same words, of another number, place or word.
 */
export function shapeOf(question: string): string {
  const words = question.toLowerCase().match(/\p{L}+|\p{N}+/gu) ?? []
  return words
    .map((word) => (/^\p{N}/u.test(word) ? "#" : latinListed.has(word) ? "@" : word))
    .join(" ")
    .replace(hanListed, "@")
    .replaceAll(" ", "")
}

const shapes: ReadonlySet<string> = new Set([
  ...heldOutQuestions.flatMap(({ asked }) => asked.map(shapeOf)),
  // What is said in between is small talk, and not judged.
  ...heldOutNameDialogues.flatMap(({ asked }) => [shapeOf(asked[0]!), shapeOf(asked.at(-1)!)]),
  ...heldOutSums.map(({ ask }) => shapeOf(ask.replace("{a}", "1").replace("{b}", "2")))
])

export const isHeldOut = (question: string): boolean => shapes.has(shapeOf(question))
