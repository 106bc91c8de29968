/** The grammar of each type of a JSON Schema. */
import { literal, type Piece, type Rules } from "./gbnf-text.ts"
import {
  anyObject,
  anyValue,
  character,
  formats,
  jsonNumber,
  jsonText,
  quotedText,
  type Spacing
} from "./json-rules.ts"
import { numbers, wholeNumbers } from "./number-range.ts"
import { isSchema, refusal, type Schema } from "./schema-refused.ts"

export interface Making {
  readonly rules: Rules
  readonly spacing: Spacing
  /** The rule of what may stand between two tokens. */
  readonly space: string
  /** Of a part. */
  readonly value: (schema: unknown, path: string) => Piece
  /** `{from,to}`, of which no grammar may have too many. */
  readonly repeat: (from: number, to: number | undefined, path: string) => string
}

/** What may stand between two tokens is read in so many ways. */
const spaceWidth = 3

export function objectPiece(making: Making, schema: Schema, path: string): Piece {
  const { additionalProperties = true, properties = {}, required = [] } = schema
  if (!isSchema(properties)) throw refusal(`${path}.properties`, "is no map of schemas")
  if (!Array.isArray(required)) throw refusal(`${path}.required`, "is no list of names")
  const others = required.filter((name) => !Object.hasOwn(properties, name))
  if (others.length > 0 && additionalProperties === false) {
    throw refusal(`${path}.required`, "names a property that there may not be")
  }
  const names = [...Object.keys(properties), ...others].map(String)
  if (names.length === 0) return mapPiece(making, additionalProperties, path)
  const members = names.map((name) => {
    const isNamed = Object.hasOwn(properties, name)
    const at = isNamed ? `${path}.properties.${name}` : `${path}.additionalProperties`
    const value = making.value(isNamed ? properties[name] : additionalProperties, at)
    const text = `${literal(`${jsonText(name)}:`)} ${making.space} ${value.text}`
    return { rule: making.rules.fresh(text), width: value.width, isRequired: required.includes(name) }
  })
  return { text: membersText(making, members), width: membersWidth(members) }
}

interface Member {
  readonly rule: string
  readonly width: number
  readonly isRequired: boolean
}

/** From the last to the first: what may be written from one on, and what behind those before it. */
function membersText({ rules, space }: Making, members: ReadonlyArray<Member>): string {
  const end = rules.fresh(`${space} "}"`)
  let behind = end
  let next: string | undefined
  let isNeeded = false
  for (const { isRequired, rule } of members.toReversed()) {
    const one = `${rule} ${behind}`
    next = isRequired ? one : rules.fresh(next === undefined ? one : `${one} | ${next}`)
    isNeeded ||= isRequired
    behind = rules.fresh(`"," ${space} ${next}${isNeeded ? "" : ` | ${end}`}`)
  }
  return `"{" ${space} ${isNeeded ? next : `(${next} | "}")`}`
}

/** Optional members that stand side by side are all possible at once. */
function membersWidth(members: ReadonlyArray<Member>): number {
  let run = 1
  let longest = 1
  for (const { isRequired } of members) {
    run = isRequired ? 1 : run + 1
    longest = Math.max(longest, run)
  }
  return spaceWidth + Math.max(longest, ...members.map(({ width }) => width))
}

function mapPiece(making: Making, values: unknown, path: string): Piece {
  const { rules, space, spacing } = making
  if (values === false) return { text: `"{" ${space} "}"`, width: spaceWidth }
  const value = values === true ? anyValue(rules, spacing) : making.value(values, `${path}.additionalProperties`)
  const rule = values === true ? value.text : rules.fresh(value.text)
  return { text: anyObject(rules, spacing, rule).text, width: value.width + spaceWidth }
}

