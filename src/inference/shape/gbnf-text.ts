/** Pieces of llama.cpp's grammar notation, and how wide they make a grammar. */

/**
 * Something in a grammar. `width` bounds how many ways of reading are open at once: llama.cpp looks at all of them for
 * every token, so that a grammar that is too wide would hold up whoever is decoded in the same step.
 */
export interface Piece {
  readonly text: string
  readonly width: number
}

export class Rules {
  readonly #texts = new Map<string, string>()
  #names = 0
  chars = 0

  /** A name that no other rule has. */
  reserve(): string {
    return `r${++this.#names}`
  }

  add(name: string, text: string): string {
    this.chars += text.length
    this.#texts.set(name, text)
    return name
  }

  fresh(text: string): string {
    return this.add(this.reserve(), text)
  }

  /** The text is made the first time only. */
  once(name: string, text: () => string): string {
    return this.#texts.has(name) ? name : this.add(name, text())
  }

  /** The whole grammar, which begins with `root`. */
  print(root: string): string {
    return [`root ::= ${root}`, ...[...this.#texts].map(([name, text]) => `${name} ::= ${text}`)].join("\n")
  }
}

export function literal(text: string): string {
  return `"${text.replace(/["\\\p{Cc}]/gu, escaped)}"`
}

function escaped(character: string): string {
  if (character === '"' || character === "\\") return `\\${character}`
  return `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`
}

export interface Branch {
  readonly text: string
  /** What follows the text. */
  readonly after: string
}

/**
 * One of several texts, each another. They branch where they differ: as many ways of reading as share a start would be
 * open at once otherwise.
 */
export function oneOfTexts(rules: Rules, branches: ReadonlyArray<Branch>): Piece {
  return branching(
    rules,
    branches.toSorted((a, b) => (a.text < b.text ? -1 : 1)),
    0
  )
}

/** All have the same first `from` characters. What the first and the last of them share, all of them do. */
function branching(rules: Rules, sorted: ReadonlyArray<Branch>, from: number): Piece {
  const first = sorted[0]!
  const to = sharedLength(first.text, sorted.at(-1)!.text, from)
  const start = literal(first.text.slice(from, to))
  if (sorted.length === 1) return { text: `${start} ${first.after}`, width: 1 }
  const groups = Map.groupBy(sorted, ({ text }) => text.codePointAt(to))
  const pieces = [...groups.values()].map((group) => branching(rules, group, to))
  const width = Math.max(pieces.length, ...pieces.map((piece) => piece.width))
  return { text: `${start} ${rules.fresh(pieces.map(({ text }) => text).join(" | "))}`, width }
}

/** Never the half of a surrogate pair. */
function sharedLength(a: string, b: string, from: number): number {
  let length = from
  while (length < a.length && a[length] === b[length]) length++
  return length > from && /[\uD800-\uDBFF]/.test(a[length - 1]!) ? length - 1 : length
}
