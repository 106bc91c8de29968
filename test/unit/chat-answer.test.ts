/** OpenAI's chat completions on our side of the wire: what is answered. */
import { expect, test } from "vitest"
import { apiErrorOf } from "../../src/http/api-error.ts"
import { completionOf, eventsOf, hear, type StreamedAnswer, type WholeAnswer } from "../../src/http/chat-answer.ts"
import { PromptTooLong } from "../../src/inference/engine.ts"
import { ModelFailed, QueueFull, type Signal } from "../../src/inference/scheduler.ts"

test("failures of the scheduler have their status, and say when to come back", () => {
  const of = (failure: Parameters<typeof apiErrorOf>[0]) => apiErrorOf(failure, 50)
  expect(of(new QueueFull({ reason: "count", queueMax: 9, retryAfterMs: 1_001 }))).toMatchObject({
    status: 429,
    code: "rate_limit_exceeded",
    headers: { "retry-after": "2" }
  })
  expect(of(new QueueFull({ reason: "count", queueMax: 9, retryAfterMs: 0 })).headers).toEqual({ "retry-after": "1" })
  const tooLong = of(new PromptTooLong({ tokens: 900, tokensMax: 512 }))
  expect(tooLong).toMatchObject({ status: 400, code: "context_length_exceeded", param: "messages" })
  expect(tooLong.message).toMatch(/maximum context length is 512 tokens .* resulted in 900 tokens/)
  expect(of(new PromptTooLong({ tokens: 0, tokensMax: 0 })).message).not.toContain("0 tokens")
  const down = (more: { readonly retryAfterMs?: number }) =>
    of(new ModelFailed({ kind: "down", reason: "why", ...more }))
  const later = { status: 503, code: "model_unavailable", headers: { "retry-after": "2" } }
  expect(down({ retryAfterMs: 1_001 })).toMatchObject(later)
  expect(down({}).headers).toEqual({ "x-should-retry": "false" })
  const statusOf = (kind: "crashed" | "lost" | "busy" | "refused") =>
    of(new ModelFailed({ kind, reason: "why" })).status
  expect((["crashed", "lost", "busy", "refused"] as const).map(statusOf)).toEqual([500, 503, 503, 400])
})

const usage = { promptTokens: 7, answerTokens: 2 }
const text = (text: string, attempt = 1): Signal => ({ type: "text", attempt, text })
const finished: Signal = { type: "finished", attempt: 1, reason: "length", usage }
const restarted: Signal = { type: "restarted", attempt: 2, reason: "It died." }
const head = { id: "chatcmpl-1", created: 5, model: "m" }

const nothing = (): WholeAnswer => ({ text: "", calls: [], end: undefined })

test("a whole answer, of the last attempt alone", () => {
  const answer = nothing()
  hear(answer, [text("lost "), restarted, text("he", 2)])
  hear(answer, [text("re", 2), finished])
  expect(answer).toMatchObject({ text: "here", end: { reason: "length", usage } })
  expect(completionOf(head, answer, { reason: "length", usage })).toEqual({
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 5,
    model: "m",
    choices: [
      {
        index: 0,
        message: { role: "assistant", content: "here", refusal: null },
        logprobs: null,
        finish_reason: "length"
      }
    ],
    usage: { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9 }
  })
})

const streamed = (includeUsage = false): StreamedAnswer => ({ head, includeUsage, hasBegun: false, isOver: false })
const dataOf = (events: string) =>
  events
    .split("\n\n")
    .slice(0, -1)
    .map((event) => event.replace(/^data: /, ""))
const chunk = (delta: object, finish_reason: string | null = null) => ({
  ...{ id: "chatcmpl-1", object: "chat.completion.chunk", created: 5, model: "m" },
  choices: [{ index: 0, delta, logprobs: null, finish_reason }]
})

test("a stream has a role, deltas, a reason, and [DONE]", () => {
  const answer = streamed()
  expect(eventsOf(answer, [{ type: "started", attempt: 1 }])).toBe("")
  const events = [[text("a"), text("b")], [text("c"), finished], [text("late")]].map((some) => eventsOf(answer, some))
  const data = dataOf(events.join(""))
  expect(data.pop()).toBe("[DONE]")
  expect(data.map((one): unknown => JSON.parse(one))).toEqual([
    chunk({ role: "assistant", content: "", refusal: null }),
    chunk({ content: "ab" }),
    chunk({ content: "c" }),
    chunk({}, "length")
  ])
  expect(answer.isOver).toBe(true)
})

