/** The tools that a client offers, and the calls and results in the messages that it sends back. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { storable } from "../domain/inbound.ts"
import type { ChatMessage, Tool, ToolCall, ToolUse } from "../inference/engine.ts"
import { type ApiError, invalid } from "./api-error.ts"
import type { chatFields } from "./chat-fields.ts"
import { eachOf, honoured, idle, missing, type Read, readFields, wrong } from "./request-fields.ts"

/** OpenAI's. */
export const toolsMax = 128
export const callsMax = 128

const name = Schema.String.check(Schema.isPattern(/^[a-zA-Z0-9_-]{1,64}$/))
const nameWords = "1 to 64 of letters, digits, _ and -"
const object = Schema.Record(Schema.String, Schema.Unknown)
const type = honoured(Schema.Literal("function"), '"function"')
const inside = honoured(object, "an object")

const toolFields = { type, function: inside } as const
const functionFields = {
  name: honoured(name, nameWords),
  description: honoured(Schema.String, "a string"),
  parameters: honoured(object, "a JSON Schema"),
  // For other servers: here a call is held to its schema in any case.
  strict: honoured(Schema.Boolean, "true or false")
} as const
const choiceFields = { type, function: inside } as const
const choiceFunctionFields = { name: honoured(name, nameWords) } as const
const callFields = {
  id: honoured(Schema.String, "a string"),
  // In lists that clients put together from a stream.
  index: idle(Schema.Finite, "a number"),
  type,
  function: inside
} as const
const callFunctionFields = {
  name: honoured(name, nameWords),
  arguments: honoured(Schema.String, "JSON as a string"),
  // Of openai-node's helpers.
  parsed_arguments: idle(Schema.Unknown, "anything")
} as const

export function readToolUse(fields: Read<typeof chatFields>): Result.Result<ToolUse | undefined, ApiError> {
  const { parallel_tool_calls = true, tool_choice = "auto", tools: list = [] } = fields
  if (list.length > toolsMax) return Result.fail(wrong("tools", `at most ${toolsMax} tools`, list))
  return Result.gen(function* () {
    const tools = yield* eachOf(list, (tool, index) => toolOf(tool, `tools[${index}]`))
    const twice = tools.find(({ name }, index) => tools.findIndex((other) => other.name === name) < index)
    if (twice !== undefined)
      return yield* Result.fail(invalid("invalid_value", "tools", `There are two tools ${twice.name}.`))
    const choice = yield* choiceOf(tool_choice, tools)
    if (choice === "none" || tools.length === 0) return undefined
    return { tools, choice, isParallel: parallel_tool_calls }
  })
}

function toolOf(value: unknown, path: string): Result.Result<Tool, ApiError> {
  return Result.gen(function* () {
    const at = `${path}.function`
    const tool = yield* readFields(toolFields, value, path)
    if (tool.type === undefined) return yield* Result.fail(missing(`${path}.type`, type.expected))
    if (tool.function === undefined) return yield* Result.fail(missing(at, inside.expected))
    const { description, name, parameters, strict } = yield* readFields(functionFields, tool.function, at)
    if (name === undefined) return yield* Result.fail(missing(`${at}.name`, nameWords))
    return {
      name,
      ...(description !== undefined && { description: storable(description) }),
      ...(parameters !== undefined && { parameters }),
      ...(strict !== undefined && { strict })
    }
  })
}

type Choice = ToolUse["choice"] | "none"

function choiceOf(value: unknown, tools: ReadonlyArray<Tool>): Result.Result<Choice, ApiError> {
  const path = "tool_choice"
  if (value === "none" || value === "auto") return Result.succeed(value)
  if (value === "required" && tools.length > 0) return Result.succeed(value)
  if (value === "required") return Result.fail(invalid("invalid_value", path, "`tool_choice` requires a tool of none."))
  if (typeof value === "string") return Result.fail(wrong(path, '"none", "auto", "required" or a function', value))
  return Result.gen(function* () {
    const choice = yield* readFields(choiceFields, value, path)
    if (choice.type === undefined) return yield* Result.fail(missing(`${path}.type`, type.expected))
    if (choice.function === undefined) return yield* Result.fail(missing(`${path}.function`, inside.expected))
    const { name } = yield* readFields(choiceFunctionFields, choice.function, `${path}.function`)
    if (name === undefined) return yield* Result.fail(missing(`${path}.function.name`, nameWords))
    if (tools.some((tool) => tool.name === name)) return { name }
    return yield* Result.fail(
      invalid("invalid_value", `${path}.function.name`, "`tool_choice` names none of the `tools`.")
    )
  })
}

/** What an assistant called; of others there is none. */
export function readCalls(
  role: string,
  list: ReadonlyArray<unknown> | undefined,
  path: string
): Result.Result<ReadonlyArray<ToolCall>, ApiError> {
  if (list === undefined || list.length === 0) return Result.succeed([])
  if (role !== "assistant") return Result.fail(invalid("invalid_value", path, `\`${path}\` are an assistant's.`))
  if (list.length > callsMax) return Result.fail(wrong(path, `at most ${callsMax} calls`, list))
  return eachOf(list, (call, index) => callOf(call, `${path}[${index}]`))
}

function callOf(value: unknown, path: string): Result.Result<ToolCall, ApiError> {
  return Result.gen(function* () {
    const at = `${path}.function`
    const call = yield* readFields(callFields, value, path)
    if (call.id === undefined) return yield* Result.fail(missing(`${path}.id`, callFields.id.expected))
    if (call.function === undefined) return yield* Result.fail(missing(at, inside.expected))
    const { arguments: given, name } = yield* readFields(callFunctionFields, call.function, at)
    if (name === undefined) return yield* Result.fail(missing(`${at}.name`, nameWords))
    if (given === undefined) return yield* Result.fail(missing(`${at}.arguments`, "JSON as a string"))
    return { id: call.id, name, arguments: storable(given) }
  })
}

/** A result of a call that no message before it made. */
export function unknownCall(messages: ReadonlyArray<ChatMessage>): ApiError | undefined {
  const made = new Set<string>()
  for (const [index, { callId, calls = [] }] of messages.entries()) {
    for (const { id } of calls) made.add(id)
    if (callId === undefined || made.has(callId)) continue
    const param = `messages[${index}].tool_call_id`
    return invalid("invalid_value", param, `\`${param}\` is of no call in the messages before it.`)
  }
  return undefined
}
