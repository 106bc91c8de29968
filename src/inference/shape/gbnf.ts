/**
 * Reads a grammar that a client wrote, so that llama.cpp never sees one that could hold up all others.
 *
 * How many ways of reading llama.cpp has open may double with every token of a rule that refers to itself (`s ::= "x" s
 * "a" | "x" s "b" | ""`), so such rules are refused, and the ways of the others are counted.
 * https://github.com/ggml-org/llama.cpp/blob/master/grammars/README.md
 */
import * as Data from "effect/Data"
import * as Result from "effect/Result"

export const sourceMaxChars = 16_384
/** As `widthMax` of json-schema.ts; these are counted less sharply. */
export const openMax = 128
const sizeMax = 50_000
const nestingMax = 32
const repeatMax = 2_000

/** `line` counts from 1. */
export class GrammarRefused extends Data.TaggedError("GrammarRefused")<{
  readonly reason: string
  readonly line?: number
}> {}

type Node =
  /** So many characters, one after the other, which llama.cpp keeps as so many elements. */
  | { readonly type: "characters"; readonly count: number; readonly size: number }
  | { readonly type: "rule"; readonly name: string; readonly line: number }
  | { readonly type: "sequence"; readonly items: ReadonlyArray<Node> }
  | { readonly type: "choice"; readonly items: ReadonlyArray<Node> }
  | { readonly type: "repeat"; readonly item: Node; readonly from: number; readonly to: number }

/** Undefined when it may be used as it stands. */
export function grammarProblem(source: string): GrammarRefused | undefined {
  if (source.length > sourceMaxChars) return new GrammarRefused({ reason: `it is longer than ${sourceMaxChars}` })
  const read = Result.try({
    try: () => new Weigher(new Reader(source).rules()).weigh(),
    catch: (cause) => cause
  })
  if (Result.isSuccess(read)) return undefined
  if (read.failure instanceof GrammarRefused) return read.failure
  throw read.failure
}

