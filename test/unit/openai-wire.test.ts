/** What we make of the words of servers that speak OpenAI's protocol, each in its own way. */
import { expect, test } from "vitest"
import { apiErrorOf } from "../../src/http/api-error.ts"
import { type ChatMessage, PromptTooLong } from "../../src/inference/engine.ts"
import { bodyOf, errorOf, newestThatFit } from "../../src/inference/openai-wire.ts"

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
