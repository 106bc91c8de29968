/** The shape of an answer, and tools, as clients ask for them: what is taken, and what is refused, and how. */
import { Result } from "effect"
import { expect, test } from "vitest"
import { readChatRequest } from "../../src/http/chat-request.ts"
import { callsMax, toolsMax } from "../../src/http/chat-tools.ts"

const hi = { model: "m", messages: [{ role: "user", content: "Hi" }] }
const read = (more: object) => readChatRequest(Buffer.from(JSON.stringify({ ...hi, ...more })))
const taken = (more: object) => Result.getOrThrow(read(more))

const schema = { type: "object", properties: {} }
const format = (json_schema: unknown) => ({ response_format: { type: "json_schema", json_schema } })
const tool = (name: string, more: object = {}) => ({ type: "function", function: { name, ...more } })
const choose = (name: string) => ({ type: "function", function: { name } })

test("the shape of an answer is read", () => {
  expect(taken({ response_format: { type: "json_object" } }).shape).toEqual({ type: "json-object" })
  expect(taken(format({ name: "it", schema })).shape).toEqual({ type: "json-schema", name: "it", schema })
  const whole = { name: "it", schema, strict: true, description: "It." }
  expect(taken(format(whole)).shape).toEqual({ type: "json-schema", ...whole })
  expect(taken({ grammar: 'root ::= "a"' }).shape).toEqual({ type: "grammar", grammar: 'root ::= "a"' })
})

test("tools are read, and how they may be called", () => {
  const tools = [tool("f", { description: "F.", parameters: schema, strict: true }), tool("g")]
  const read = [{ name: "f", description: "F.", parameters: schema, strict: true }, { name: "g" }]
  expect(taken({ tools }).toolUse).toEqual({ tools: read, choice: "auto", isParallel: true })
  expect(taken({ tools, tool_choice: "required", parallel_tool_calls: false }).toolUse).toEqual({
    tools: read,
    choice: "required",
    isParallel: false
  })
  expect(taken({ tools, tool_choice: choose("g") }).toolUse).toMatchObject({ choice: { name: "g" } })
  expect(taken({ tools, tool_choice: "none" }).toolUse).toBeUndefined()
})

const calling = (id: string, name = "f") => ({
  role: "assistant",
  content: null,
  tool_calls: [{ id, type: "function", function: { name, arguments: "{}" } }]
})

test("calls and their results are read from the messages", () => {
  const result = { role: "tool", tool_call_id: "1", content: [{ type: "text", text: "7" }] }
  expect(taken({ messages: [...hi.messages, calling("1"), result] }).messages.slice(1)).toEqual([
    { role: "assistant", content: "", calls: [{ id: "1", name: "f", arguments: "{}" }] },
    { role: "tool", content: "7", callId: "1" }
  ])
})

const many = (count: number) => Array.from({ length: count }, (_, n) => tool(`f${n}`))
const result = { role: "tool", tool_call_id: "2", content: "7" }

test.each<[more: object, param: string, code: string]>([
  [{ response_format: {} }, "response_format.type", "missing_required_parameter"],
  [{ response_format: { type: "xml" } }, "response_format.type", "invalid_value"],
  [{ response_format: { type: "text", schema } }, "response_format.schema", "unknown_parameter"],
  [{ response_format: { type: "json_object", json_schema: {} } }, "response_format.json_schema", "invalid_value"],
  [{ response_format: { type: "json_schema" } }, "response_format.json_schema", "missing_required_parameter"],
  [format({ schema }), "response_format.json_schema.name", "missing_required_parameter"],
  [format({ name: "a b", schema }), "response_format.json_schema.name", "invalid_value"],
  [format({ name: "it" }), "response_format.json_schema.schema", "missing_required_parameter"],
  [format({ name: "it", schema, rules: 1 }), "response_format.json_schema.rules", "unknown_parameter"],
  [{ grammar: 'root ::= "a"', response_format: { type: "json_object" } }, "grammar", "invalid_value"],
  [{ tools: many(toolsMax + 1) }, "tools", "invalid_value"],
  [{ tools: [tool("f"), tool("f")] }, "tools", "invalid_value"],
  [{ tools: [7] }, "tools[0]", "invalid_value"],
  [{ tools: [{ type: "custom", custom: {} }] }, "tools[0].type", "invalid_value"],
  [{ tools: [{ type: "function" }] }, "tools[0].function", "missing_required_parameter"],
  [{ tools: [tool("a.b")] }, "tools[0].function.name", "invalid_value"],
  [{ tools: [tool("f", { parameters: [] })] }, "tools[0].function.parameters", "invalid_value"],
  [{ tools: [tool("f", { returns: {} })] }, "tools[0].function.returns", "unknown_parameter"],
  [{ tool_choice: "required" }, "tool_choice", "invalid_value"],
  [{ tools: [tool("f")], tool_choice: "any" }, "tool_choice", "invalid_value"],
  [{ tools: [tool("f")], tool_choice: choose("g") }, "tool_choice.function.name", "invalid_value"],
  [{ tools: [tool("f")], tool_choice: { type: "allowed_tools" } }, "tool_choice.type", "invalid_value"],
  [{ messages: [{ role: "tool", content: "7" }] }, "messages[0].tool_call_id", "missing_required_parameter"],
  [{ messages: [{ role: "user", content: "7", tool_call_id: "1" }] }, "messages[0].tool_call_id", "invalid_value"],
  [{ messages: [calling("1"), result] }, "messages[1].tool_call_id", "invalid_value"],
  [{ messages: [{ ...calling("1"), role: "user", content: "x" }] }, "messages[0].tool_calls", "invalid_value"],
  [{ messages: [calling("1", "a b")] }, "messages[0].tool_calls[0].function.name", "invalid_value"],
  [
    { messages: [{ role: "assistant", tool_calls: Array(callsMax + 1).fill(calling("1").tool_calls[0]) }] },
    "messages[0].tool_calls",
    "invalid_value"
  ]
])("%j is refused for its %s as %s", (more, param, code) => {
  const refused = read(more)
  expect(refused).toMatchObject({ failure: { status: 400, param, code } })
})
