/**
 * From a JSON Schema to a grammar.
 *
 *   G1. Whatever the grammar takes is JSON, and valid by the schema.
 *   G2. What of a schema cannot be kept is refused by its name: nothing of it is left out in silence.
 *   G3. It takes time, and gives text, in proportion to the schema, and both are bounded.
 *   G4. At most `widthMax` ways of reading are open at once, however long the answer is.
 *
 * The grammar takes less than the schema: properties come in the schema's order, and none that it does not name.
 */
import { oneOfTexts, type Piece, type Rules } from "./gbnf-text.ts"
import { anyValue, jsonText, type Spacing, spaceOf } from "./json-rules.ts"
import { arrayPiece, type Making, numberPiece, objectPiece, stringPiece } from "./json-schema-parts.ts"
import { isOfType, Resolver, typesOf } from "./json-schema-refs.ts"
import { isSchema, refusal, type Schema } from "./schema-refused.ts"

export const nodesMax = 2_000
export const depthMax = 32
/** On one core and with 150,000 tokens each costs a step up to 4 ms, as llama.cpp tries all tokens in it. */
export const widthMax = 64
export const grammarMaxChars = 262_144
/** llama.cpp unrolls what is repeated a bounded number of times, and takes no more of one than this. */
const repeatMax = 2_000
/** Of one schema, together. */
const repeatsMax = 5_000

/** Throws `SchemaRefused`. Several schemas may share rules. */
export function schemaPiece(root: unknown, rules: Rules, spacing: Spacing): Piece {
  const writer = new Writer(root, rules, spacing)
  const piece = writer.value({ $ref: "#" }, "", 0, new Set())
  if (piece.width > widthMax) throw refusal("", `has more than ${widthMax} alternatives that begin alike`)
  if (rules.chars > grammarMaxChars) throw refusal("", "makes a grammar that is too large")
  return piece
}

const annotations = new Set(
  ["title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"].concat(
    // What is defined there counts where it is referred to.
    ["$schema", "$id", "$comment", "$defs", "definitions"]
  )
)
const keywordsOf: Readonly<Record<string, ReadonlyArray<string>>> = {
  object: ["properties", "required", "additionalProperties"],
  array: ["items", "prefixItems", "minItems", "maxItems"],
  string: ["minLength", "maxLength", "format"],
  number: ["minimum", "maximum"],
  integer: ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"],
  boolean: [],
  null: []
}

class Writer {
  readonly #resolver: Resolver
  readonly #rules: Rules
  readonly #spacing: Spacing
  #nodes = 0
  #repeats = 0

  constructor(root: unknown, rules: Rules, spacing: Spacing) {
    this.#resolver = new Resolver(root, rules)
    this.#rules = rules
    this.#spacing = spacing
  }

