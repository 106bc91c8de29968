/** Configuration files nobody would write, and secrets in every place of them. */
import { Redacted, Result } from "effect"
import fc from "fast-check"
import { expect, test } from "vitest"
import { stringify } from "yaml"
import { ConfigError, parseConfig } from "../../src/cli/config.ts"

const secret = "Zq7-hunter2-Zq7"
const secretOrOther = fc.oneof(
  fc.constantFrom(secret, "$" + "{SECRET}", `postgres://me:${secret}@db/x`, `whsec_${secret}`, `a ${secret}: b`),
  fc.constantFrom<unknown>(null, true, -1, 1.5, 1e9, "", "webhook", "llama", "openai", "collect", "0.0.0.0", "$" + "{"),
  fc.string()
)
const keyNear = fc.constantFrom(
  ...["host", "hots", "port", "databaseUrl", "token", "channels", "models", "limits", "logs", "dir", "kind", "account"],
  ...[
    "secret",
    "callback",
    "policy",
    "engine",
    "baseUrl",
    "apiKey",
    "systemPrompt",
    "queueMax",
    "__proto__",
    "toString"
  ]
)
const { document } = fc.letrec<{ document: unknown; value: unknown }>((tie) => ({
  document: fc.dictionary(keyNear, tie("value"), { maxKeys: 6 }),
  value: fc.oneof({ maxDepth: 3 }, secretOrOther, fc.array(tie("value"), { maxLength: 3 }), tie("document"))
}))
/** Valid YAML, cut, spoilt in the middle, or no YAML at all. */
const text = fc.oneof(
  document.map((value) => stringify(value)),
  fc
    .tuple(document, fc.nat(), fc.constantFrom("", "\t", "*a", "&a", "!t ", "- ", ": ", "[", '"', "---\n", "\0", "%"))
    .map(([value, at, spoil]) => {
      const yaml = stringify(value)
      return yaml.slice(0, at % (yaml.length + 1)) + spoil + yaml.slice(at % (yaml.length + 1))
    }),
  fc.string({ unit: "binary", maxLength: 200 }),
  fc.stringMatching(/^[\s\-:{}[\]&*!|>"'%a,?#]{0,60}$/)
)
const variables = ["HOST", "PORT", "DATABASE_URL", "PARLEY_DATA", "PARLEY_MODEL", "PARLEY_TOKEN", "AI_DEBUG", "SECRET"]
const environment = fc
  .dictionary(fc.constantFrom(...variables), fc.constantFrom("", "1", secret, `a ${secret}`, "x\0"))
  .map((all) => ({ ...all, HOST: "127.0.0.1", PORT: "1", PARLEY_DATA: "x", AI_DEBUG: "1" }))

const examples: Array<[string, Record<string, string>]> = [
  ["a: &a [*a]", {}],
  ["? [a]\n: b", {}],
  ["__proto__: { port: 1 }", {}],
  ["a: &x [1]\nb: &y [*x, *x]\nc: [*y, *y]", {}],
  ["systemPrompt: $" + "{SECRET}", { SECRET: secret }],
  [`secret:&a "a ${secret}: b"`, {}]
]

test("F2, F3: any text gives a `Config` or a `ConfigError`, and neither shows a secret", () => {
  const outcomes = new Set<string>()
  fc.assert(
    fc.property(text, environment, (text, environment) => {
      const result = parseConfig({ file: { name: "parley.yaml", text }, environment, flags: {} })
      outcomes.add(result._tag)
      if (Result.isFailure(result)) {
        expect(result.failure).toBeInstanceOf(ConfigError)
        expect(result.failure.problems).not.toEqual([])
        expect(result.failure.message).not.toContain(secret)
      } else if (result.success.token !== undefined) {
        expect(JSON.stringify(result.success.token)).not.toContain(Redacted.value(result.success.token))
      }
    }),
    { numRuns: 2000, examples }
  )
  expect(outcomes).toEqual(new Set(["Success", "Failure"]))
})
