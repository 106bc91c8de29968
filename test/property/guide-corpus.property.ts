/** The corpus of the guide: K1 to K3 of its header, over thousands of dialogues. */
import { describe, expect, test } from "vitest"
import { isReserved, worked } from "../../models/train/arithmetic.ts"
import { corpusOf } from "../../models/train/corpus.ts"
import { hasHan, messagesOf, piecesOf, type Turn } from "../../models/train/dialogue.ts"
import { answerOf } from "../../models/train/facts.ts"
import {
  heldOutNameDialogues,
  heldOutNames,
  heldOutQuestions,
  isHeldOut,
  shapeOf
} from "../../models/train/held-out.ts"
import { fixedIntents, phrasings } from "../../models/train/questions.ts"

const dialogues = [...corpusOf(11, 8_000)]
const turns = dialogues.flatMap(({ language, turns }) => turns.map((turn) => ({ ...turn, language })))
const turnsOf = (...intents: ReadonlyArray<string>) => turns.filter(({ intent }) => intents.includes(intent))

test("K1: the same seed gives the same dialogues", () => {
  expect([...corpusOf(3, 200)]).toEqual([...corpusOf(3, 200)])
  expect([...corpusOf(3, 200)]).not.toEqual([...corpusOf(4, 200)])
})

test("every intent is asked, in each of its languages, and no slot is left open", () => {
  const asked = new Set(turns.map(({ intent, language }) => `${intent} ${language}`))
  for (const [language, sections] of Object.entries(phrasings)) {
    for (const intent of sections.keys()) expect(asked).toContain(`${intent} ${language}`)
    for (const intent of fixedIntents) expect([...sections.keys()]).toContain(intent)
  }
  for (const { answer, asked } of turns) expect(`${asked}${answer}`).not.toMatch(/\{[a-z.]*\}|undefined|\|/)
})

test("a dialogue is ChatML: its roles alternate, and no text is empty or holds a token of the template", () => {
  for (const dialogue of dialogues) {
    const messages = messagesOf(dialogue).filter(({ role }) => role !== "system")
    expect(messages.map(({ role }) => role)).toEqual(dialogue.turns.flatMap(() => ["user", "assistant"]))
    for (const { content } of messages) expect(content).toMatch(/^(?!\s)(?!.*<\|)[^\n]+$/u)
    const learned = piecesOf(messagesOf(dialogue)).filter((piece) => piece.learned)
    expect(learned.map(({ text }) => text)).toEqual(dialogue.turns.flatMap(({ answer }) => [answer, "<|im_end|>"]))
  }
})

