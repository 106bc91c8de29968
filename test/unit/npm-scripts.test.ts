/** What npm does with our scripts, and what it does not do. */
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, test } from "vitest"

const root = join(import.meta.dirname, "../..")
const read = (name: string) => readFileSync(join(root, name), "utf8")
const { scripts } = JSON.parse(read("package.json")) as { readonly scripts: Readonly<Record<string, string>> }

test("no script counts on one before or after it: without install scripts npm runs neither", () => {
  expect(read(".npmrc")).toContain("ignore-scripts=true")
  const names = Object.keys(scripts)
  expect(names.filter((name) => /^(pre|post)/.test(name))).toEqual([])
})

test("what runs a server is one process: a shell between would keep its signals to itself", () => {
  for (const name of ["start", "demo"]) expect(scripts[name]).toMatch(/^node [^&|;]* src\/main\.ts \w+$/)
})

test("what runs a server builds the page first, where it is missing", () => {
  for (const name of ["start", "demo"]) expect(scripts[name]).toContain("--import ./web/build.ts")
})

test("a Node that is too old for our sources is told, in one line", () => {
  const old = 'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.2.0" } })'
  const typed = ["--import", `data:text/javascript,${old}`, join(root, "bin/parley.js"), "--version"]
  const { status, stderr, stdout } = spawnSync(process.execPath, typed, { encoding: "utf8" })
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" })
  expect(stderr).toMatch(/^Parley needs Node 24.*\n$/)
  expect(spawnSync(process.execPath, typed.slice(2), { encoding: "utf8" })).toMatchObject({ status: 0, stderr: "" })
})

test("npx parley asks for the Node that package.json asks for", () => {
  const { bin, engines } = JSON.parse(read("package.json"))
  expect([bin.parley, engines.node]).toEqual(["bin/parley.js", expect.stringMatching(/^>=24\./)])
})
