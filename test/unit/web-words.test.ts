/** The page speaks each of its languages wholly. */
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, test } from "vitest"
import { dayOf } from "../../web/src/times.ts"
import { languageOf, languages, type Words, words, wordsFor } from "../../web/src/words.ts"

const source = join(import.meta.dirname, "../../web/src")

/** Every text of a language by its name; what takes parameters is called with some. */
function textsOf(value: unknown, name = ""): ReadonlyArray<readonly [string, string]> {
  if (typeof value === "string") return [[name, value]]
  if (typeof value === "function") return [[name, String(value("7", 7))]]
  return Object.entries(value as object).flatMap(([key, inner]) => textsOf(inner, `${name}.${key}`))
}

test("each language says everything, and in its own words", () => {
  const names = textsOf(words.en).map(([name]) => name)
  for (const language of languages) {
    const texts = textsOf(words[language])
    expect(texts.map(([name]) => name)).toEqual(names)
    expect(texts.filter(([, text]) => text.trim() === "")).toEqual([])
  }
  const same = ["title", "assistant", "locale"].map((name) => `.${name}`)
  const chinese = textsOf(words.zh).filter(([name]) => !same.includes(name))
  expect(chinese.filter(([, text]) => !/\p{Script=Han}/u.test(text))).toEqual([])
  expect(textsOf(words.en).filter(([, text]) => /\p{Script=Han}/u.test(text))).toEqual([])
})

test("every word is used, and the components say no other", () => {
  const files = globSync("*.{ts,tsx}", { cwd: source }).filter((name) => name !== "words.ts")
  const texts = files.map((name) => readFileSync(join(source, name), "utf8"))
  const all = texts.join("\n")
  const unused = Object.keys(words.en).filter((name) => !new RegExp(`\\b${name}\\b`).test(all))
  expect(unused).toEqual([])
  const literal = /(?:aria-label|title|placeholder|alt|label)="|>\s*[A-Za-z][\w ]+<\//
  expect(texts.flatMap((text) => text.split("\n").filter((line) => literal.test(line)))).toEqual([])
})

test("the place in the queue is said as a person would", () => {
  expect(words.en.waiting(3, 20_400)).toBe("3 ahead of you, about 20 s")
  expect(words.en.loading(0, 20_400)).toBe("The model is being loaded, about 20 s")
  expect(words.zh.loading(2, undefined)).toBe("正在加载模型，前面还有 2 个…")
  expect(words.en.waiting(0, undefined)).toBe("You are next…")
  expect(words.en.waiting(1, 180_000)).toBe("1 ahead of you, about 3 min")
  expect(words.zh.waiting(3, 20_000)).toBe("前面还有 3 个，大约 20 秒")
})

test.each([
  [["zh-TW", "en"], "zh"],
  [["de-DE", "zh-CN", "en-US"], "zh"],
  [["EN-gb"], "en"],
  [["de"], "en"],
  [[], "en"]
])("%j is spoken to in %s", (wanted, language) => {
  expect(languageOf(wanted)).toBe(language)
})

test("times are written as in the person's own country", () => {
  expect(wordsFor("en", ["de-DE", "en-GB"]).locale).toBe("en-GB")
  expect(wordsFor("zh", ["de-DE"]).locale).toBe("zh-CN")
})

test("days have the names that people give them", () => {
  const noon = new Date(2026, 2, 15, 12).getTime()
  const day = 86_400_000
  const name = (atMs: number, of: Words = words.en) => dayOf(atMs, noon, of)
  expect([name(noon), name(noon - day), name(noon - 2 * day)]).toEqual(["Today", "Yesterday", "March 13"])
  expect([name(noon - 400 * day), name(noon - day, words.zh)]).toEqual(["February 8, 2025", "昨天"])
})