export function arrayPiece(making: Making, schema: Schema, path: string): Piece {
  const { items = true, prefixItems = [] } = schema
  const least = countOf(schema, "minItems", path) ?? 0
  const most = countOf(schema, "maxItems", path)
  if (!Array.isArray(prefixItems)) throw refusal(`${path}.prefixItems`, "is no list of schemas")
  const isClosed = items === false || (prefixItems.length > 0 && schema["items"] === undefined)
  const highest = isClosed ? Math.min(most ?? Infinity, Math.max(prefixItems.length, least)) : most
  const fixed = prefixItems.map((one, index) => making.value(one, `${path}.prefixItems[${index}]`))
  if (
    highest !== undefined &&
    (highest < least || highest < fixed.length || (items === false && least > fixed.length))
  ) {
    throw refusal(path, "can have no items")
  }
  const { rules, space } = making
  const moreMost = highest === undefined ? undefined : highest - fixed.length
  const more = moreMost === 0 ? undefined : making.value(items, `${path}.items`)
  const width = Math.max(...[...fixed, ...(more ? [more] : [])].map((piece) => piece.width), 1) + spaceWidth
  const texts = fixed.map(({ text }) => text)
  if (more === undefined) return { text: listText(space, texts.join(` "," ${space} `)), width }
  const item = rules.fresh(more.text)
  const next = rules.fresh(`"," ${space} ${item}`)
  const moreLeast = Math.max(0, least - fixed.length)
  if (fixed.length > 0) {
    return {
      text: listText(space, `${texts.join(` "," ${space} `)} ${next}${making.repeat(moreLeast, moreMost, path)}`),
      width
    }
  }
  const others = making.repeat(Math.max(0, moreLeast - 1), moreMost === undefined ? undefined : moreMost - 1, path)
  const some = `${item} ${next}${others} ${space}`
  return { text: `"[" ${space} ${moreLeast > 0 ? some : `(${some})?`} "]"`, width }
}

function listText(space: string, inside: string): string {
  return inside === "" ? `"[" ${space} "]"` : `"[" ${space} ${inside} ${space} "]"`
}

export function stringPiece({ repeat, rules }: Making, schema: Schema, path: string): Piece {
  const least = countOf(schema, "minLength", path) ?? 0
  const most = countOf(schema, "maxLength", path)
  const { format } = schema
  if (format === undefined) {
    if (most !== undefined && most < least) throw refusal(path, "can have no text")
    const name = `text-${least}-${most ?? ""}`
    return { text: rules.once(name, () => quotedText(`${character(rules)}${repeat(least, most, path)}`)), width: 4 }
  }
  const inside = typeof format === "string" && Object.hasOwn(formats, format) ? formats[format] : undefined
  if (inside === undefined) {
    throw refusal(`${path}.format`, `is not supported; these are: ${Object.keys(formats).join(", ")}`)
  }
  if (least > 0 || most !== undefined) throw refusal(path, "has a format and a length")
  return { text: rules.once(`format-${String(format)}`, () => quotedText(inside)), width: 6 }
}

export function numberPiece({ rules }: Making, type: string, schema: Schema, path: string): Piece {
  const bound = (key: string) => {
    const value = schema[key]
    if (value === undefined) return undefined
    if (typeof value !== "number") throw refusal(`${path}.${key}`, "is no number")
    if (type === "number" && !Number.isInteger(value)) throw refusal(`${path}.${key}`, "is supported as a whole number")
    return value
  }
  const [from, to] = [bound("minimum"), bound("maximum")]
  const [above, below] = [bound("exclusiveMinimum"), bound("exclusiveMaximum")]
  const least = Math.max(from ?? -Infinity, above === undefined ? -Infinity : Math.floor(above) + 1)
  const most = Math.min(to ?? Infinity, below === undefined ? Infinity : Math.ceil(below) - 1)
  if (type === "number" && least === -Infinity && most === Infinity) return { text: jsonNumber(rules), width: 6 }
  const text = type === "number" ? numbers(least, most) : wholeNumbers(least, most)
  if (text === undefined) throw refusal(path, "can be no number")
  return { text: rules.fresh(text), width: 6 }
}

function countOf(schema: Schema, key: string, path: string): number | undefined {
  const value = schema[key]
  if (value === undefined) return undefined
  if (typeof value === "number" && Number.isInteger(value) && value >= 0) return value
  throw refusal(`${path}.${key}`, "is no count")
}
