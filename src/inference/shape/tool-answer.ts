/**
 * What a model wrote, taken apart into text and calls, as it comes.
 *
 *   C1. However the answer is cut into pieces, the same text and the same calls come of it.
 *   C2. Nothing of a mark is shown, and nothing that could become one.
 *   C3. The arguments of a call are one line, as the grammar says: they end where the line ends.
 */
import { randomId } from "../../domain/random-id.ts"
import type { FinishReason, Token } from "../engine.ts"
import { callEnd, callStart } from "./tool-text.ts"

type Said = Extract<Token, { readonly type: "text" | "call" }>

/** Changed in place, by the functions of this file alone. */
export interface ToolAnswer {
  /** What is held back. */
  rest: string
  place: "text" | "head" | "arguments" | "behind"
  calls: number
}

export function toolAnswer(): ToolAnswer {
  return { rest: "", place: "text", calls: 0 }
}

const head = /^\n\{"name": "([^"]*)", "arguments": /

export function hearText(answer: ToolAnswer, text: string): ReadonlyArray<Said> {
  const said: Array<Said> = []
  answer.rest += text
  for (let length = -1; length !== answer.rest.length; ) {
    length = answer.rest.length
    const before = answer.place
    stepOf[answer.place](answer, said)
    if (answer.place !== before) length = -1
  }
  return said
}

export interface ToolEnd {
  readonly said: ReadonlyArray<Said>
  readonly reason: FinishReason
}

/** What was held back, when no more comes. An answer that was cut off within a call has what there is of it. */
export function endOf(answer: ToolAnswer, reason: FinishReason): ToolEnd {
  const said: Array<Said> = answer.place === "text" && answer.rest !== "" ? [{ type: "text", text: answer.rest }] : []
  answer.rest = ""
  return { said, reason: reason === "stop" && answer.calls > 0 ? "tool-calls" : reason }
}

const stepOf: Readonly<Record<ToolAnswer["place"], (answer: ToolAnswer, said: Array<Said>) => void>> = {
  text: (answer, said) => {
    const start = answer.rest.indexOf(callStart)
    const shown = start < 0 ? answer.rest.length - heldLength(answer.rest, callStart) : start
    const text = answer.rest.slice(0, shown)
    if (text !== "") said.push({ type: "text", text })
    answer.rest = answer.rest.slice(start < 0 ? shown : start + callStart.length)
    if (start >= 0) answer.place = "head"
  },
  head: (answer, said) => {
    const [all, name] = head.exec(answer.rest) ?? []
    if (all === undefined || name === undefined) return
    answer.rest = answer.rest.slice(all.length)
    answer.place = "arguments"
    said.push({ type: "call", index: answer.calls++, id: `call_${randomId()}`, name, arguments: "" })
  },
  arguments: (answer, said) => {
    const end = answer.rest.indexOf("\n")
    // The last brace before the end of the line closes the call, and is none of the arguments.
    const shown = end >= 0 ? end - 1 : answer.rest.length - (answer.rest.endsWith("}") ? 1 : 0)
    const more = answer.rest.slice(0, shown)
    if (more !== "") said.push({ type: "call", index: answer.calls - 1, arguments: more })
    answer.rest = answer.rest.slice(end >= 0 ? end : shown)
    if (end >= 0) answer.place = "behind"
  },
  behind: (answer) => {
    const end = `\n${callEnd}`
    if (answer.rest.length < end.length) return
    const next = `\n${callStart}`
    const rest = answer.rest.slice(end.length)
    if (!rest.startsWith(next)) return
    answer.rest = rest.slice(next.length)
    answer.place = "head"
  }
}

/** The length of the longest end of `text` with which the mark begins. */
function heldLength(text: string, mark: string): number {
  for (let length = Math.min(mark.length - 1, text.length); length > 0; length--) {
    if (text.endsWith(mark.slice(0, length))) return length
  }
  return 0
}
