/** The JSON Schema that editors read. Written anew by `npx vitest run test/unit/config-schema.test.ts -u`. */
import { expect, test } from "vitest"
import { configJsonSchema } from "../../src/cli/config-schema.ts"

test("docs/parley.schema.json is what the configuration decodes", async () => {
  const text = `${JSON.stringify(configJsonSchema(), null, 2)}\n`
  await expect(text).toMatchFileSnapshot("../../docs/parley.schema.json")
})

test("every key has a sentence, and what need not be given has its default", () => {
  const { items, properties, required } = shapeOf(configJsonSchema())
  expect(required).toEqual([])
  expect(properties.length).toBeGreaterThan(10)
  for (const [key, schema] of properties) expect([key, schema["description"]]).toEqual([key, expect.any(String)])
  for (const [key, schema] of items) expect([key, schema["description"]]).toEqual([key, expect.any(String)])
})

type Json = Readonly<Record<string, unknown>>

/** The keys of the file, and those of the maps in its lists. */
function shapeOf(schema: unknown) {
  const { properties = {}, required = [] } = schema as { properties?: Record<string, Json>; required?: Array<string> }
  const lists = Object.values(properties).flatMap(({ items }) => (items === undefined ? [] : [items as Json]))
  const maps = lists.flatMap((item) => (Array.isArray(item["anyOf"]) ? (item["anyOf"] as Array<Json>) : [item]))
  const items = maps.flatMap((map) => Object.entries((map["properties"] ?? {}) as Record<string, Json>))
  return { properties: Object.entries(properties), required, items }
}