describe("K2: every answer is right, and in the language of its question", () => {
  test("in the language", () => {
    for (const { answer, asked, intent, language } of turns) {
      if (language === "en") expect([asked, hasHan(`${asked}${answer}`)]).toEqual([asked, false])
      else if (intent !== "spell") expect([asked, answer, hasHan(answer)]).toEqual([asked, answer, true])
    }
  })

  test("sums and differences, and each of their steps", () => {
    for (const { answer, asked, intent } of turnsOf("add", "subtract")) {
      const [first, second] = (asked.match(/\d+/g) ?? []).map(Number)
      const result = Number(/(-?\d+)\D*$/.exec(answer)?.[1])
      const either = intent === "add" ? [first! + second!] : [first! - second!, second! - first!]
      expect([asked, either.includes(result)]).toEqual([asked, true])
      const steps = [...answer.matchAll(/ ((?:\d \+ |\d+ - )\d(?: [+-] 1)?) = (\d+)/g)]
      for (const [step, task, shown] of steps) expect([step, sumOf(task!)]).toEqual([step, Number(shown)])
      // The last step is said whole, of the others their last digit: read from the left, that is the result.
      const digits = steps.map(([, , shown], column) => (column === steps.length - 1 ? shown! : shown!.slice(-1)))
      expect([answer, Number(digits.toReversed().join(""))]).toEqual([answer, Math.abs(result)])
    }
    expect(worked("add", 95, 17, "en")).toBe("95 + 17: ones 5 + 7 = 12, tens 9 + 1 + 1 = 11. So 112.")
    expect(worked("subtract", 52, 17, "en")).toBe("52 - 17: ones 12 - 7 = 5, tens 5 - 1 - 1 = 3. So 35.")
    expect(worked("subtract", 100, 1, "en")).toContain("ones 10 - 1 = 9, tens 10 - 0 - 1 = 9, hundreds 1 - 0 - 1 = 0")
  })

  test("words spelled, reversed and counted", () => {
    for (const { answer, asked } of turnsOf("spell")) expect(asked).toContain(answer.replaceAll("-", ""))
    for (const { answer } of turnsOf("reverse")) {
      const [there = "", back = ""] = answer.match(/[a-z](-[a-z])+/g) ?? []
      expect([...there].toReversed().join("")).toBe(back)
      expect(answer.startsWith(there.replaceAll("-", ""))).toBe(true)
    }
    for (const { answer, asked } of turnsOf("count-letters", "count-words", "count-chars")) {
      const parts = [...answer.matchAll(/(\d+) ([^\s,\uFF0C。.]+)/g)].filter(
        ([, , part]) => !/letters|words|个/.test(part!)
      )
      const count = Number(/(\d+)\D*$/.exec(answer)?.[1])
      expect(parts.map(([, number]) => Number(number))).toEqual(Array.from({ length: count }, (_, i) => i + 1))
      const whole = parts.map(([, , part]) => part).join(answer.includes("words") ? " " : "")
      expect([asked, asked.includes(whole)]).toEqual([asked, true])
    }
  })

  test("what is repeated is what was said", () => {
    for (const { answer, asked } of turnsOf("repeat")) expect(asked).toContain(answer)
  })

  test("a name is the last that was told, and none is made up", () => {
    const named = dialogues.filter(({ turns }) => turns.some(({ intent }) => intent === "name-ask"))
    expect(named.length).toBeGreaterThan(500)
    for (const { turns } of named) {
      const told = turns.findLast(({ intent }) => intent === "name-tell")
      const answer = turns.findLast(({ intent }) => intent === "name-ask")!.answer
      if (told === undefined) expect(answer).toMatch(/not told me|没有告诉/)
      else expect(told.asked).toContain(nameIn(answer))
    }
    expect(named.some(({ turns }) => turns.length >= 9)).toBe(true)
  })

  test("everything else is beyond it", () => {
    const outside = turnsOf("outside")
    expect(new Set(outside.map(({ asked }) => asked)).size).toBeGreaterThan(0.9 * outside.length)
    for (const { answer, language } of outside) expect(answer).toBe(answerOf("outside", language))
  })
})

describe("K3: no question is asked here that the held-out test asks, and no pair of numbers or name of its", () => {
  test("no question, whatever fills its slots", () => {
    const asked = new Set(turns.map(({ asked }) => shapeOf(asked)))
    for (const { asked: heldOut } of heldOutQuestions) {
      for (const question of heldOut) expect([question, asked.has(shapeOf(question))]).toEqual([question, false])
    }
    for (const { asked: heldOut } of heldOutNameDialogues) expect(asked).not.toContain(shapeOf(heldOut.at(-1)!))
  })

  test("and would be drawn again, however it is typed", () => {
    for (const { asked } of heldOutQuestions) expect(isHeldOut(` ${asked[0]!.toUpperCase()} !?`)).toBe(true)
    expect(isHeldOut("canada has its capital WHERE?")).toBe(true)
    expect(isHeldOut("Norway has its capital where")).toBe(true)
    expect(isHeldOut("What is the capital of Canada?")).toBe(false)
  })

  test("no pair", () => {
    for (const { asked } of turnsOf("add", "subtract")) {
      const [first, second] = (asked.match(/\d+/g) ?? []).map(Number)
      expect([asked, isReserved(first!, second!)]).toEqual([asked, false])
    }
    const pairs = Array.from({ length: 10_000 }, (_, i) => isReserved(i % 100, Math.floor(i / 100)))
    expect(pairs.filter(Boolean).length).toBeGreaterThan(700)
    expect(pairs.filter(Boolean).length).toBeLessThan(1_300)
  })

  test("no name", () => {
    const names = turnsOf("name-ask").map(({ answer }) => nameIn(answer).toLowerCase())
    expect(names.filter((name) => heldOutNames.has(name))).toEqual([])
  })

  test("and two questions of one shape differ in what fills the slots alone", () => {
    expect(shapeOf("What is the capital of France?")).toBe(shapeOf("what is the capital of  spain"))
    expect(shapeOf("12 + 5?")).toBe(shapeOf("7+99"))
    expect(shapeOf("How are you?")).not.toBe(shapeOf("Who are you?"))
  })
})

const nameIn = (answer: Turn["answer"]) => /^(?:Your name is |你叫)(.*?)[.。]$/.exec(answer)?.[1] ?? answer

const sumOf = (task: string) =>
  task
    .replaceAll(" ", "")
    .match(/[+-]?\d+/g)!
    .reduce((total, part) => total + Number(part), 0)
