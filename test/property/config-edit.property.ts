/** What `parley models use` does to the text of `parley.yaml`. */
import { Result } from "effect"
import fc from "fast-check"
import { expect, test } from "vitest"
import { parse, parseDocument, stringify } from "yaml"
import { withModel } from "../../src/cli/config-edit.ts"

const entry = fc.oneof(
  fc.record(
    { name: fc.constant("fast"), engine: fc.constant("llama"), file: fc.string(), slots: fc.nat(8) },
    { requiredKeys: ["engine", "file"] }
  ),
  fc.record({ engine: fc.constant("openai"), baseUrl: fc.constant("http://127.0.0.1:9/v1") })
)
const value = fc.record(
  {
    port: fc.nat(65_535),
    systemPrompt: fc.string({ unit: "binary", maxLength: 200 }),
    allowedHosts: fc.array(fc.domain(), { maxLength: 3 }),
    limits: fc.record({ queueMax: fc.nat() }),
    models: fc.option(fc.array(entry, { maxLength: 3 }))
  },
  { requiredKeys: [] }
)
const style = fc.record({
  indentSeq: fc.boolean(),
  collectionStyle: fc.constantFrom("any", "block", "flow"),
  defaultStringType: fc.constantFrom("PLAIN", "QUOTE_DOUBLE", "QUOTE_SINGLE", "BLOCK_FOLDED"),
  comments: fc.array(fc.stringMatching(/^[a-z ]{1,20}$/), { minLength: 1, maxLength: 3 }),
  newline: fc.constantFrom("\n", "\r\n")
} as const)

/** A file as somebody might have written it, with remarks at its head. */
const text = fc
  .tuple(value, style)
  .map(([value, { comments, newline, ...options }]) => {
    const lines = stringify(value, options).split("\n")
    const remarks = comments.map((words) => `# ${words.trim()}.`)
    return { value, remarks, text: [...remarks, ...lines].join(newline) }
  })
  // Some of what the library writes it does not read.
  .filter(({ text }) => parseDocument(text).errors.length === 0)

const anyFile = fc.oneof(
  fc.string({ minLength: 1 }),
  fc.constantFrom("/models/a b.gguf", "/a/$" + "{HOME}/#x: y.gguf", "C:\\m.gguf")
)

const edited = (text: string, file: string | undefined) => Result.getOrThrow(withModel("parley.yaml", text, file))

test("the first model is the file, and everything else is what it was", () => {
  fc.assert(
    fc.property(text, anyFile, ({ remarks, text, value }, file) => {
      const written = edited(text, file)
      const { models, ...others } = parse(written)
      const { models: had, ...before } = (parse(text) ?? {}) as typeof value
      expect(others).toEqual(before)
      expect(models.slice(1)).toEqual(had?.slice(1) ?? [])
      const isLlama = had?.[0]?.engine === "llama"
      expect(models[0]).toEqual({
        ...(isLlama ? had?.[0] : { name: "default", engine: "llama" }),
        file: file.replaceAll("${", () => "$" + "${")
      })
      for (const remark of remarks) expect(written).toContain(remark)
      expect(edited(written, file)).toBe(written)
    })
  )
})

test("without a file there are no models, and everything else is what it was", () => {
  fc.assert(
    fc.property(text, ({ remarks, text }) => {
      const written = edited(text, undefined)
      const { models: _, ...before } = parse(text) ?? {}
      expect(parse(written) ?? {}).toEqual(before)
      for (const remark of remarks) expect(written).toContain(remark)
    })
  )
})

test("an entry of llama is changed in its one line, and nothing else is", () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom("# a", "", "port: 1  # b", "host:   x"), { maxLength: 4 }),
      anyFile,
      (lines, file) => {
        const distinct = lines.filter((line, at) => line.startsWith("#") || lines.indexOf(line) === at)
        const around = (path: string) =>
          [...distinct, "models:", "- file: " + path + "   # the file", "  engine: llama", "# end", ""].join("\n")
        const path = JSON.stringify(file.replaceAll("${", () => "$" + "${"))
        expect(edited(around("old.gguf"), file)).toBe(around(path))
      }
    )
  )
})

test("any text at all gives a text or a sentence", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const result = withModel("parley.yaml", text, "/m.gguf")
      if (Result.isSuccess(result)) expect(parse(result.success).models[0].file).toBe("/m.gguf")
      else expect(result.failure.problems[0]).toMatch(/^parley\.yaml /)
    })
  )
})
