/**
 * Ways to say a thing, from the files in `phrasings/`: `(a|b|)` is one of its parts, `{name}` is filled in.
 *
 * A file is read as sections: `[name]`, then one way on each line.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import type { Dice } from "./dice.ts"

export type Sections = ReadonlyMap<string, ReadonlyArray<string>>
export type Slots = Readonly<Record<string, string>>

export function readSections(name: string): Sections {
  const text = readFileSync(join(import.meta.dirname, "phrasings", `${name}.txt`), "utf8")
  const sections = new Map<string, Array<string>>()
  let lines: Array<string> | undefined
  for (const line of text.split("\n")) {
    const head = /^\[([a-z0-9-]+)\]$/.exec(line)?.[1]
    if (head !== undefined) {
      lines = []
      sections.set(head, lines)
    } else if (line !== "") lines?.push(line)
  }
  return sections
}

/** One of the ways that the template stands for; slots are left as they are. */
export function chosen(dice: Dice, template: string): string {
  let text = template
  for (let next = innermost(dice, text); next !== text; next = innermost(dice, text)) text = next
  return text
}

const innermost = (dice: Dice, text: string) =>
  text.replace(/\(([^()]*)\)/, (_, parts: string) => dice.pick(parts.split("|")))

/** Slots without a value are left as they are. */
export function filled(text: string, slots: Slots): string {
  return text.replace(/\{([a-z]+)\}/g, (slot, name: string) => slots[name] ?? slot)
}

/** How many ways the template stands for, the values of its slots not counted. */
export function waysOf(template: string): number {
  // Inside out: a group becomes the number of its ways, between marks that no template has.
  let text = template
  for (;;) {
    const next = text.replace(/\(([^()]*)\)/, (_, parts: string) => `<${sum(parts.split("|").map(product))}>`)
    if (next === text) return product(text)
    text = next
  }
}

const product = (text: string) => [...text.matchAll(/<(\d+)>/g)].reduce((ways, [, count]) => ways * Number(count), 1)
const sum = (numbers: ReadonlyArray<number>) => numbers.reduce((total, number) => total + number, 0)
