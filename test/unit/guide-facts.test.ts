/** What the guide says of Parley, what the README says of it, and what is so, are the same. */
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, test } from "vitest"
import { answerOf, configKeys, explain, facts } from "../../models/train/facts.ts"
import { languages, wordsFor } from "../../web/src/words.ts"

const root = join(import.meta.dirname, "../..")
const read = (path: string) => readFileSync(join(root, path), "utf8")
const readme = read("README.md")
const sources = globSync("src/**/*.ts", { cwd: root }).map(read).join("\n")
/** The rows of the README's table of keys: key, environment, default. */
const rows = readme
  .split("\n")
  .filter((line) => line.startsWith("|"))
  .map((line) => line.split("|").slice(1).map(codesOf))
  .flatMap(([keys = [], names = [], presets = []]) =>
    keys.map((key, nth) => ({ key, name: names[nth], preset: presets[nth] }))
  )

function codesOf(cell: string): ReadonlyArray<string> {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, code]) => code!)
}

test("every key of the configuration is explained in Chinese, and no other", () => {
  const maps = new Set([...configKeys.keys()].filter((key) => key.includes(".")).map((key) => key.split(".")[0]))
  const own = [...configKeys.keys()].filter(
    (key) => !key.startsWith("channels.") && (key === "channels" || !maps.has(key))
  )
  expect(Object.keys(facts.keys).toSorted()).toEqual(own.toSorted())
})

test("the README's table has the environment and the defaults that are so", () => {
  expect(rows.length).toBeGreaterThan(20)
  for (const { key, name, preset } of rows.filter(({ key }) => configKeys.has(key))) {
    expect([key, name]).toEqual([key, facts.environment[key]])
    const so = configKeys.get(key)?.preset
    if (preset !== undefined && so !== undefined) expect([key, preset]).toEqual([key, so])
  }
  for (const key of Object.keys(facts.keys).filter((key) => key.startsWith("limits."))) {
    expect(rows.map((row) => row.key)).toContain(key)
  }
})

test("environment names are read by the server", () => {
  for (const name of Object.values(facts.environment)) expect([name, sources.includes(name)]).toEqual([name, true])
})

test("commands, scripts, routes and metrics exist, and what is awaited does not", () => {
  const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> }
  for (const script of facts.scripts) expect(Object.keys(scripts)).toContain(script)
  const made = [...sources.matchAll(/Command\.make\("([a-z]+)"/g)].map(([, name]) => name)
  expect(facts.commands.here.filter((name) => !made.includes(name))).toEqual([])
  // Once one of them is made, its answer in facts.json is to say so.
  expect(facts.commands.awaited.filter((name) => made.includes(name))).toEqual([])
  for (const name of [...facts.routes, ...facts.metrics]) expect([name, sources.includes(name)]).toEqual([name, true])
})

test("answers name no script, key, route or variable that is not there", () => {
  const variables = new Set(Object.values(facts.environment))
  for (const [id, both] of Object.entries(facts.answers)) {
    const answer = `${answerOf(id, "en")} ${answerOf(id, "zh")}`
    for (const [, script] of answer.matchAll(/npm run (\w+)/g))
      expect([id, facts.scripts]).toEqual([id, expect.arrayContaining([script])])
    for (const [key] of answer.matchAll(/\b(?:limits|web|logs|retention)\.\w+/g))
      expect([id, configKeys.has(key)]).toEqual([id, true])
    for (const [name] of answer.matchAll(/\b(?:PARLEY_\w+|DATABASE_URL)\b/g))
      expect([id, variables.has(name)]).toEqual([id, true])
    for (const [path] of answer.matchAll(/(?<![\w/.])\/(?:v1|health|metrics|api|login)[\w/]*/g)) {
      expect([path, facts.routes.some((route) => route.startsWith(path))]).toEqual([path, true])
    }
    expect(Object.keys(both)).toEqual(["en", "zh"])
    expect(answer.length).toBeLessThan(400)
  }
})

test("a key is explained with its default", () => {
  expect(explain("limits.queueMax", "en")).toBe(
    "limits.queueMax (default 1000): Turns that wait for a slot of the model."
  )
  expect(explain("limits.queueMax", "zh")).toContain("默认 1000")
  expect(answerOf("channel-web", "en")).toContain("http://127.0.0.1:8080")
})

test("the page greets with the guide's own words", () => {
  for (const language of languages) expect(wordsFor(language, []).guide.text).toBe(answerOf("greet", language))
})
