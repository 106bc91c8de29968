/**
 * The dialogues that the guide learns from.
 *
 *   K1. The same seed gives the same dialogues.
 *   K2. Every answer is right, and in the language of its question.
 *   K3. No question is asked here that the held-out test asks, and no pair of numbers or name of its.
 */
import { type Dialogue, type Language, languages, type Turn } from "./dialogue.ts"
import { type Dice, diceOf } from "./dice.ts"
import { anyHan } from "./han.ts"
import { greeted, nameOf, notTold, remembered } from "./names.ts"
import { askedTurn, turnOf, turnOfIntent } from "./questions.ts"
import { systemPromptOf } from "./system-prompts.ts"

/** Between the telling of a name and the question for it. */
const turnsBetweenMax = 8
const turnsMax = 5
const rareMax = 16

/** In how many of a hundred dialogues somebody says a name, and has nothing but rare characters repeated. */
export interface Shares {
  readonly named: number
  readonly copied: number
}

export const usualShares: Shares = { named: 26, copied: 4 }

export function* corpusOf(seed: number, count: number, shares = usualShares): Generator<Dialogue> {
  const dice = diceOf(seed)
  for (let nth = 0; nth < count; nth++) yield dialogueOf(dice, shares)
}

function dialogueOf(dice: Dice, { copied, named }: Shares): Dialogue {
  if (dice.between(1, 100) <= copied) {
    return { language: "zh", system: systemPromptOf(dice), turns: [rareRepeated(dice)] }
  }
  const language = dice.pick(languages)
  return { language, system: systemPromptOf(dice), turns: turnsOf(dice, language, named) }
}

/** Most characters stand nowhere else: that each can be copied is learned here. */
function rareRepeated(dice: Dice): Turn {
  return askedTurn(dice, "zh", "repeat", () => {
    const answer = Array.from({ length: dice.between(1, rareMax) }, () => anyHan(dice)).join("")
    return { slots: { chars: answer, words: answer }, answer }
  })
}

function turnsOf(dice: Dice, language: Language, named: number): ReadonlyArray<Turn> {
  if (dice.between(1, 100) <= named) return namedTurns(dice, language)
  const kind = dice.between(1, 100)
  if (kind <= 4) return [...others(dice, language, dice.between(0, 4)), nameAsked(dice, language, undefined)]
  if (kind <= 9) return [turnOfIntent(dice, language, "capital"), turnOfIntent(dice, language, "capital-next")]
  return others(dice, language, dice.between(1, turnsMax))
}

const others = (dice: Dice, language: Language, count: number) =>
  Array.from({ length: count }, () => turnOf(dice, language))

function namedTurns(dice: Dice, language: Language): ReadonlyArray<Turn> {
  const name = nameOf(dice, language)
  const told = nameTold(dice, language, name)
  const asked = nameAsked(dice, language, name)
  const between = others(dice, language, dice.between(0, turnsBetweenMax))
  // Some say another name later: the last one counts.
  if (!dice.chance(0.12)) return [told, ...between, asked]
  const later = nameOf(dice, language)
  return [told, ...between, nameTold(dice, language, later), nameAsked(dice, language, later)]
}

const nameTold = (dice: Dice, language: Language, name: string) =>
  askedTurn(dice, language, "name-tell", () => ({ slots: { name }, answer: greeted(name, language) }))

const nameAsked = (dice: Dice, language: Language, name: string | undefined) =>
  askedTurn(dice, language, "name-ask", () => ({
    slots: {},
    answer: name === undefined ? notTold(language) : remembered(name, language)
  }))
