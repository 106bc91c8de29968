/** JSON Schemas as clients send them, and a checker that knows nothing of grammars. */
import fc from "fast-check"

export type Schema = boolean | { readonly [key: string]: unknown }

const note = fc.constantFrom({}, {}, { description: "what it is" }, { title: "It", default: 1 })
const name = fc.oneof(
  fc.constantFrom(
    "a",
    "ab",
    "abc",
    "name",
    "id",
    "größe",
    'q"uote',
    "back\\slash",
    "new\nline",
    "漢字",
    "🙂",
    "",
    "a b"
  ),
  fc.string({ unit: "grapheme", maxLength: 6 })
)
const scalar = fc.oneof(name, fc.integer({ min: -2_000, max: 2_000 }), fc.boolean(), fc.constant(null), fc.double())
const bounds = (max: number) =>
  fc.record({
    from: fc.option(fc.nat({ max }), { nil: undefined }),
    more: fc.option(fc.nat({ max }), { nil: undefined })
  })
const limits = (
  least: string,
  most: string,
  { from, more }: { from: number | undefined; more: number | undefined }
) => ({
  ...(from !== undefined && { [least]: from }),
  ...(more !== undefined && { [most]: (from ?? 0) + more })
})
const whole = fc.integer({ min: -1_500, max: 1_500 })
const range = fc
  .tuple(fc.option(whole, { nil: undefined }), fc.option(fc.nat({ max: 2_000 }), { nil: undefined }))
  .map(([from, more]) => ({
    ...(from !== undefined && { minimum: from }),
    ...(more !== undefined && { maximum: (from ?? -700) + more })
  }))

const text = bounds(8).map((some) => ({ type: "string", ...limits("minLength", "maxLength", some) }))
const format = fc.constantFrom("date", "time", "date-time", "uuid").map((format) => ({ type: "string", format }))
const number = fc.tuple(fc.constantFrom("number", "integer"), range).map(([type, some]) => ({ type, ...some }))
const above = whole.map((exclusiveMinimum) => ({
  type: "integer",
  exclusiveMinimum,
  exclusiveMaximum: exclusiveMinimum + 9
}))
const literal = fc.oneof(
  scalar.map((one) => ({ const: one })),
  fc
    .array(fc.oneof({ weight: 5, arbitrary: scalar }, { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 1 }) }), {
      minLength: 1,
      maxLength: 12,
      size: "max"
    })
    .map((list) => ({ enum: list }))
)
const plain = fc.constantFrom(
  { type: "boolean" },
  { type: "null" },
  { type: ["string", "null"] },
  { type: ["integer", "boolean"] }
)

type Tied = { readonly schema: Schema }

const { schema } = fc.letrec<Tied>((tie) => ({
  schema: fc.oneof(
    { maxDepth: 4, depthIdentifier: "schema" },
    fc.oneof(text, format, number, above, literal, plain),
    object(tie("schema")),
    list(tie("schema")),
    union(tie("schema"))
  )
}))

function object(inner: fc.Arbitrary<Schema>) {
  const properties = fc.uniqueArray(fc.tuple(name, inner, fc.boolean()), { maxLength: 5, selector: ([key]) => key })
  return fc.tuple(properties, fc.constantFrom(true, false, undefined), note).map(([some, additional, notes]) => ({
    ...notes,
    type: "object",
    properties: Object.fromEntries(some.map(([key, value]) => [key, value])),
    required: some.filter(([, , isRequired]) => isRequired).map(([key]) => key),
    ...(additional !== undefined && { additionalProperties: additional })
  }))
}

function list(inner: fc.Arbitrary<Schema>) {
  const plain = fc
    .tuple(inner, bounds(3), note)
    .map(([items, some, notes]) => ({ ...notes, type: "array", items, ...limits("minItems", "maxItems", some) }))
  const tuple = fc
    .array(inner, { minLength: 1, maxLength: 3 })
    .map((prefixItems) => ({ type: "array", prefixItems, items: false }))
  const map = inner.map((additionalProperties) => ({ type: "object", additionalProperties }))
  return fc.oneof({ weight: 3, arbitrary: plain }, tuple, map)
}

function union(inner: fc.Arbitrary<Schema>) {
  return fc.array(inner, { minLength: 1, maxLength: 3 }).map((anyOf) => ({ anyOf }))
}

/** As deep as clients go, and now and then one that refers to a part of itself. */
export const schemas: fc.Arbitrary<Schema> = fc.oneof(
  { weight: 8, arbitrary: schema },
  {
    weight: 1,
    arbitrary: schema.map((leaf) => ({
      type: "object",
      properties: { value: { $ref: "#/$defs/leaf" }, next: { anyOf: [{ $ref: "#" }, { type: "null" }] } },
      required: ["value", "next"],
      $defs: { leaf }
    }))
  }
)

