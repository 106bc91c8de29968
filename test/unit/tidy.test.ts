/** The house keeps its own rules; and each rule is shown to catch what it is for. */
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, test } from "vitest"
import { importDirection } from "./tidy-imports.ts"
import { bannedWords, bans, codeOf, fileName, functionLength, length, lockFile, type Rule } from "./tidy-rules.ts"

const root = join(import.meta.dirname, "../..")
const files = ["{src,schema,test,bench,models,docker,web/src}/**/*.{ts,tsx}", "web/*.ts"]
  .flatMap((pattern) => globSync(pattern, { cwd: root }))
  .map((path) => ({
    path: path.replaceAll("\\", "/"),
    text: readFileSync(join(root, path), "utf8")
  }))

test.each<[string, Rule]>([
  ["imports point inwards", importDirection],
  ["banned words are not written", bannedWords],
  ["files and lines are short", length],
  ["functions are short", functionLength],
  ["files are named after their concept", fileName]
])("%s", (_, rule) => {
  expect(files.length).toBeGreaterThan(50)
  expect(files.flatMap((file) => rule(file).map((words) => `${file.path}:${words}`))).toEqual([])
})

test("style sheets are short as well", () => {
  const sheets = globSync("web/src/*.css", { cwd: root })
  expect(sheets.length).toBeGreaterThan(1)
  const long = sheets.flatMap((path) => length({ path, text: readFileSync(join(root, path), "utf8") }))
  expect(long).toEqual([])
})

test("package-lock.json names no registry", () => {
  expect(lockFile({ path: "package-lock.json", text: readFileSync(join(root, "package-lock.json"), "utf8") })).toEqual(
    []
  )
  expect(lockFile({ path: "", text: '{\n  "resolved": "https://registry.example/a.tgz"' })).toHaveLength(1)
  expect(lockFile({ path: "", text: '{\n  "url": "https://github.com/sponsors/a"' })).toEqual([])
})

test("every exception is of a file that needs it", () => {
  for (const { except = {}, pattern } of bans) {
    for (const path of Object.keys(except)) {
      const file = files.find((file) => file.path === path)
      expect([path, pattern.test(codeOf(file?.text ?? ""))]).toEqual([path, true])
    }
  }
})

const imports = (path: string, specifier: string) =>
  importDirection({ path, text: `import { x } from "effect/x"\nimport { y } from "${specifier}"\n` })

test.each([
  ["src/store/journal.ts", "../adapters/adapter.ts"],
  ["src/inference/pool.ts", "../store/journal.ts"],
  ["src/adapters/adapter.ts", "../machines/decide.ts"],
  ["src/actors/intake.ts", "../http/routes.ts"],
  ["src/http/routes.ts", "../cli/config.ts"],
  ["src/cli/command.ts", "../http/routes.ts"],
  ["src/actors/intake.ts", "../../schema/tables.ts"],
  ["src/store/journal.ts", "../../test/unit/fake.ts"],
  ["src/http/routes.ts", "../main.ts"],
  ["schema/tables.ts", "../src/store/journal.ts"],
  ["src/adapters/webhook/wire.ts", "../slack/wire.ts"],
  ["src/inference/llama.ts", "./worker/loop.ts"],
  ["src/http/routes.ts", "kysely"],
  ["src/actors/intake.ts", "pg"],
  ["src/store/journal.ts", "xstate"],
  ["src/http/routes.ts", "node-llama-cpp/x"],
  ["src/http/page.ts", "../../web/src/words.ts"]
])("%s may not import %s", (path, specifier) => {
  expect(imports(path, specifier)).toEqual([expect.stringContaining(`imports ${specifier}: `)])
})

test.each([
  ["src/main.ts", "./http/routes.ts"],
  ["src/main.ts", "./parley.ts"],
  ["src/http/routes.ts", "../actors/intake.ts"],
  ["src/cli/command.ts", "../store/journal.ts"],
  ["src/actors/intake.ts", "../store/journal.ts"],
  ["src/store/journal.ts", "../../schema/tables.ts"],
  ["src/store/journal.ts", "kysely/migration"],
  ["src/adapters/registry.ts", "./webhook/webhook.ts"],
  ["src/adapters/webhook/wire.ts", "../adapter.ts"],
  ["src/inference/worker/loop.ts", "../engine.ts"],
  ["src/inference/llama.ts", "./worker/wire.ts"],
  ["test/unit/a.test.ts", "kysely"]
])("%s may import %s", (path, specifier) => {
  expect(imports(path, specifier)).toEqual([])
})

test("machines import xstate and domain, domain imports node:crypto and itself", () => {
  const machine = (specifier: string) => importDirection({ path: "src/machines/a.ts", text: `import "${specifier}"` })
  const domain = (specifier: string) => importDirection({ path: "src/domain/a.ts", text: `import "${specifier}"` })
  for (const specifier of ["xstate", "../domain/ids.ts", "./decide.ts"]) expect(machine(specifier)).toEqual([])
  for (const specifier of ["effect", "node:crypto", "../store/a.ts"]) expect(machine(specifier)).toHaveLength(1)
  for (const specifier of ["node:crypto", "./ids.ts"]) expect(domain(specifier)).toEqual([])
  for (const specifier of ["effect", "node:fs", "../machines/a.ts"]) expect(domain(specifier)).toHaveLength(1)
  const alone = importDirection({
    path: "src/machines/restart-intensity.ts",
    text: 'import type { A } from "./decide.ts"'
  })
  expect(alone).toHaveLength(1)
})

