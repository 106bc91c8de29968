/** OpenAI's chat completions on our side of the wire: what is taken, and what is refused, and how. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { Result } from "effect"
import { expect, test } from "vitest"
import { biasesMax, chatFields, messagesMax, stopMaxChars } from "../../src/http/chat-fields.ts"
import { readChatRequest } from "../../src/http/chat-request.ts"

const hi = { model: "m", messages: [{ role: "user", content: "Hi" }] }
const read = (body: unknown) => readChatRequest(Buffer.from(JSON.stringify(body)))
const taken = (more: object) => Result.getOrThrow(read({ ...hi, ...more }))
const refusal = (body: unknown) => {
  const result = read(body)
  if (Result.isSuccess(result)) throw new Error(`it was taken: ${JSON.stringify(body)}`)
  return result.failure
}
const withContent = (content: unknown) => ({ model: "m", messages: [...hi.messages, { role: "user", content }] })

test("a plain request is read with OpenAI's defaults", () => {
  expect(taken({})).toEqual({
    model: "m",
    isFlex: false,
    messages: [{ role: "user", content: "Hi" }],
    isStream: false,
    includeUsage: false,
    answerTokensMax: undefined,
    sampling: {},
    seed: undefined,
    stop: [],
    shape: undefined,
    toolUse: undefined
  })
})

test("what is honoured is read", () => {
  expect(taken({ temperature: 0, top_p: 0.5, seed: -3 })).toMatchObject({
    sampling: { temperature: 0, topP: 0.5 },
    seed: -3
  })
  const penalties = { presence_penalty: -2, frequency_penalty: 0.5, repeat_penalty: 1.1 }
  expect(taken({ top_k: 0, min_p: 0.1, logit_bias: { 7: -100, 8: 0.5 }, ...penalties }).sampling).toEqual({
    ...{ topK: 0, minP: 0.1, repeatPenalty: 1.1, frequencyPenalty: 0.5, presencePenalty: -2 },
    logitBias: [
      [7, -100],
      [8, 0.5]
    ]
  })
  expect(taken({ stop: "\n" }).stop).toEqual(["\n"])
  expect(taken({ service_tier: "flex" }).isFlex).toBe(true)
  expect(taken({ stop: ["a", "b\0"] }).stop).toEqual(["a", "b\uFFFD"])
  expect(taken({ stop: [] }).stop).toEqual([])
  expect(taken({ max_tokens: 7 }).answerTokensMax).toBe(7)
  expect(taken({ max_completion_tokens: 5 }).answerTokensMax).toBe(5)
  expect(taken({ max_tokens: 7, max_completion_tokens: 9 }).answerTokensMax).toBe(7)
  expect(taken({ stream: true })).toMatchObject({ isStream: true, includeUsage: false })
  expect(taken({ stream: true, stream_options: { include_usage: true } }).includeUsage).toBe(true)
})

test("messages of every role and form are read, and what nobody can store is replaced", () => {
  const messages = [
    { role: "developer", content: "a" },
    {
      role: "system",
      content: [
        { type: "text", text: "b" },
        { type: "text", text: "c" }
      ],
      name: "x"
    },
    { role: "assistant", content: "d", refusal: null, annotations: [], tool_calls: [], audio: null },
    { role: "assistant", content: null, refusal: "no" },
    { role: "assistant", content: [{ type: "refusal", refusal: "never" }] },
    { role: "user", content: "nul \0, lone \ud800" },
    { role: "user", content: "" }
  ]
  expect(taken({ messages }).messages).toEqual([
    { role: "system", content: "a" },
    { role: "system", content: "b\nc" },
    { role: "assistant", content: "d" },
    { role: "assistant", content: "no" },
    { role: "assistant", content: "never" },
    { role: "user", content: "nul \uFFFD, lone \uFFFD" },
    { role: "user", content: "" }
  ])
})

test("null is as if it were absent, in every field but those that are needed", () => {
  const nulls = Object.fromEntries(Object.keys(chatFields).map((name) => [name, null]))
  expect(read({ ...nulls, ...hi })).toEqual(read(hi))
  expect(refusal({ ...hi, model: null })).toMatchObject({ param: "model", code: "missing_required_parameter" })
  expect(refusal({ ...hi, messages: null })).toMatchObject({ param: "messages", code: "missing_required_parameter" })
})

const asNothing = {
  metadata: { a: "b" },
  prompt_cache_key: "k",
  prompt_cache_options: { ttl: "30m" },
  prompt_cache_retention: "24h",
  service_tier: "auto",
  parallel_tool_calls: false,
  n: 1,
  response_format: { type: "text" },
  modalities: ["text"],
  tools: [],
  tool_choice: "none",
  functions: [],
  function_call: "auto",
  logit_bias: {},
  logprobs: false,
  top_logprobs: 0,
  reasoning_effort: "none",
  verbosity: "medium",
  store: false
}

test("what asks for nothing, and what has no effect, changes nothing", () => {
  expect(read({ ...hi, ...asNothing })).toEqual(read(hi))
})

const wrongs: ReadonlyArray<readonly [more: object, param: string, code: string]> = [
  [{ functions: [{ name: "f" }] }, "functions", "unsupported_parameter"],
  [{ function_call: { name: "f" } }, "function_call", "unsupported_parameter"],
  [{ presence_penalty: 2.1 }, "presence_penalty", "invalid_value"],
  [{ frequency_penalty: "1" }, "frequency_penalty", "invalid_value"],
  [{ logit_bias: { 5: 101 } }, "logit_bias", "invalid_value"],
  [{ logit_bias: { a: 1 } }, "logit_bias", "invalid_value"],
  [{ logit_bias: { "-1": 1 } }, "logit_bias", "invalid_value"],
  [
    { logit_bias: Object.fromEntries(Array.from({ length: biasesMax + 1 }, (_, n) => [n, 1])) },
    "logit_bias",
    "invalid_value"
  ],
  [{ top_k: -1 }, "top_k", "invalid_value"],
  [{ min_p: 1.1 }, "min_p", "invalid_value"],
  [{ repeat_penalty: 0 }, "repeat_penalty", "invalid_value"],
  [{ logprobs: true }, "logprobs", "unsupported_parameter"],
  [{ top_logprobs: 3 }, "top_logprobs", "unsupported_parameter"],
  [{ audio: { voice: "x" } }, "audio", "unsupported_parameter"],
  [{ prediction: { type: "content" } }, "prediction", "unsupported_parameter"],
  [{ reasoning_effort: "high" }, "reasoning_effort", "unsupported_parameter"],
  [{ verbosity: "low" }, "verbosity", "unsupported_parameter"],
  [{ web_search_options: { a: 1 } }, "web_search_options", "unsupported_parameter"],
  [{ moderation: { a: 1 } }, "moderation", "unsupported_parameter"],
  [{ store: true }, "store", "unsupported_parameter"],
  [{ n: 2 }, "n", "invalid_value"],
  [{ modalities: ["text", "audio"] }, "modalities", "invalid_value"],
  [{ service_tier: "priority" }, "service_tier", "invalid_value"],
  [{ model: 7 }, "model", "invalid_value"],
  [{ stream: "yes" }, "stream", "invalid_value"],
  [{ temperature: 2.1 }, "temperature", "invalid_value"],
  [{ temperature: "0" }, "temperature", "invalid_value"],
  [{ top_p: 0 }, "top_p", "invalid_value"],
  [{ top_p: 1.1 }, "top_p", "invalid_value"],
  [{ seed: 0.5 }, "seed", "invalid_value"],
  [{ seed: 1e300 }, "seed", "invalid_value"],
  [{ max_tokens: 0 }, "max_tokens", "invalid_value"],
  [{ max_completion_tokens: 1.5 }, "max_completion_tokens", "invalid_value"],
  [{ stop: "" }, "stop", "invalid_value"],
  [{ stop: ["a", "b", "c", "d", "e"] }, "stop", "invalid_value"],
  [{ stop: "x".repeat(stopMaxChars + 1) }, "stop", "invalid_value"],
  [{ user: 7 }, "user", "invalid_value"],
  [{ stream_options: {} }, "stream_options", "invalid_value"],
  [{ stream: true, stream_options: { include: 1 } }, "stream_options.include", "unknown_parameter"],
  [{ messages: [] }, "messages", "invalid_value"],
  [{ messages: Array(messagesMax + 1).fill(hi.messages[0]) }, "messages", "invalid_value"],
  [{ messages: [7] }, "messages[0]", "invalid_value"],
  [{ messages: [{ role: "function", content: "x", name: "f" }] }, "messages[0].role", "invalid_value"],
  [{ messages: [{ content: "x" }] }, "messages[0].role", "missing_required_parameter"],
  [{ messages: [{ role: "user" }] }, "messages[0].content", "missing_required_parameter"],
  [{ messages: [{ role: "user", refusal: "x" }] }, "messages[0].content", "missing_required_parameter"],
  [{ messages: [{ role: "user", contents: "x" }] }, "messages[0].contents", "unknown_parameter"],
  [withContent([]), "messages[1].content", "invalid_value"],
  [withContent(7), "messages[1].content", "invalid_value"],
  [withContent([{ type: "image_url", image_url: { url: "x" } }]), "messages[1].content[0].type", "invalid_value"],
  [withContent([{ type: "text", text: "a" }, { type: "file" }]), "messages[1].content[1].type", "invalid_value"],
  [withContent([{ type: "text" }]), "messages[1].content[0].text", "missing_required_parameter"],
  [withContent(["x"]), "messages[1].content[0]", "invalid_value"],
  [{ top_a: 40 }, "top_a", "unknown_parameter"],
  [{ constructor: 1 }, "constructor", "unknown_parameter"]
]

test.each(wrongs)("%j is refused for its %s as %s", (more, param, code) => {
  const error = refusal({ ...hi, ...more })
  expect(error).toMatchObject({ status: 400, type: "invalid_request_error", param, code })
  expect(error.message).toContain(param)
})

test("a misspelt field is told the nearest one, and a key that is no word is printed as one", () => {
  expect(refusal({ ...hi, temprature: 1 }).message).toContain("Did you mean `temperature`?")
  expect(refusal({ ...hi, [`\u001b[2J${"k".repeat(500)}`]: 1 }).param).toMatch(/^\?\[2Jk{60}$/)
  expect(readChatRequest(Buffer.from('{"__proto__": {"stream": true}}'))).toMatchObject({
    failure: { param: "__proto__", code: "unknown_parameter" }
  })
})

test("a body that is no object, no JSON or no UTF-8 is refused as such", () => {
  for (const body of [[], null, "x", 7]) expect(refusal(body)).toMatchObject({ status: 400, param: null })
  expect(readChatRequest(Buffer.from("{"))).toMatchObject({ failure: { code: "invalid_body" } })
  expect(readChatRequest(Buffer.alloc(0))).toMatchObject({ failure: { code: "invalid_body" } })
  expect(readChatRequest(Uint8Array.of(0x7b, 0xff))).toMatchObject({ failure: { message: "The body is not UTF-8." } })
})

test("no refusal repeats what a person wrote", () => {
  const secrets = [
    { stop: Array(5).fill("SECRET") },
    { n: "SECRET" },
    { metadata: "SECRET" },
    { tools: ["SECRET"] },
    { tool_choice: "SECRET" }
  ]
  for (const more of secrets) expect(refusal({ ...hi, ...more }).message).not.toContain("SECRET")
  expect(refusal(withContent([{ type: "SECRET" }])).message).not.toContain("SECRET")
})

test("README.md says of every field what becomes of it", () => {
  const readme = readFileSync(join(import.meta.dirname, "../../README.md"), "utf8")
  const fieldsOf = (words: string) => {
    const row = readme.split("\n").find((line) => line.startsWith(`| **${words}**`)) ?? ""
    return [...row.matchAll(/`([a-z_]+)`/g)].map(([, name]) => name)
  }
  const named = (kind: string) =>
    Object.entries(chatFields).flatMap(([name, field]) => (field.kind === kind ? [name] : []))
  expect(fieldsOf("honoured")).toEqual(named("honoured"))
  expect(fieldsOf("without effect")).toEqual(named("idle"))
  expect(fieldsOf("refused")).toEqual(named("refused"))
})
