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
  const first = branches[0]!
  const shared = branches.reduce((length, { text }) => sharedLength(first.text.slice(0, length), text), Infinity)
  const start = literal(first.text.slice(0, shared))
  if (branches.length === 1) return { text: `${start} ${first.after}`, width: 1 }
  const rests = branches.map(({ after, text }) => ({ after, text: text.slice(shared) }))
  const groups = Map.groupBy(rests, ({ text }) => text.codePointAt(0))
  const pieces = [...groups.values()].map((group) => oneOfTexts(rules, group))
  const width = Math.max(pieces.length, ...pieces.map((piece) => piece.width))
  return { text: `${start} ${rules.fresh(pieces.map(({ text }) => text).join(" | "))}`, width }
}

/** Never the half of a surrogate pair. */
function sharedLength(a: string, b: string): number {
  let length = 0
  while (length < a.length && a[length] === b[length]) length++
  return /[\uD800-\uDBFF]$/.test(a.slice(0, length)) ? length - 1 : length
}