  /** `open` are the references on the way here since the last character that was written. */
  value(schema: unknown, path: string, depth: number, open: ReadonlySet<string>): Piece {
    if (++this.#nodes > nodesMax) throw refusal("", `has more than ${nodesMax} parts`)
    if (depth > depthMax) throw refusal(path, `is nested deeper than ${depthMax}`)
    if (this.#rules.chars > grammarMaxChars) throw refusal("", "makes a grammar that is too large")
    if (schema === true) return anyValue(this.#rules, this.#spacing)
    if (!isSchema(schema)) throw refusal(path, schema === false ? "takes nothing" : "is no schema")
    const keys = Object.keys(schema).filter((key) => !annotations.has(key) && schema[key] !== undefined)
    const only = (...known: ReadonlyArray<string>) => allow(keys, known, path)
    if (keys.length === 0) return anyValue(this.#rules, this.#spacing)
    if (keys.includes("$ref")) {
      only("$ref")
      return this.#resolver.refer(schema["$ref"], path, open, (target, opened) =>
        this.value(target, path, depth + 1, opened)
      )
    }
    if (keys.includes("const") || keys.includes("enum")) {
      only("const", "enum", "type")
      return this.#literals(schema, path)
    }
    for (const key of ["anyOf", "oneOf", "allOf"]) {
      if (!keys.includes(key)) continue
      only(key)
      return this.#union(key, schema[key], `${path}.${key}`, depth, open)
    }
    const types = typesOf(schema, keys, path)
    only("type", ...types.flatMap((type) => keywordsOf[type]!))
    const pieces = types.map((type) => this.#typed(type, schema, path, depth))
    return this.#either(pieces)
  }

  /** One of several that begin differently. */
  #either(pieces: ReadonlyArray<Piece>): Piece {
    if (pieces.length === 1) return pieces[0]!
    const text = this.#rules.fresh(pieces.map((piece) => piece.text).join(" | "))
    return { text, width: pieces.length + Math.max(...pieces.map(({ width }) => width)) }
  }

  #literals(schema: Schema, path: string): Piece {
    const list = "const" in schema ? [schema["const"]] : schema["enum"]
    if (!Array.isArray(list) || list.length === 0) throw refusal(`${path}.enum`, "is no list of values")
    const types = schema["type"] === undefined ? undefined : typesOf(schema, [], path)
    const fitting = list.filter((value) => types === undefined || types.some((type) => isOfType(value, type)))
    const fromBoth = "const" in schema && Array.isArray(schema["enum"]) ? schema["enum"].map(jsonText) : undefined
    const texts = new Set(fitting.map(jsonText).filter((text) => fromBoth?.includes(text) ?? true))
    if (texts.size === 0) throw refusal(path, "takes no value: its values are not of its type")
    this.#nodes += texts.size
    const branches = [...texts].map((text) => ({ text, after: "" }))
    return oneOfTexts(this.#rules, branches)
  }

  #union(key: string, list: unknown, path: string, depth: number, open: ReadonlySet<string>): Piece {
    if (!Array.isArray(list) || list.length === 0) throw refusal(path, "is no list of schemas")
    if (key === "allOf" && list.length > 1) throw refusal(path, "is not supported with more than one schema")
    const isDistinct = this.#resolver.beginDifferently(list)
    if (key === "oneOf" && !isDistinct) {
      throw refusal(path, "has alternatives that one value may fit together; `anyOf` is supported")
    }
    const { isLoop, made: pieces } = this.#resolver.watched(() =>
      list.map((one, index) => this.value(one, `${path}[${index}]`, depth + 1, open))
    )
    if (isDistinct) return this.#either(pieces)
    // Each turn of the loop would double the ways of reading.
    if (isLoop) throw refusal(path, "has alternatives that begin alike, one of which refers back to where it is")
    const text = this.#rules.fresh(pieces.map((piece) => piece.text).join(" | "))
    return { text, width: pieces.reduce((sum, { width }) => sum + width, 0) }
  }

  #typed(type: string, schema: Schema, path: string, depth: number): Piece {
    const making = this.#making(depth)
    switch (type) {
      case "object":
        return objectPiece(making, schema, path)
      case "array":
        return arrayPiece(making, schema, path)
      case "string":
        return stringPiece(making, schema, path)
      case "boolean":
        return { text: '("true" | "false")', width: 2 }
      case "null":
        return { text: '"null"', width: 1 }
      default:
        return numberPiece(making, type, schema, path)
    }
  }

  #making(depth: number): Making {
    return {
      rules: this.#rules,
      spacing: this.#spacing,
      space: spaceOf(this.#rules, this.#spacing),
      value: (schema, path) => this.value(schema, path, depth + 1, new Set()),
      repeat: (from, to, path) => this.#repeat(from, to, path)
    }
  }

  #repeat(from: number, to: number | undefined, path: string): string {
    if (from > repeatMax) throw refusal(path, `is longer than ${repeatMax}`)
    // Of what may be longer, only the shorter is taken.
    const most = to === undefined ? undefined : Math.min(to, repeatMax)
    this.#repeats += most ?? from
    if (this.#repeats > repeatsMax) throw refusal(path, "makes a grammar that is too large")
    return most === undefined ? `{${from},}` : `{${from},${most}}`
  }
}

function allow(keys: ReadonlyArray<string>, known: ReadonlyArray<string>, path: string): void {
  const unknown = keys.find((key) => !known.includes(key))
  if (unknown !== undefined) throw refusal(`${path}.${unknown}`, `is not supported beside ${known.join(", ")}`)
}