test("usage, when it is asked for, is null until the chunk without choices", () => {
  const data = dataOf(eventsOf(streamed(true), [text("a"), finished])).slice(0, -1)
  const chunks = data.map((one): { usage: unknown; choices: ReadonlyArray<unknown> } => JSON.parse(one))
  expect(chunks.slice(0, -1).map((one) => one.usage)).toEqual([null, null, null])
  expect(chunks.at(-1)).toMatchObject({
    choices: [],
    usage: { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9 }
  })
})

const call = (index: number, given: string, name?: string): Signal => ({
  ...{ type: "call", attempt: 1, index, arguments: given },
  ...(name !== undefined && { id: `call_${index}`, name })
})
const calling: ReadonlyArray<Signal> = [
  ...[call(0, "", "f"), call(0, '{"a"'), call(0, ":1}"), call(1, "{}", "g")],
  { type: "finished", attempt: 1, reason: "tool-calls", usage }
]
const called = (index: number, name: string, given: string) => ({
  id: `call_${index}`,
  type: "function",
  function: { name, arguments: given }
})

test("calls of tools are put together, and the content of an answer that only calls is null", () => {
  const answer = nothing()
  hear(answer, [text("lost"), call(0, "", "lost"), { type: "restarted", attempt: 1, reason: "It died." }, ...calling])
  expect(completionOf(head, answer, answer.end!).choices).toEqual([
    {
      index: 0,
      message: {
        role: "assistant",
        content: null,
        refusal: null,
        tool_calls: [called(0, "f", '{"a":1}'), called(1, "g", "{}")]
      },
      logprobs: null,
      finish_reason: "tool_calls"
    }
  ])
  const both = nothing()
  hear(both, [text("Let me see."), ...calling])
  expect(completionOf(head, both, both.end!).choices[0]?.message).toMatchObject({ content: "Let me see." })
})

test("calls are streamed with their name first, and a loss after one ends the stream", () => {
  const data = dataOf(eventsOf(streamed(), calling)).slice(0, -1)
  expect(data.map((one): unknown => JSON.parse(one))).toEqual([
    chunk({ role: "assistant", content: null, refusal: null }),
    chunk({ tool_calls: [{ index: 0, ...called(0, "f", '{"a":1}') }] }),
    chunk({ tool_calls: [{ index: 1, ...called(1, "g", "{}") }] }),
    chunk({}, "tool_calls")
  ])
  const apart = streamed()
  const late = [[text("a")], [call(0, "{", "f")], [call(0, "}")]].map((some) => eventsOf(apart, some)).at(-1)!
  expect(JSON.parse(dataOf(late)[0]!)).toEqual(chunk({ tool_calls: [{ index: 0, function: { arguments: "}" } }] }))
  expect(eventsOf(apart, [restarted])).toContain("model_lost")
})

test("an answer without a word has its role all the same", () => {
  expect(JSON.parse(dataOf(eventsOf(streamed(), [finished]))[0]!)).toMatchObject({
    choices: [{ delta: { role: "assistant" } }]
  })
})

test("a loss before the first text is silent, and one after it ends the stream with an error", () => {
  const early = streamed()
  expect(eventsOf(early, [restarted])).toBe("")
  expect(dataOf(eventsOf(early, [text("a", 2), finished])).at(-1)).toBe("[DONE]")
  for (const batches of [[[text("a")], [restarted, text("b", 2), finished]], [[text("a"), restarted, text("b", 2)]]]) {
    const answer = streamed()
    const data = dataOf(batches.map((signals) => eventsOf(answer, signals)).join(""))
    expect(JSON.parse(data.at(-1)!)).toMatchObject({ error: { code: "model_lost", type: "server_error", param: null } })
    expect(data.join("")).not.toContain('"b"')
    expect(answer.isOver).toBe(true)
  }
})
