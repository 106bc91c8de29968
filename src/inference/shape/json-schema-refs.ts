/** The references of a JSON Schema, and with which characters what it describes begins. */
import type { Piece, Rules } from "./gbnf-text.ts"
import { isSchema, refusal, type Schema } from "./schema-refused.ts"

interface Target {
  readonly rule: string
  /** Undefined while it is being made. */
  width: number | undefined
  /** What it refers to that was being made before it. */
  loops: ReadonlySet<Target>
}

const typeNames = ["object", "array", "string", "number", "integer", "boolean", "null"]
/** Of a union that goes on further nothing is known. */
const startsMax = 100
/** What JSON of a type begins with; integers are numbers. */
const starts = { object: "{", array: "[", string: '"', number: "0", integer: "0", boolean: "t", null: "n" } as const

export class Resolver {
  readonly #root: unknown
  readonly #rules: Rules
  readonly #targets = new Map<string, Target>()
  /** What was referred to while it was being made. */
  #loops = new Set<Target>()

  constructor(root: unknown, rules: Rules) {
    this.#root = root
    this.#rules = rules
  }

  /** One rule for each target, made by `make` the first time. */
  refer(
    pointer: unknown,
    path: string,
    open: ReadonlySet<string>,
    make: (target: unknown, open: ReadonlySet<string>) => Piece
  ): Piece {
    if (typeof pointer !== "string") throw refusal(`${path}.$ref`, "is no text")
    if (open.has(pointer)) throw refusal(path, "refers to itself, and to nothing else")
    const known = this.#targets.get(pointer)
    if (known !== undefined) {
      if (known.width === undefined) this.#loops.add(known)
      for (const loop of known.loops) this.#loops.add(loop)
      return { text: known.rule, width: known.width ?? 1 }
    }
    const target: Target = { rule: this.#rules.reserve(), width: undefined, loops: new Set() }
    this.#targets.set(pointer, target)
    const { loops, made: piece } = this.watched(() => make(this.#targetOf(pointer, path), new Set(open).add(pointer)))
    target.width = piece.width
    target.loops = loops
    return { text: this.#rules.add(target.rule, piece.text), width: piece.width }
  }

  /** `isLoop`: what is made refers to something that it is a part of. */
  watched<A>(make: () => A): { readonly made: A; readonly isLoop: boolean; readonly loops: ReadonlySet<Target> } {
    const before = this.#loops
    this.#loops = new Set()
    const made = make()
    const loops = this.#loops
    this.#loops = new Set([...before, ...loops])
    return { made, loops, isLoop: [...loops].some(({ width }) => width === undefined) }
  }

  /** RFC 6901, within this schema. */
  #targetOf(pointer: string, path: string): unknown {
    if (!/^#(\/|$)/.test(pointer)) throw refusal(`${path}.$ref`, "points out of the schema")
    let target = this.#root
    for (const part of pointer.split("/").slice(1)) {
      const key = part.replaceAll("~1", "/").replaceAll("~0", "~")
      const holder: unknown = target
      if (typeof holder !== "object" || holder === null || !Object.hasOwn(holder, key)) {
        throw refusal(`${path}.$ref`, "points to nothing")
      }
      target = (holder as Schema)[key]
    }
    return target
  }

  /** Whether the first character of a value tells which of the schemas it is of. */
  beginDifferently(schemas: ReadonlyArray<unknown>): boolean {
    const seen = new Set<string>()
    for (const schema of schemas) {
      const starts = this.#startsOf(schema, new Set())
      if (starts.some((start) => seen.has(start))) return false
      for (const start of starts) seen.add(start)
    }
    return true
  }

  #startsOf(schema: unknown, seen: Set<unknown>): ReadonlyArray<string> {
    const all = Object.values(starts)
    if (!isSchema(schema) || seen.size > startsMax) return all
    if (seen.has(schema)) return []
    seen.add(schema)
    if (typeof schema["$ref"] === "string") return this.#startsOf(this.#targetOf(schema["$ref"], ""), seen)
    const values = "const" in schema ? [schema["const"]] : schema["enum"]
    if (Array.isArray(values)) return values.map(startOf)
    for (const key of ["anyOf", "oneOf", "allOf"]) {
      const list = schema[key]
      if (Array.isArray(list)) return list.flatMap((one: unknown) => this.#startsOf(one, seen))
    }
    const types = typesOf(schema, Object.keys(schema), "")
    return types.map((type) => starts[type as keyof typeof starts])
  }
}

function startOf(value: unknown): string {
  if (value === null) return starts.null
  if (Array.isArray(value)) return starts.array
  return starts[typeof value as keyof typeof starts] ?? starts.object
}

/** Where a schema does not say it, its other words do. */
export function typesOf(schema: Schema, keys: ReadonlyArray<string>, path: string): ReadonlyArray<string> {
  const { type } = schema
  if (type === undefined)
    return [impliedType(keys)].flatMap((one) => one ?? typeNames.filter((name) => name !== "integer"))
  const types: ReadonlyArray<unknown> = Array.isArray(type) ? type : [type]
  const known = types.filter((one) => typeof one === "string" && typeNames.includes(one))
  if (known.length === 0 || known.length < types.length) throw refusal(`${path}.type`, "is no type of JSON")
  const names = new Set(known as ReadonlyArray<string>)
  // An integer is a number.
  return [...names].filter((name) => name !== "integer" || !names.has("number"))
}

function impliedType(keys: ReadonlyArray<string>): string | undefined {
  const has = (...words: ReadonlyArray<string>) => words.some((word) => keys.includes(word))
  if (has("properties", "required", "additionalProperties")) return "object"
  if (has("items", "prefixItems", "minItems", "maxItems")) return "array"
  if (has("minLength", "maxLength", "format")) return "string"
  if (has("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")) return "number"
  return undefined
}

export function isOfType(value: unknown, type: string): boolean {
  if (type === "integer") return Number.isInteger(value)
  if (type === "null") return value === null
  if (type === "array") return Array.isArray(value)
  if (type === "object") return isSchema(value)
  return typeof value === type
}
