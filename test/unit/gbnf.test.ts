/** Grammars that clients write: what is taken, what is refused, and that it never takes long. */
import { expect, test } from "vitest"
import { grammarProblem, openMax, sourceMaxChars } from "../../src/inference/shape/gbnf.ts"

test.each([
  'root ::= "yes" | "no"',
  'root::="a"# a comment\n',
  '# first\nroot ::= item+\nitem ::= "- " [^\\r\\n]+ "\\n"\n',
  'root ::= (\n  "a" |\n  [a-z]{2,} word? .\n)*\nword ::= "\\x41\\u00e9\\U0001F600\\"\\\\" ""',
  'root ::= "a" |\n  "b"\r\nother ::= root{3}',
  `root ::= ${Array.from({ length: openMax }, (_, n) => `"${n}"`).join(" | ")}`
])("%j is taken", (source) => expect(grammarProblem(source)).toBeUndefined())

test.each<[source: string, line: number | undefined, words: string]>([
  ["", undefined, "no rule `root`"],
  ['rot ::= "a"', undefined, "no rule `root`"],
  ["root ::= word", 1, "no rule word"],
  ['root ::= "a" root | ""', 1, "refers to itself"],
  ['root ::= a\na ::= "x" b\nb ::= a | "y"', 3, "refers to itself"],
  ['root ::= "a', 1, "cannot be read"],
  ["root ::= [a", 1, "cannot be read"],
  ["root ::= <think>", 1, "cannot be read"],
  ['root ::= "\\q"', 1, "escape"],
  ['root ::= "a"\nroot ::= "b"', 2, "two rules"],
  ['root = "a"', 1, "cannot be read"],
  ['root ::= ("a"', 1, "does not end"],
  ['root ::= "a")', 1, "ends with its line"],
  ["root ::= *", 1, "stands where"],
  ['root ::= "a"{3,2}', 1, "no range"],
  ['root ::= "a"{0,2001}', 1, "more often"],
  [`root ::= ${"(".repeat(40)}`, 1, "nested deeper"],
  [`root ::= "${"a".repeat(sourceMaxChars)}"`, undefined, "longer"],
  [`root ::= ("${"a".repeat(200)}"){2000}`, undefined, "too large"],
  ['root ::= ("a" | "aa"){1,400}', undefined, "ways at once"],
  ['root ::= (("a"? "b"?){0,20}){0,20}', undefined, "ways at once"]
])("%j is refused", (source, line, words) => {
  expect(grammarProblem(source)).toMatchObject({ reason: expect.stringContaining(words) })
  expect(grammarProblem(source)?.line).toBe(line)
})

test("what would explode is refused in a moment", () => {
  const nested = Array.from({ length: 60 }, (_, n) => `r${n} ::= r${n + 1} r${n + 1} | ""`).join("\n")
  const began = performance.now()
  for (const source of [
    `root ::= r0\n${nested}\nr60 ::= "a"?`,
    `root ::= ${'("a"?){0,2000} '.repeat(900)}`,
    `root ::= ${"(".repeat(8_000)}${")".repeat(8_000)}`,
    `root ::= ${'"'.repeat(15_999)}`,
    `root ::= ${"{1".repeat(8_000)}`
  ]) {
    expect(grammarProblem(source)).toBeDefined()
  }
  for (const source of [`root ::= ${"#".repeat(16_000)}`, `root ::= [${"\\".repeat(16_000)}]`]) {
    expect(grammarProblem(source)).toBeUndefined()
  }
  expect(performance.now() - began).toBeLessThan(500)
})
