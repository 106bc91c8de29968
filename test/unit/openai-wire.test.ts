/** What we make of the words of servers that speak OpenAI's protocol, each in its own way. */
import { Result } from "effect"
import { expect, test } from "vitest"
import { apiErrorOf } from "../../src/http/api-error.ts"
import { type ChatMessage, PromptTooLong } from "../../src/inference/engine.ts"
import { bodyOf, emptyAnswer, errorOf, newestThatFit, tokensOf } from "../../src/inference/openai-wire.ts"

const openaiTooLong =
  "This model's maximum context length is 4096 tokens. However, your messages resulted in 5000 tokens."
const errors: ReadonlyArray<readonly [title: string, status: number, body: string, error: object]> = [
  [
    "OpenAI: too long",
    400,
    JSON.stringify({ error: { code: "context_length_exceeded", message: openaiTooLong } }),
    { _tag: "PromptTooLong", tokens: 5_000, tokensMax: 4_096 }
  ],
  [
    "vLLM: too long",
    400,
    JSON.stringify({ object: "error", message: openaiTooLong, code: 400 }),
    { _tag: "PromptTooLong", tokens: 5_000, tokensMax: 4_096 }
  ],
  [
    "llama-server: too long",
    400,
    JSON.stringify({ error: { code: 400, type: "exceed_context_size_error", n_prompt_tokens: 900, n_ctx: 512 } }),
    { _tag: "PromptTooLong", tokens: 900, tokensMax: 512 }
  ],
  [
    "OpenAI: anything else",
    404,
    '{"error":{"message":"no such model","code":null}}',
    { _tag: "EngineRefused", reason: "The model server answered 404: no such model" }
  ],
  [
    "OpenAI: of a field",
    400,
    '{"error":{"message":"no","param":"response_format.json_schema"}}',
    { _tag: "EngineRefused", part: "shape" }
  ],
  [
    "OpenAI: of a field that is none of ours",
    400,
    '{"error":{"message":"no","param":"toString"}}',
    { reason: "The model server answered 400: no" }
  ],
  ["Ollama", 404, '{"error":"no such model"}', { reason: "The model server answered 404: no such model" }],
  ["vLLM", 400, '{"object":"error","message":"no"}', { reason: "The model server answered 400: no" }],
  [
    "a proxy's page",
    404,
    `<p>${"x".repeat(2_000)}`,
    { reason: `The model server answered 404: <p>${"x".repeat(497)}` }
  ],
  ["nothing", 403, "", { reason: "The model server answered 403" }],
  ["a broken server", 502, "", { _tag: "EngineLost", reason: "The model server answered 502" }],
  ["a server that waited for us", 408, "", { _tag: "EngineLost" }],
  ["a full one", 429, '{"error":{"message":"slow down"}}', { _tag: "EngineBusy", retryAfterMs: 2_000 }]
]
for (const [title, status, body, error] of errors) {
  test(`${title}, with status ${status}`, () => expect(errorOf(status, "2", body, 0)).toMatchObject(error))
}

const say = (role: ChatMessage["role"], content: string): ChatMessage => ({ role, content })

test("the oldest turns are left out until the rest fits, each as a whole", () => {
  const [system, last] = [say("system", "Be kind."), say("user", "last")]
  // By the estimate 7 and 6; 44 and 24; 34 and 5.
  const old = [say("user", "漢".repeat(40)), say("assistant", "x".repeat(60))]
  const recent = [say("user", "y".repeat(90)), say("assistant", "z")]
  const messages = [system, ...old, ...recent, last]
  expect(newestThatFit(messages, 120)).toEqual(messages)
  expect(newestThatFit(messages, 119)).toEqual([system, ...recent, last])
  expect(newestThatFit(messages, 52)).toEqual([system, ...recent, last])
  expect(newestThatFit(messages, 51)).toEqual([system, last])
  expect(newestThatFit(messages, -1)).toEqual([system, last])
})

test("a greeting of the assistant stays where all fits", () => {
  const messages = [say("assistant", "Hello!"), say("user", "Hi")]
  expect(newestThatFit(messages, 100)).toEqual(messages)
  expect(newestThatFit(messages, 5)).toEqual([say("user", "Hi")])
})

test("a conversation is cut to what the server can read, unless nothing may be dropped from it", () => {
  const messages = Array.from({ length: 9 }, (_, n) => ({
    role: n % 2 === 0 ? ("user" as const) : ("assistant" as const),
    content: "x".repeat(90)
  }))
  const request = { id: "1", user: "ann", messages, answerTokensMax: 10, temperature: 1, stop: [] }
  const sent = (more: object): ReadonlyArray<ChatMessage> =>
    JSON.parse(bodyOf({ ...request, ...more }, { contextTokens: 200 })).messages
  expect(sent({}).length).toBeLessThan(messages.length)
  expect(sent({ mayDrop: true })).toEqual(sent({}))
  expect(sent({ mayDrop: false })).toEqual(messages)
  expect(JSON.parse(bodyOf({ ...request, topP: 0.3 }, {}))).toMatchObject({ top_p: 0.3 })
})

