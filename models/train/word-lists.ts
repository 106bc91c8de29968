/** The words that the corpus is made of, from the files in `words/`. */
import { readFileSync } from "node:fs"
import { join } from "node:path"

const read = (name: string) => readFileSync(join(import.meta.dirname, "words", `${name}.txt`), "utf8").trim()
const wordsOf = (name: string): ReadonlyArray<string> => read(name).split(/\s+/)
const rowsOf = (name: string): ReadonlyArray<ReadonlyArray<string>> =>
  read(name)
    .split("\n")
    .map((line) => line.split("|"))

export interface Country {
  readonly country: Readonly<Record<"en" | "zh", string>>
  readonly city: Readonly<Record<"en" | "zh", string>>
}

export const countries: ReadonlyArray<Country> = rowsOf("capitals").map(([country, city, zhCountry, zhCity]) => ({
  country: { en: country!, zh: zhCountry! },
  city: { en: city!, zh: zhCity! }
}))

export interface Unit {
  readonly from: Readonly<Record<"en" | "zh", string>>
  readonly to: Readonly<Record<"en" | "zh", string>>
  /** How many `to` make one `from`. */
  readonly factor: number
}

export const units: ReadonlyArray<Unit> = rowsOf("units").map(([from, to, factor, zhFrom, zhTo]) => ({
  from: { en: from!, zh: zhFrom! },
  to: { en: to!, zh: zhTo! },
  factor: Number(factor)
}))

export const things = rowsOf("things").map(([en, zh]) => ({ en: en!, zh: zh! }))
export const englishWords = wordsOf("english")
export const smallEnglishWords = wordsOf("english-small")
export const chineseWords = wordsOf("chinese")
export const messengers = { en: wordsOf("messengers"), zh: wordsOf("messengers-zh") }
export const nameSyllables = wordsOf("name-syllables")
export const nameEndings = wordsOf("name-endings")
export const surnames = wordsOf("surnames-zh")
export const givenNames = wordsOf("given-zh")

export const days = {
  en: ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
  zh: ["星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日"]
} as const
export const months = {
  en: "January February March April May June July August September October November December".split(" "),
  zh: "一月 二月 三月 四月 五月 六月 七月 八月 九月 十月 十一月 十二月".split(" ")
} as const
export const ordinals = {
  en: "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth".split(" "),
  zh: "一 二 三 四 五 六 七 八 九 十 十一 十二".split(" ")
} as const