test("the page imports the frames, itself and its packages", () => {
  const page = (specifier: string) => importDirection({ path: "web/src/a.tsx", text: `import "${specifier}"` })
  const fine = ["../../src/adapters/web/frames.ts", "./words.ts", "./page.css", "preact/hooks", "mdast"]
  for (const specifier of fine) expect([specifier, page(specifier)]).toEqual([specifier, []])
  const caught = ["../../src/domain/ids.ts", "../../src/adapters/webhook/wire.ts", "effect", "node:fs"]
  for (const specifier of caught) expect(page(specifier)).toHaveLength(1)
})

test("the page takes types alone from the server", () => {
  const pages = files.filter(({ path }) => path.startsWith("web/src/"))
  expect(pages.length).toBeGreaterThan(20)
  const values = pages.filter(({ text }) => /^import (?!type\b)[^\n]*"\.\.\/\.\.\/src\//m.test(text))
  expect(values.map(({ path }) => path)).toEqual([])
})

test("an import is found in every form, and not in a comment", () => {
  const forms = [
    'export { x } from "pg"',
    'type X = import("pg").X',
    'await import("pg")',
    'import {\n  a,\n  b\n} from "pg"'
  ]
  for (const text of forms) expect(importDirection({ path: "src/http/a.ts", text })).toHaveLength(1)
  expect(importDirection({ path: "src/http/a.ts", text: '// import "pg"\n/* from "pg" */' })).toEqual([])
})

const words = (text: string, path = "src/http/a.ts") => bannedWords({ path, text })

test("each banned word is caught in code", () => {
  const caught = [
    ["// TO", "DO: later"].join(""),
    "const a: any = 1",
    "const a = b as any",
    "const a: Array<any> = []",
    "enum Colour { red }",
    "export default 1",
    "console.log(1)",
    "const now = Date.now()",
    "const now = new Date()",
    "Math.random()",
    "setTimeout(f, 1)",
    'import { setInterval } from "node:timers"',
    "crypto.randomUUID()",
    'import { randomBytes } from "node:crypto"',
    `test.${"skip"}("x", () => {})`,
    `it.effect.${"only"}("x", () => {})`,
    "const a = `$" + "{Date.now()}`"
  ]
  for (const text of caught) expect([text, words(text)]).toEqual([text, [expect.stringContaining("1: `")]])
})

test("banned words are let be in texts, comments and the names of others", () => {
  const fine = [
    'const a = "console.log"',
    "// any of these",
    "const a = /[\"'] as any/",
    "stream.skip(1)",
    "Array.isArray(x)"
  ]
  for (const text of [...fine, "new Date(0)", "socket.setTimeout(1)", "Schema.any()", "{ any: 1 }"]) {
    expect([text, words(text)]).toEqual([text, []])
  }
  expect(words("setTimeout(f, 1)", "test/e2e/a.test.ts")).toEqual([])
  expect(words("randomUUID()", "test/unit/a.test.ts")).toEqual([])
  expect(words("randomUUID()", "src/store/lock-file.ts")).toEqual([])
})

test("long files, long lines and long functions are caught", () => {
  const text = (lines: number, line = "x") => `${line}\n`.repeat(lines)
  const lengths = (text: string) => length({ path: "a.ts", text })
  expect([lengths(text(300)), lengths(text(1, "é".repeat(120)))]).toEqual([[], []])
  expect([lengths(text(301)).length, lengths(text(1, "é".repeat(121))).length]).toEqual([1, 1])
  const heads = [
    "function f() {",
    "const f = () => {",
    "const f = Effect.fn(function* () {",
    "class A {\n  m(a: A): B {"
  ]
  for (const head of [...heads, "function f(\n  a: A\n): B {", "test('x', () => {"]) {
    const nested = head.includes("class")
    const body = (lines: number) => `${head}\n${text(lines, "      x")}${nested ? "  }\n}" : "}"}\n`
    const own = head.split("\n").length - (nested ? 1 : 0)
    expect([head, functionLength({ path: "a.ts", text: body(69 - own) })]).toEqual([head, []])
    expect([head, functionLength({ path: "a.ts", text: body(70 - own) })]).toEqual([head, [expect.anything()]])
  }
  expect(functionLength({ path: "a.ts", text: `const f = (x: X) =>\n${text(80, "  x")}\nconst a = 1` })).toHaveLength(1)
  expect(functionLength({ path: "a.ts", text: `const a = {\n${text(80, "  x")}}` })).toEqual([])
})

test("file names are caught that say nothing, shout, or lie too deep", () => {
  const caught = ["src/http/utils.ts", "src/cli/Config.ts", "src/cli/my_file.ts", "src/a/b/c/d.ts", "src/common/a.ts"]
  for (const path of caught) expect([path, fileName({ path, text: "" })]).toEqual([path, [expect.anything()]])
  for (const path of [
    "src/main.ts",
    "src/adapters/webhook/wire.ts",
    "test/property/a-b.property.ts",
    "schema/0001-spine.ts"
  ]) {
    expect([path, fileName({ path, text: "" })]).toEqual([path, []])
  }
})
