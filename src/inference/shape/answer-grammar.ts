/** The grammar of a whole answer: its shape, and the calls of tools that it may have. */
import * as Result from "effect/Result"
import { EngineRefused, type Shape, type ToolUse } from "../engine.ts"
import { grammarProblem } from "./gbnf.ts"
import { literal, oneOfTexts, Rules } from "./gbnf-text.ts"
import { anyObject, anyValue } from "./json-rules.ts"
import { schemaPiece } from "./json-schema.ts"
import { SchemaRefused } from "./schema-refused.ts"
import { callEnd, callHead, callStart } from "./tool-text.ts"

/** Of one answer. */
export const callsMax = 16

/** Undefined when any text will do. */
export function answerGrammar(
  shape: Shape | undefined,
  toolUse: ToolUse | undefined
): Result.Result<string | undefined, EngineRefused> {
  if (shape?.type === "grammar") return rawGrammar(shape.grammar, toolUse)
  if (shape === undefined && toolUse === undefined) return Result.succeed(undefined)
  const rules = new Rules()
  const text = shapePiece(rules, shape)
  const calls = toolUse === undefined ? Result.succeed(undefined) : callsPiece(rules, toolUse)
  return Result.flatMap(text, (said) =>
    Result.map(calls, (called) => rules.print(rootOf(rules, said, called, toolUse)))
  )
}

function rawGrammar(grammar: string, toolUse: ToolUse | undefined): Result.Result<string, EngineRefused> {
  const refused = (reason: string) => Result.fail(new EngineRefused({ part: "grammar", reason }))
  if (toolUse !== undefined) return refused("a grammar and tools do not go together")
  const problem = grammarProblem(grammar)
  if (problem === undefined) return Result.succeed(grammar)
  return refused(
    `the grammar cannot be used: ${problem.line === undefined ? "" : `line ${problem.line}: `}${problem.reason}`
  )
}

/** Undefined for text that has no shape. */
function shapePiece(rules: Rules, shape: Shape | undefined): Result.Result<string | undefined, EngineRefused> {
  if (shape === undefined) return Result.succeed(undefined)
  if (shape.type !== "json-schema") return Result.succeed(anyObject(rules, "free", anyValue(rules, "free").text).text)
  return pieceOf("shape", "the schema", () => schemaPiece(shape.schema, rules, "free").text)
}

/** One or more calls; what stands between two marks is one line. */
function callsPiece(rules: Rules, { choice, isParallel, tools }: ToolUse): Result.Result<string, EngineRefused> {
  const offered = typeof choice === "object" ? tools.filter(({ name }) => name === choice.name) : tools
  const branches = []
  for (const { name, parameters } of offered) {
    const made = pieceOf("tools", `the parameters of ${name}`, () =>
      rules.fresh(
        schemaPiece(parameters ?? { type: "object", properties: {}, additionalProperties: false }, rules, "line").text
      )
    )
    if (Result.isFailure(made)) return Result.fail(made.failure)
    branches.push({ text: callHead(name), after: `${made.success} ${literal(`}\n${callEnd}`)}` })
  }
  const inside = rules.add("call", `"\\n" ${oneOfTexts(rules, branches).text}`)
  if (typeof choice === "object" || !isParallel) return Result.succeed(inside)
  return Result.succeed(rules.add("calls", `${inside} (${literal(`\n${callStart}`)} ${inside}){0,${callsMax - 1}}`))
}

function pieceOf(part: "shape" | "tools", what: string, make: () => string): Result.Result<string, EngineRefused> {
  const made = Result.try({ try: make, catch: (cause) => cause })
  if (Result.isSuccess(made)) return Result.succeed(made.success)
  if (!(made.failure instanceof SchemaRefused)) throw made.failure
  const { path, reason } = made.failure
  return Result.fail(new EngineRefused({ part, reason: `${what} cannot be kept: \`${path}\` ${reason}` }))
}

function rootOf(
  rules: Rules,
  said: string | undefined,
  called: string | undefined,
  toolUse: ToolUse | undefined
): string {
  if (called === undefined) return said ?? ""
  const call = `${literal(callStart)} ${called}`
  if (toolUse?.choice !== "auto") return call
  return said === undefined ? textThenCalls(rules, called) : `${said} | ${call}`
}

/**
 * Any text, in which a call may begin wherever its mark is complete. One rule for each letter of the mark that has been
 * read, so that there is one way of reading it.
 */
function textThenCalls(rules: Rules, called: string): string {
  const letters = [...callStart]
  const state = (read: number) => (read === letters.length ? called : `mark-${read}`)
  for (const [read, letter] of letters.entries()) {
    const again = read > 0 ? ` | "<" ${state(1)}` : ""
    const others = read > 0 ? `[^<${letter}]` : "[^<]"
    rules.add(`mark-${read}`, `"" | "${letter}" ${state(read + 1)}${again} | ${others} ${state(0)}`)
  }
  return state(0)
}
