/** Han characters by how common they are, in the order of GB 2312: of its two planes the first is of everyday ones. */
import type { Dice } from "./dice.ts"

const decoder = new TextDecoder("gb18030")

/** The 3,755 of everyday text. */
export const commonHan = rows(16, 55)
/** Those and 3,008 more, among them many that names are made of. */
export const standardHan = [...commonHan, ...rows(56, 87)]

/** Most of these stand nowhere else in the corpus: all that can be learned of them is to copy them. */
export function anyHan(dice: Dice): string {
  if (dice.chance(0.15)) return String.fromCodePoint(dice.between(0x4e00, 0x9fa5))
  return dice.pick(dice.chance(0.5) ? commonHan : standardHan)
}

function rows(first: number, last: number): ReadonlyArray<string> {
  const cells = Array.from({ length: (last - first + 1) * 94 }, (_, cell) =>
    Uint8Array.of(0xa0 + first + Math.floor(cell / 94), 0xa1 + (cell % 94))
  )
  // Five cells at the end of row 55 are empty; GB 18030 maps them to private characters.
  return cells.map((cell) => decoder.decode(cell)).filter((character) => /^\p{sc=Han}$/u.test(character))
}