interface Words {
  readonly $ref?: string
  readonly anyOf?: ReadonlyArray<Schema>
  readonly const?: unknown
  readonly enum?: ReadonlyArray<unknown>
  readonly type?: string | ReadonlyArray<string>
  readonly format?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
  readonly exclusiveMaximum?: number
  readonly items?: Schema
  readonly prefixItems?: ReadonlyArray<Schema>
  readonly additionalProperties?: Schema
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: ReadonlyArray<string>
}

/** Why a value is not valid; undefined when it is. The whole of what the generator says, and no more. */
export function invalidity(schema: Schema, value: unknown, root: Schema = schema): string | undefined {
  if (typeof schema === "boolean") return schema ? undefined : "nothing is valid"
  const s = schema as Words
  if (s.$ref !== undefined) return invalidity(pointed(root, s.$ref), value, root)
  if (s.anyOf !== undefined) {
    const all = s.anyOf.map((one) => invalidity(one, value, root))
    return all.includes(undefined) ? undefined : `none of [${all.join("; ")}]`
  }
  const list = "const" in s ? [s.const] : s.enum
  if (list !== undefined) {
    return list.some((one) => JSON.stringify(one) === JSON.stringify(value)) ? undefined : "it is not listed"
  }
  const types = [s.type ?? []].flat()
  if (!types.some((type) => hasType(type, value))) return `${JSON.stringify(value)} is no ${types.join(" or ")}`
  if (typeof value === "string") return invalidText(s, value)
  if (typeof value === "number") return invalidNumber(s, value)
  if (Array.isArray(value)) return invalidList(s, value, root)
  return typeof value === "object" && value !== null ? invalidObject(s, value, root) : undefined
}

function pointed(root: Schema, pointer: string): Schema {
  const keys = pointer.split("/").slice(1)
  return keys.reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], root) as Schema
}

function hasType(type: string, value: unknown): boolean {
  if (type === "integer") return Number.isSafeInteger(value)
  if (type === "number") return Number.isFinite(value)
  if (type === "array") return Array.isArray(value)
  if (type === "null") return value === null
  return typeof value === type && value !== null && !Array.isArray(value)
}

const shapes: Readonly<Record<string, RegExp>> = {
  date: /^\d{4}-\d\d-\d\d$/,
  time: /^\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/,
  "date-time": /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/,
  uuid: /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/
}

function invalidText(s: Words, value: string): string | undefined {
  const length = [...value].length
  if (length < (s.minLength ?? 0) || length > (s.maxLength ?? Infinity)) return `${length} characters`
  const { format } = s
  if (format === undefined) return undefined
  const instant = format === "date" ? `${value}T00:00:00Z` : format === "time" ? `2000-01-01T${value}` : value
  const isMoment = format === "uuid" || !Number.isNaN(Date.parse(instant))
  // JavaScript takes February 30 for March 1.
  const isDay =
    !format.startsWith("date") ||
    new Date(`${value.slice(0, 10)}T00:00:00Z`).toISOString().startsWith(value.slice(0, 10))
  return shapes[format]!.test(value) && isMoment && isDay ? undefined : `${value} is no ${format}`
}

function invalidNumber(s: Words, value: number): string | undefined {
  const { exclusiveMaximum = Infinity, exclusiveMinimum = -Infinity, maximum = Infinity, minimum = -Infinity } = s
  const isWithin = value >= minimum && value <= maximum && value > exclusiveMinimum && value < exclusiveMaximum
  return isWithin ? undefined : `${value} is out of bounds`
}

function invalidList(s: Words, value: ReadonlyArray<unknown>, root: Schema): string | undefined {
  if (value.length < (s.minItems ?? 0) || value.length > (s.maxItems ?? Infinity)) return `${value.length} items`
  const { items = true, prefixItems = [] } = s
  return value.map((one, index) => invalidity(prefixItems[index] ?? items, one, root)).find((why) => why !== undefined)
}

function invalidObject(s: Words, value: object, root: Schema): string | undefined {
  const { additionalProperties = true, properties = {}, required = [] } = s
  const missing = required.find((key) => !Object.hasOwn(value, key))
  if (missing !== undefined) return `${missing} is missing`
  const known = (key: string) => (Object.hasOwn(properties, key) ? properties[key]! : additionalProperties)
  return Object.entries(value)
    .map(([key, one]) => invalidity(known(key), one, root))
    .find((why) => why !== undefined)
}
