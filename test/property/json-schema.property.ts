/** What of JSON Schemas becomes a grammar, what is refused, and that it never takes long. */
import { Result } from "effect"
import fc from "fast-check"
import { expect, test } from "vitest"
import { answerGrammar } from "../../src/inference/shape/answer-grammar.ts"
import { depthMax, grammarMaxChars, nodesMax, widthMax } from "../../src/inference/shape/json-schema.ts"
import { schemas } from "./json-schemas.ts"

const made = (schema: unknown) => answerGrammar({ type: "json-schema", name: "it", schema }, undefined)
const reasonOf = (schema: unknown) => {
  const result = made(schema)
  return Result.isFailure(result) ? result.failure.reason : "it was taken"
}

test("the schemas of clients are taken, save those with too many alternatives that begin alike", () => {
  let taken = 0
  fc.assert(
    fc.property(schemas, (schema) => {
      const reason = reasonOf(schema)
      if (reason === "it was taken") taken++
      else expect(reason).toMatch(/ has more than 64 alternatives that begin alike$/)
    }),
    { numRuns: 400 }
  )
  expect(taken).toBeGreaterThan(360)
})

const keyword = fc.constantFrom(
  ...[
    "pattern",
    "multipleOf",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "patternProperties",
    "not",
    "if",
    "then"
  ],
  ...["else", "contains", "propertyNames", "dependentRequired", "unevaluatedProperties", "nullable", "x-made-up"]
)

test("G2: what of a schema cannot be kept is refused by its name", () =>
  fc.assert(
    fc.property(schemas, keyword, fc.jsonValue(), (inner, word, value) => {
      const schema = {
        type: "object",
        properties: { a: { type: ["string", "object", "array", "number"], [word]: value }, b: inner }
      }
      expect(reasonOf(schema)).toContain(`\`properties.a.${word}\` is not supported`)
    })
  ))

test.each<[schema: unknown, words: string]>([
  [false, "takes nothing"],
  [7, "is no schema"],
  [{ type: "text" }, "`type` is no type"],
  [{ type: "string", minLength: -1 }, "`minLength` is no count"],
  [{ type: "string", minLength: 3, maxLength: 2 }, "can have no text"],
  [{ type: "string", format: "email" }, "`format` is not supported"],
  [{ type: "string", minLength: 2_001 }, "is longer than"],
  [{ type: "array", minItems: 3, maxItems: 2 }, "can have no items"],
  [{ type: "array", prefixItems: [true], items: false, minItems: 2 }, "can have no items"],
  [{ type: "integer", minimum: 0.2, maximum: 0.8 }, "can be no number"],
  [{ type: "number", minimum: 0.5 }, "is supported as a whole number"],
  [{ type: "number", exclusiveMinimum: 0 }, "`exclusiveMinimum` is not supported"],
  [{ type: "string", enum: [1, 2] }, "takes no value"],
  [{ enum: [] }, "is no list of values"],
  [{ enum: ["a"], minLength: 1 }, "`minLength` is not supported"],
  [{ anyOf: [] }, "is no list of schemas"],
  [{ anyOf: [{}], required: ["a"] }, "`required` is not supported"],
  [{ oneOf: [{ type: "integer" }, { type: "number" }] }, "one value may fit together"],
  [{ allOf: [{}, {}] }, "more than one schema"],
  [{ $ref: "https://example.org/a" }, "points out of the schema"],
  [{ $ref: "#/$defs/a" }, "points to nothing"],
  [{ $ref: "#" }, "refers to itself"],
  [{ $defs: { a: { anyOf: [{ $ref: "#/$defs/b" }, {}] }, b: { $ref: "#/$defs/a" } }, $ref: "#/$defs/a" }, "itself"],
  [{ type: "object", required: ["a"], additionalProperties: false }, "names a property that there may not be"]
])("%j is refused", (schema, words) => expect(reasonOf(schema)).toContain(words))

const listOf = (count: number, one: (n: number) => unknown) => Array.from({ length: count }, (_, n) => one(n))
const objectOf = (count: number, value: unknown) => ({
  type: "object",
  properties: Object.fromEntries(listOf(count, (n) => [`p${n}`, value]) as ReadonlyArray<[string, unknown]>)
})
const nested = (depth: number): unknown => (depth === 0 ? {} : { type: "array", items: nested(depth - 1) })
const twins = (to: string) => ({ anyOf: [objectOf(1, { $ref: to }), objectOf(2, { $ref: to })] })

test("G3, G4: a schema that explodes is refused in a moment", () => {
  const began = performance.now()
  const chain = Object.fromEntries(
    listOf(60, (n) => [`d${n}`, n === 59 ? {} : twins(`#/$defs/d${n + 1}`)]) as [string, unknown][]
  )
  expect(reasonOf(twins("#"))).toContain("refers back to where it is")
  const web = listOf(1_000, (n) => {
    const to = [n + 1, n * 7].map((other) => ({ $ref: `#/$defs/d${other % 1_000}` }))
    return [`d${n}`, { anyOf: to }]
  })
  for (const [schema, words] of [
    [{ $defs: Object.fromEntries(web as [string, unknown][]), $ref: "#/$defs/d0" }, ""],
    [{ $defs: chain, $ref: "#/$defs/d0" }, ""],
    [{ anyOf: listOf(widthMax + 1, () => ({ type: "object" })) }, `more than ${widthMax} alternatives`],
    [objectOf(widthMax + 1, {}), `more than ${widthMax} alternatives`],
    [nested(depthMax + 1), "nested deeper"],
    [nested(5_000), "nested deeper"],
    [{ anyOf: listOf(nodesMax + 1, () => ({ type: "null" })) }, "more than"],
    [{ const: "x".repeat(grammarMaxChars + 1) }, "too large"],
    [{ ...objectOf(60, { type: "string" }), minLength: 1 }, "not supported"],
    [{ prefixItems: listOf(9, (n) => ({ type: "string", maxLength: 1_000 + n })) }, "too large"]
  ] as const) {
    expect(reasonOf(schema)).not.toBe("it was taken")
    expect(reasonOf(schema)).toContain(words)
  }
  expect(performance.now() - began).toBeLessThan(2_000)
})

test("a list of texts that begin alike, one the start of another, is taken in a moment", () => {
  const began = performance.now()
  expect(reasonOf({ enum: listOf(1_400, (n) => "a".repeat(n)) })).toBe("it was taken")
  expect(reasonOf({ enum: ["🙂", "🙃", "\uE000", "🙂🙃", ""] })).toBe("it was taken")
  expect(performance.now() - began).toBeLessThan(1_000)
})

test("what a client of Python or JavaScript makes of its types is taken", () => {
  const pydantic = {
    $defs: { Kind: { enum: ["a", "b"], title: "Kind", type: "string" } },
    properties: {
      kind: { $ref: "#/$defs/Kind", description: "which" },
      parent: { anyOf: [{ $ref: "#/$defs/Kind" }, { type: "null" }], default: null },
      tags: { items: { type: "string" }, title: "Tags", type: "array" }
    },
    required: ["kind", "tags"],
    title: "Thing",
    type: "object"
  }
  const zod = {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    type: "object",
    properties: { n: { type: "integer", minimum: -9007199254740991, maximum: 9007199254740991 }, of: { const: "x" } },
    required: ["n", "of"],
    additionalProperties: false
  }
  for (const schema of [pydantic, zod]) expect(reasonOf(schema)).toBe("it was taken")
})
