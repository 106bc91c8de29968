/** Questions about everything else, composed of forms and topics, or written down whole: that they differ matters. */

import type { Language } from "./dialogue.ts"
import type { Dice } from "./dice.ts"
import { chosen, readSections, type Sections } from "./phrasing.ts"

const sections: Readonly<Record<Language, Sections>> = {
  en: readSections("outside-en"),
  zh: readSections("outside-zh")
}

export function outsideQuestion(dice: Dice, language: Language): string {
  const from = sections[language]
  const draw = (name: string) => chosen(dice, dice.pick(from.get(name) ?? []))
  let text = draw(dice.pick(["ask", "do", "said"]))
  while (text.includes("{")) text = text.replace(/\{([a-z]+)\}/, (_, name: string) => partOf(dice, name, draw))
  return text.slice(0, 1).toUpperCase() + text.slice(1)
}

/** Sums of more digits than the guide learned are beyond it as well. */
function partOf(dice: Dice, name: string, draw: (name: string) => string): string {
  return name === "big" ? String(dice.between(2, dice.pick([20, 100, 10_000]))) : draw(name)
}
