/** docker/start.sh: secrets that are files become variables, or the start is refused in words. */
import { spawnSync } from "node:child_process"
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import fc from "fast-check"
import { afterAll, beforeAll, expect, test } from "vitest"
import { exitCodes } from "../../src/cli/exit-codes.ts"
import { root } from "./container-files.ts"

let app = ""
beforeAll(() => {
  app = mkdtempSync(join(tmpdir(), "parley-start-"))
  mkdirSync(join(app, "docker"))
  mkdirSync(join(app, "node_modules/.bin"), { recursive: true })
  copyFileSync(join(root, "docker/start.sh"), join(app, "docker/start.sh"))
  // In Node's place: what it was given, and with what environment.
  const node = join(app, "node_modules/.bin/node")
  writeFileSync(node, '#!/bin/sh\nprintf "%s\\0" "$@"; printf "%s\\0" ==; exec env -0\n')
  chmodSync(node, 0o755)
  symlinkSync(join(app, "docker/start.sh"), join(app, "parley"))
})
afterAll(() => rmSync(app, { recursive: true, force: true }))

function start(secrets: Readonly<Record<string, string>>, environment: Readonly<Record<string, string>> = {}) {
  const dir = mkdtempSync(join(app, "secrets-"))
  for (const [name, value] of Object.entries(secrets)) writeFileSync(join(dir, name), value)
  const env = { PATH: process.env["PATH"], CREDENTIALS_DIRECTORY: dir, ...environment }
  const { status, stderr, stdout } = spawnSync(join(app, "parley"), ["start", "--port", "9 9"], {
    env,
    encoding: "utf8"
  })
  const [typed = [], variables = []] = stdout.split("==\0").map((part) => part.split("\0").slice(0, -1))
  const found = new Map(variables.map((each) => [each.slice(0, each.indexOf("=")), each.slice(each.indexOf("=") + 1)]))
  return { status, stderr, typed, found }
}

const name = fc.stringMatching(/^[A-Z][A-Z0-9_]{3,20}$/).map((text) => `S_${text}`)
// A file's last line ends somehow; NUL is in no variable.
const value = fc.string({ unit: "binary", minLength: 1, maxLength: 200 }).filter((text) => /^[^\0]*[^\0\n]$/.test(text))

test("every value arrives as it is, and what was typed with it", () => {
  const check = (secrets: Readonly<Record<string, string>>) => {
    const ended = Object.fromEntries(Object.entries(secrets).map(([key, text]) => [key, `${text}\n`]))
    const { found, stderr, typed } = start(ended)
    expect({ stderr, typed }).toEqual({ stderr: "", typed: [join(app, "src/main.ts"), "start", "--port", "9 9"] })
    for (const [key, text] of Object.entries(secrets)) expect([key, found.get(key)]).toEqual([key, text])
  }
  const hostile = { S_QUOTES: `'"\`$(exit 9)\${HOME}\\`, S_LINES: "a\nb", S_DASH: "-n", S_STAR: "*", S_SPACE: " a " }
  fc.assert(fc.property(fc.dictionary(name, value, { minKeys: 1, maxKeys: 20 }), check), {
    numRuns: 8,
    examples: [[hostile]]
  })
})

test("what is not called like a variable is left alone", () => {
  const { found, status } = start({ "token.txt": "a", lower: "b", "A-B": "c", "1A": "d", "A;exit 3": "e", S_FINE: "f" })
  expect({ status, fine: found.get("S_FINE") }).toEqual({ status: 0, fine: "f" })
  for (const key of ["token.txt", "lower", "A-B", "1A", "A;exit 3"]) expect(found.has(key)).toBe(false)
})

test("without secrets it starts as it is", () => {
  expect(start({})).toMatchObject({ status: 0, stderr: "" })
  expect(start({}, { CREDENTIALS_DIRECTORY: "/nowhere" })).toMatchObject({ status: 0, stderr: "" })
})

test.each<[string, string, Readonly<Record<string, string>>, string]>([
  ["is empty", "", {}, "is empty"],
  ["is blank lines", "\n\n", {}, "is empty"],
  ["is too long", "x".repeat(65_537), {}, "more than 65536 bytes"],
  ["is in the environment as well", "a", { S_TOKEN: "b" }, "Keep one of them"]
])("a secret that %s is refused by its name, without its value", (_, text, environment, words) => {
  const { status, stderr, typed } = start({ S_TOKEN: text }, environment)
  expect({ status, typed }).toEqual({ status: exitCodes.config, typed: [] })
  expect(stderr).toMatch(/^parley cannot start: [^\n]*S_TOKEN[^\n]*\n$/)
  expect(stderr).toContain(words)
})

test("an empty variable, as a compose file sets it, is none", () => {
  expect(start({ S_TOKEN: "a" }, { S_TOKEN: "" }).found.get("S_TOKEN")).toBe("a")
})