test("a server such as ours says of its context what any of them says", () => {
  const { message } = apiErrorOf(new PromptTooLong({ tokens: 900, tokensMax: 512 }), 40)
  for (const code of ["context_length_exceeded", null]) {
    const error = errorOf(400, undefined, JSON.stringify({ error: { message, code } }), 0)
    expect(error).toMatchObject({ _tag: "PromptTooLong", tokens: 900, tokensMax: 512 })
  }
})

const plain = { id: "1", user: "ann", messages: [say("user", "Hi")], answerTokensMax: 10, temperature: 1, stop: [] }

test("what is not asked for is not sent, as OpenAI's own server refuses what it does not know", () => {
  const sent: object = JSON.parse(bodyOf(plain, { model: "m" }))
  const always = ["model", "messages", "stream", "stream_options", "max_tokens", "temperature"]
  expect(Object.keys(sent)).toEqual(always)
})

const toolUse = { tools: [{ name: "f" }], choice: { name: "f" }, isParallel: true } as const

test("shapes and tools are sent in OpenAI's form", () => {
  const sent = (more: object): unknown => JSON.parse(bodyOf({ ...plain, ...more }, {}))
  expect(sent({ shape: { type: "json-object" } })).toMatchObject({ response_format: { type: "json_object" } })
  expect(sent({ shape: { type: "json-schema", name: "it", schema: {}, strict: true } })).toMatchObject({
    response_format: { type: "json_schema", json_schema: { name: "it", schema: {}, strict: true } }
  })
  expect(sent({ toolUse, logitBias: [[7, -100]] })).toMatchObject({
    tools: [{ type: "function", function: { name: "f" } }],
    tool_choice: { type: "function", function: { name: "f" } },
    parallel_tool_calls: true,
    logit_bias: { 7: -100 }
  })
})

/** What comes of the events of a server. */
function heard(...deltas: ReadonlyArray<object>) {
  const answer = emptyAnswer({ ...plain, answerTokensMax: 5 })
  const events = deltas.map((delta) => JSON.stringify({ choices: [{ delta }] }))
  const end = JSON.stringify({ choices: [{ delta: {}, finish_reason: "stop" }] })
  return [...events, end, "[DONE]"].flatMap((data) => Result.getOrThrow(tokensOf(answer, { event: "", data })))
}

test("calls are heard whatever their indexes, and what is no part of a call is left out", () => {
  const call = (index: unknown, name?: unknown, more?: unknown) => ({
    tool_calls: [{ index, id: "c", function: { name, arguments: more } }]
  })
  expect(heard(call(7, "f", ""), call(7, undefined, '{"a'), call(1e9, "g", "{}"), call(7, undefined, '":1}'))).toEqual([
    { type: "call", index: 0, id: "c", name: "f", arguments: "" },
    { type: "call", index: 0, arguments: '{"a' },
    { type: "call", index: 1, id: "c", name: "g", arguments: "{}" },
    { type: "call", index: 0, arguments: '":1}' },
    { type: "finish", reason: "tool-calls", usage: { promptTokens: 0, answerTokens: 4 } }
  ])
  const none = [{ tool_calls: [null, 7, {}, { function: null }, { function: { arguments: "{}" } }] }, { tool_calls: 7 }]
  expect(heard(...none, call(0, 7, "{}"), call(0, ""))).toEqual([expect.objectContaining({ reason: "stop" })])
  const many = Array.from({ length: 200 }, (_, n) => call(n, "f", ""))
  expect(heard(...many).filter(({ type }) => type === "call")).toHaveLength(128)
  const endless = heard(...Array.from({ length: 9 }, (_, n) => call(0, n === 0 ? "f" : undefined, "x".repeat(500))))
  expect(endless.find(({ type }) => type === "finish")).toMatchObject({ reason: "length" })
})

test("a server that thinks without end is stopped where one that writes without end is", () => {
  const answer = emptyAnswer({ answerTokensMax: 2 })
  const think = () => {
    const data = JSON.stringify({ choices: [{ delta: { reasoning_content: "x".repeat(100) } }] })
    return Result.getOrThrow(tokensOf(answer, { event: "", data }))
  }
  expect([think(), think()]).toEqual([[{ type: "progress" }], [{ type: "progress" }]])
  expect(think()).toMatchObject([
    { type: "progress" },
    { type: "finish", reason: "length", usage: { answerTokens: 0 } }
  ])
})