/** One token of the notation. Spaces and comments are passed over before it; a line's end is a token. */
const words = [
  /(\r\n|\r|\n)/,
  /(::=|[|()*+?.])/,
  /("(?:[^"\\\r\n]|\\.)*")/,
  /(\[\^?(?:[^\]\\\r\n]|\\.)+\])/,
  /(\{[ \t]*\d{1,9}[ \t]*(?:,[ \t]*(?:\d{1,9})?[ \t]*)?\})/,
  /([a-zA-Z0-9-]+)/,
  /$/
]
const token = new RegExp(`(?:[ \\t]|#[^\\r\\n]*)*(?:${words.map(({ source }) => source).join("|")})`, "y")
const escaped = /\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[tnr\\"[\]])/y

interface Word {
  readonly text: string
  readonly line: number
}

class Reader {
  readonly #words: ReadonlyArray<Word>
  #at = 0

  constructor(source: string) {
    this.#words = wordsOf(source)
  }

  rules(): ReadonlyMap<string, Node> {
    const rules = new Map<string, Node>()
    for (this.#skipLines(); this.#peek() !== ""; this.#skipLines()) {
      const { line, text: name } = this.#next()
      if (!/^[a-zA-Z0-9-]+$/.test(name) || this.#next().text !== "::=") throw at(line, "a rule begins with `name ::=`")
      if (rules.has(name)) throw at(line, `there are two rules ${name}`)
      rules.set(name, this.#choice(0))
      if (this.#peek() !== "" && !isLineEnd(this.#peek())) throw at(this.#line(), "a rule ends with its line")
    }
    return rules
  }

  #choice(nesting: number): Node {
    if (nesting > nestingMax) throw at(this.#line(), `it is nested deeper than ${nestingMax}`)
    const items = [this.#sequence(nesting)]
    for (;;) {
      if (nesting > 0) this.#skipLines()
      if (this.#peek() !== "|") return items.length === 1 ? items[0]! : { type: "choice", items }
      this.#next()
      this.#skipLines()
      items.push(this.#sequence(nesting))
    }
  }

  #sequence(nesting: number): Node {
    const items: Array<Node> = []
    for (;;) {
      if (nesting > 0) this.#skipLines()
      const word = this.#peek()
      if (word === "" || word === "|" || word === ")" || isLineEnd(word)) return { type: "sequence", items }
      let item = this.#item(nesting)
      for (let [from, to] = this.#times(); to >= 0; [from, to] = this.#times()) {
        item = { type: "repeat", item, from, to }
      }
      items.push(item)
    }
  }

  #item(nesting: number): Node {
    const { line, text } = this.#next()
    if (text.startsWith('"')) return { type: "characters", count: text.length - 2, size: text.length }
    if (text.startsWith("[") || text === ".") return { type: "characters", count: 1, size: text.length }
    if (text === "(") {
      const inside = this.#choice(nesting + 1)
      if (this.#next().text !== ")") throw at(line, "a group does not end")
      return inside
    }
    if (/^[a-zA-Z0-9-]+$/.test(text)) return { type: "rule", name: text, line }
    throw at(line, `${text} stands where something to write is expected`)
  }

  /** [from, to] of a repetition; `to` is −1 where there is none. */
  #times(): readonly [from: number, to: number] {
    const word = this.#peek()
    const line = this.#line()
    if (word !== "*" && word !== "+" && word !== "?" && !word.startsWith("{")) return [0, -1]
    this.#next()
    if (word === "*") return [0, Infinity]
    if (word === "+") return [1, Infinity]
    if (word === "?") return [0, 1]
    const [from = "", to] = word
      .slice(1, -1)
      .split(",")
      .map((text) => text.trim())
    const last = to === undefined ? Number(from) : to === "" ? Infinity : Number(to)
    if (Number(from) > repeatMax || (last !== Infinity && last > repeatMax)) {
      throw at(line, `${word} repeats more often than ${repeatMax}`)
    }
    if (last < Number(from)) throw at(line, `${word} is no range`)
    return [Number(from), last]
  }

  #skipLines(): void {
    while (isLineEnd(this.#peek())) this.#at++
  }

  #peek(): string {
    return this.#words[this.#at]?.text ?? ""
  }

  #line(): number {
    return this.#words[Math.min(this.#at, this.#words.length - 1)]?.line ?? 1
  }

  #next(): Word {
    return this.#words[this.#at++] ?? { text: "", line: this.#line() }
  }
}

function wordsOf(source: string): ReadonlyArray<Word> {
  const words: Array<Word> = []
  let line = 1
  for (let index = 0; index < source.length; ) {
    token.lastIndex = index
    const match = token.exec(source)
    if (match === null) throw at(line, "it cannot be read")
    const text = match.slice(1).find((group) => group !== undefined)
    index = token.lastIndex
    if (text === undefined) break
    if (/^["[]/.test(text)) checkEscapes(text, line)
    words.push({ text, line })
    if (isLineEnd(text)) line++
  }
  return words
}

function checkEscapes(text: string, line: number): void {
  for (let index = text.indexOf("\\"); index >= 0; index = text.indexOf("\\", escaped.lastIndex)) {
    escaped.lastIndex = index
    if (!escaped.test(text)) throw at(line, "there is an escape that is none")
  }
}

function isLineEnd(text: string): boolean {
  return text === "\n" || text === "\r" || text === "\r\n"
}

function at(line: number, reason: string): GrammarRefused {
  return new GrammarRefused({ reason, line })
}

interface Weight {
  /** What llama.cpp makes of it, in elements. */
  readonly size: number
  /** Its characters, with all that it repeats and refers to: each is a place where a way of reading may be. */
  readonly places: number
  /** How many ways of reading may be open in it, if it is begun once. */
  readonly open: number
  /** There is one way of reading it, and one length. */
  readonly isRigid: boolean
}

class Weigher {
  readonly #rules: ReadonlyMap<string, Node>
  readonly #weights = new Map<string, Weight | "weighing">()

  constructor(rules: ReadonlyMap<string, Node>) {
    this.#rules = rules
  }

  /** All rules, used or not, as llama.cpp reads them all. */
  weigh(): void {
    if (!this.#rules.has("root")) throw new GrammarRefused({ reason: "it has no rule `root`" })
    let size = 0
    for (const name of this.#rules.keys()) size += this.#rule(name, 1).size
    const { open } = this.#rule("root", 1)
    if (size > sizeMax) throw new GrammarRefused({ reason: "its repetitions make it too large" })
    if (open > openMax) throw new GrammarRefused({ reason: `it may be read in more than ${openMax} ways at once` })
  }

  #rule(name: string, line: number): Weight {
    const known = this.#weights.get(name)
    if (known === "weighing") throw at(line, `the rule ${name} refers to itself, which is not supported`)
    if (known !== undefined) return known
    const node = this.#rules.get(name)
    if (node === undefined) throw at(line, `there is no rule ${name}`)
    this.#weights.set(name, "weighing")
    const weight = this.#weightOf(node)
    this.#weights.set(name, weight)
    return weight
  }

  #weightOf(node: Node): Weight {
    switch (node.type) {
      case "characters":
        return { size: node.size, places: node.count, open: 1, isRigid: true }
      case "rule":
        return { ...this.#rule(node.name, node.line), size: 1 }
      case "sequence":
        return sequenceWeight(node.items.map((item) => this.#weightOf(item)))
      case "choice":
        return choiceWeight(node.items.map((item) => this.#weightOf(item)))
      case "repeat":
        return repeatWeight(node, this.#weightOf(node.item))
    }
  }
}

/** What follows a part of many lengths may have been begun at many moments, and be open in all its places. */
function sequenceWeight(items: ReadonlyArray<Weight>): Weight {
  const flexible = items.findIndex(({ isRigid }) => !isRigid)
  const behind = flexible < 0 ? [] : items.slice(flexible + 1)
  const open = sum(behind.map(({ places }) => places)) + (items[flexible]?.open ?? 1)
  return { size: sizeOf(items), places: placesOf(items), open, isRigid: flexible < 0 }
}

function choiceWeight(items: ReadonlyArray<Weight>): Weight {
  const open = sum(items.map((item) => item.open))
  return { size: sizeOf(items) + items.length, places: placesOf(items), open, isRigid: false }
}

function repeatWeight({ from, to }: { readonly from: number; readonly to: number }, item: Weight): Weight {
  const times = Math.max(1, to === Infinity ? from + 1 : to)
  const places = item.places * times
  // The turns of a part of one length do not overlap.
  return { size: (item.size + 3) * times, places, open: item.isRigid ? 2 : places + 1, isRigid: false }
}

const sizeOf = (items: ReadonlyArray<Weight>) => sum(items.map(({ size }) => size))
const placesOf = (items: ReadonlyArray<Weight>) => sum(items.map(({ places }) => places))

function sum(numbers: ReadonlyArray<number>): number {
  return numbers.reduce((all, number) => all + number, 0)
}
