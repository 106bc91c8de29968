/** What npm does with our scripts, and what it does not do. */
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
