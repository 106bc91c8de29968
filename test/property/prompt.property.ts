import fc from "fast-check"
import { expect, test } from "vitest"
import { tokensEstimatedOf } from "../../src/inference/demand.ts"
import type { ChatMessage } from "../../src/inference/engine.ts"
import { trimmed } from "../../src/inference/worker/prompt.ts"

const content = fc.string({ minLength: 1, maxLength: 30 })
const written = fc.array(content, { minLength: 1, maxLength: 2 }).map((texts) => texts.map(by("user")))
const answered = fc.array(content, { minLength: 1, maxLength: 2 }).map((texts) => texts.map(by("assistant")))
const turn = fc.tuple(written, answered).map((both) => both.flat())
const conversations = fc.record({
  system: fc.array(content, { maxLength: 2 }).map((texts) => texts.map(by("system"))),
  turns: fc.array(turn, { maxLength: 12, size: "max" }),
  last: written
})
const tokensMax = fc.integer({ min: 1, max: 400 })

function by(role: ChatMessage["role"]) {
  return (content: string): ChatMessage => ({ role, content })
}

/** A token a character, and four that every message costs. */
const tokenise = (messages: ReadonlyArray<ChatMessage>) =>
  messages.flatMap((message) => ["<", message.role, message.content, ">", ...message.content.slice(1)])
const lengthOf = (messages: ReadonlyArray<ChatMessage>) => tokenise(messages).length

interface Conversation {
  readonly system: ReadonlyArray<ChatMessage>
  readonly turns: ReadonlyArray<ReadonlyArray<ChatMessage>>
  readonly last: ReadonlyArray<ChatMessage>
}

const property = (title: string, check: (conversation: Conversation, tokensMax: number) => void) =>
  test(title, () => fc.assert(fc.property(conversations, tokensMax, check)))

const whole = ({ last, system, turns }: Conversation) => [...system, ...turns.flat(), ...last]

property("M1: what the system says at the start, and the last turn, are always in it", (conversation, tokensMax) => {
  const { last, system } = conversation
  const prompt = trimmed(whole(conversation), tokensMax, true, tokenise)
  expect(prompt.type).toBe(lengthOf([...system, ...last]) <= tokensMax ? "fits" : "too-long")
  if (prompt.type === "too-long") {
    expect(prompt).toEqual({ type: "too-long", tokens: lengthOf([...system, ...last]), tokensMax })
    return
  }
  expect(prompt.tokens.slice(0, lengthOf(system))).toEqual(tokenise(system))
  expect(prompt.tokens.slice(-lengthOf(last))).toEqual(tokenise(last))
})

/** So many turns are left out at each mark. */
function marksOf(turns: ReadonlyArray<ReadonlyArray<ChatMessage>>, tokensMax: number): ReadonlyArray<number> {
  const quarters = turns.map((_, i) => {
    const before = turns.slice(0, i).flat()
    return Math.floor((4 * before.reduce((sum, message) => sum + tokensEstimatedOf(message), 0)) / tokensMax)
  })
  return [...turns.keys()].filter((i) => i > 0 && quarters[i]! > quarters[i - 1]!)
}

const m2 = "M2: what is left out is the oldest: whole turns, so that no answer stands without its question"
const m3 = "M3: no more is left out than up to the first mark that makes it fit"
property(`${m2}. ${m3}`, (conversation, tokensMax) => {
  const { last, system, turns } = conversation
  const prompt = trimmed(whole(conversation), tokensMax, true, tokenise)
  if (prompt.type === "too-long") return
  const marks = marksOf([...turns, last], tokensMax)
  const candidates = [0, ...marks, turns.length].map((dropped) => [...system, ...turns.slice(dropped).flat(), ...last])
  expect(prompt.tokens).toEqual(tokenise(candidates.find((messages) => lengthOf(messages) <= tokensMax)!))
})

const m5 = "M5: where the marks are depends on the turns before them alone"
property(
  `${m5}, so that what is left out only grows as a conversation goes on`,
  ({ last, system, turns }, tokensMax) => {
    const marks = new Set([0, ...marksOf([...turns, last], tokensMax)])
    let before = 0
    for (const now of turns.keys()) {
      const messages = [...system, ...turns.slice(0, now).flat(), ...turns[now]!.filter(({ role }) => role === "user")]
      const prompt = trimmed(messages, tokensMax, true, tokenise)
      if (prompt.type === "too-long") continue
      const dropped = [...turns.keys()].find((d) => {
        const left = [...system, ...turns.slice(d, now).flat(), ...turns[now]!.filter(({ role }) => role === "user")]
        return lengthOf(left) === prompt.tokens.length
      })!
      expect(marks.has(dropped) || dropped === now).toBe(true)
      if (dropped === now) continue
      expect(dropped).toBeGreaterThanOrEqual(before)
      before = dropped
    }
  }
)

property("M4: nothing is left out where nothing may be dropped", (conversation, tokensMax) => {
  const messages = whole(conversation)
  const tokens = lengthOf(messages)
  const expected =
    tokens <= tokensMax ? { type: "fits", tokens: tokenise(messages) } : { type: "too-long", tokens, tokensMax }
  expect(trimmed(messages, tokensMax, false, tokenise)).toEqual(expected)
})

test("the conversations above are kept whole, trimmed, and refused", () => {
  const prompts = fc.sample(fc.tuple(conversations, tokensMax), { numRuns: 200, seed: 1 }).map(([c, max]) => {
    const prompt = trimmed(whole(c), max, true, tokenise)
    return prompt.type === "fits" ? prompt.tokens.length === lengthOf(whole(c)) : prompt.type
  })
  expect(new Set(prompts)).toEqual(new Set([true, false, "too-long"]))
})
