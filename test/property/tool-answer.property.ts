import fc from "fast-check"
import { expect, test } from "vitest"
import type { Token } from "../../src/inference/engine.ts"
import { endOf, hearText, toolAnswer } from "../../src/inference/shape/tool-answer.ts"
import { callEnd, callHead, callStart, withTools } from "../../src/inference/shape/tool-text.ts"

/** What could be taken for a mark, or for the end of one. */
const near = fc.constantFrom(
  "<",
  "<tool",
  "<tool_cal",
  "tool_call>",
  "}",
  "}\n",
  "{",
  "a",
  "漢",
  "\n",
  "<<tool_call",
  " "
)
const text = fc
  .array(near, { maxLength: 12, size: "max" })
  .map((some) => some.join("").replaceAll(callStart, "<tool-call>"))
const given = fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.stringify({ value, "}": "</tool_call>" }))
const calls = fc.array(fc.record({ name: fc.constantFrom("f", "look_up"), given }), { maxLength: 4 })
const cuts = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 20, size: "max" })

const written = (some: ReadonlyArray<{ readonly name: string; readonly given: string }>) =>
  some.map(({ given, name }) => `${callStart}\n${callHead(name)}${given}}\n${callEnd}`).join("\n")

function heard(answer: string, lengths: ReadonlyArray<number>, reason: "stop" | "length" = "stop") {
  const state = toolAnswer()
  const tokens: Array<Token> = []
  for (let at = 0, nth = 0; at < answer.length; nth++) {
    const piece = answer.slice(at, at + lengths[nth % lengths.length]!)
    tokens.push(...hearText(state, piece))
    at += piece.length
  }
  const end = endOf(state, reason)
  return { tokens: [...tokens, ...end.said], reason: end.reason }
}

function read(tokens: ReadonlyArray<Token>) {
  let said = ""
  const called: Array<{ name: string; given: string }> = []
  for (const token of tokens) {
    if (token.type === "text") said += token.text
    if (token.type !== "call") continue
    expect(token.id === undefined).toBe(called.length > token.index)
    const before = called[token.index] ?? { name: token.name ?? "", given: "" }
    called[token.index] = { ...before, given: before.given + token.arguments }
  }
  return { said, called }
}

test("C1: however the answer is cut into pieces, the same text and the same calls come of it", () =>
  fc.assert(
    fc.property(text, calls, cuts, (said, some, lengths) => {
      const { reason, tokens } = heard(said + written(some), lengths)
      expect(read(tokens)).toEqual({ said, called: some })
      expect(reason).toBe(some.length > 0 ? "tool-calls" : "stop")
    })
  ))

test("C2: nothing of a mark is shown, and nothing that could become one", () =>
  fc.assert(
    fc.property(text, calls, cuts, fc.nat(), (said, some, lengths, at) => {
      const whole = said + written(some)
      const cut = whole.slice(0, at % (whole.length + 1))
      const state = toolAnswer()
      const shown = read(hearText(state, cut)).said
      expect(said.startsWith(shown)).toBe(true)
      const { reason, tokens } = heard(cut, lengths, "length")
      expect(reason).toBe("length")
      // What looked like the start of a mark is text when nothing more comes.
      expect((said + callStart).startsWith(read(tokens).said)).toBe(true)
    })
  ))

test("an answer that is cut off within a call has the start of its arguments", () =>
  fc.assert(
    fc.property(given, fc.nat(), cuts, (arguments_, at, lengths) => {
      const cut = arguments_.slice(0, at % arguments_.length)
      const { called } = read(heard(`${callStart}\n${callHead("f")}${cut}`, lengths, "length").tokens)
      expect(called).toHaveLength(1)
      expect(cut.startsWith(called[0]!.given)).toBe(true)
      expect(cut.length - called[0]!.given.length).toBeLessThanOrEqual(1)
    })
  ))

test("calls and their results stand in the prompt as a model writes and reads them", () => {
  const call = { id: "1", name: "f", arguments: '{"a":1}' }
  const plain = withTools(
    [
      { role: "system", content: "Be kind." },
      { role: "user", content: "Go." },
      { role: "assistant", content: "Well.", calls: [call, { ...call, id: "2" }] },
      { role: "tool", content: "7", callId: "1" },
      { role: "tool", content: "8", callId: "2" },
      { role: "user", content: "And?" }
    ],
    { tools: [{ name: "f", description: "F." }], choice: "auto", isParallel: true }
  )
  expect(plain.map(({ role }) => role)).toEqual(["system", "user", "assistant", "user", "user"])
  expect(plain[0]?.content).toMatch(/^Be kind\.\n\n# Tools.*"name":"f","description":"F\."/s)
  const { called, said } = read(heard(plain[2]!.content, [3]).tokens)
  expect({ called, said }).toEqual({ said: "Well.\n", called: Array(2).fill({ name: "f", given: '{"a":1}' }) })
  expect(plain[3]?.content).toBe("<tool_response>\n7\n</tool_response>\n<tool_response>\n8\n</tool_response>")
  expect(withTools([{ role: "user", content: "Go." }], undefined)).toEqual([{ role: "user", content: "Go." }])
})
