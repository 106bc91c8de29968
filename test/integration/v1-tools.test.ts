/** Structured answers and tools through OpenAI's own helpers, with the model that Parley brings along. */
import { it } from "@effect/vitest"
import { Effect } from "effect"
import OpenAI from "openai"
import type { ChatCompletionMessageParam } from "openai/resources/chat/completions"
import { expect } from "vitest"
import { invalidity } from "../property/json-schemas.ts"
import { all, echo, failing, open, saying, untilLoad, v1 } from "./v1-bench.ts"

const builtIn = "built-in"
const limits = "limits: { answerTokensMax: 300 }"
/** E0 and F0: see llama-shape.test.ts. */
const neverBytes = { 224: -100, 240: -100 }
const asking = (text: string) => ({ ...saying(text, builtIn), logit_bias: neverBytes })
const schema = {
  type: "object",
  properties: { name: { type: "string", maxLength: 12 }, age: { type: "integer", minimum: 0, maximum: 130 } },
  required: ["name", "age"],
  additionalProperties: false
}
const person = { type: "json_schema" as const, json_schema: { name: "person", schema, strict: true } }
const parameters = {
  type: "object",
  properties: { city: { type: "string", maxLength: 8 }, unit: { enum: ["C", "F"] } },
  required: ["city", "unit"],
  additionalProperties: false
}
const weather = { type: "function" as const, function: { name: "weather", parameters, strict: true } }
const clock = { type: "function" as const, function: { name: "clock", description: "The time." } }

it.live("the client's helper for structured outputs has its answer parsed, whole and streamed", () =>
  Effect.gen(function* () {
    const { client } = yield* open(limits)
    yield* Effect.promise(async () => {
      for (const seed of [1, 2, 3]) {
        const body = { ...asking("Who?"), response_format: person, seed }
        const whole = await client.chat.completions.parse(body)
        const parsed: unknown = whole.choices[0]?.message.parsed
        expect([parsed, invalidity(schema, parsed)]).toEqual([parsed, undefined])
        const streamed = client.chat.completions.stream({ ...body, stream_options: { include_usage: true } })
        const final = await streamed.finalChatCompletion()
        expect(final.choices[0]?.message.content).toBe(whole.choices[0]?.message.content)
        expect(final.usage).toEqual(whole.usage)
      }
      const loose = await client.chat.completions.create({
        ...asking("Who?"),
        response_format: { type: "json_object" },
        max_tokens: 20
      })
      expect(loose.choices[0]?.message.content).toMatch(/^\{/)
      const list = { type: "array", items: { type: "string" }, minItems: 30 }
      const cut = await client.chat.completions.create({
        ...asking("Who?"),
        response_format: { type: "json_schema", json_schema: { name: "list", schema: list } },
        max_tokens: 7
      })
      expect(cut.choices[0]).toMatchObject({
        finish_reason: "length",
        message: { content: expect.stringMatching(/^\[/) }
      })
      expect(cut.usage?.completion_tokens).toBe(7)
    })
  })
)

it.live("calls come whole and as deltas, the same, and count as llama.cpp counts", () =>
  Effect.gen(function* () {
    const { client } = yield* open(limits)
    yield* Effect.promise(async () => {
      for (const tool_choice of ["required", { type: "function", function: { name: "weather" } }] as const) {
        const body = {
          ...asking("Is it warm?"),
          tools: [weather, clock],
          tool_choice,
          parallel_tool_calls: false,
          seed: 3
        }
        const whole = await client.chat.completions.create(body)
        const choice = whole.choices[0]!
        expect(choice).toMatchObject({ finish_reason: "tool_calls", message: { content: null } })
        const call = functionOf(choice.message.tool_calls?.[0])
        expect(["weather", "clock"]).toContain(call.name)
        const known = call.name === "weather" ? parameters : { type: "object" }
        expect(invalidity(known, JSON.parse(call.arguments))).toBeUndefined()
        const asked = { ...body, stream: true as const, stream_options: { include_usage: true } }
        const chunks = await all(await client.chat.completions.create(asked))
        const deltas = chunks.flatMap(({ choices }) => choices[0]?.delta.tool_calls ?? [])
        expect(deltas[0]).toMatchObject({ index: 0, type: "function", id: expect.any(String) })
        expect(deltas.map((delta) => delta.function?.name ?? "").join("")).toBe(call.name)
        expect(deltas.map((delta) => delta.function?.arguments ?? "").join("")).toBe(call.arguments)
        expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe("tool_calls")
        const { prompt_tokens_details: _, ...counted } = whole.usage!
        expect(chunks.at(-1)?.usage).toMatchObject(counted)
        const untold = await client.chat.completions.create({ ...asking("Is it warm?"), max_tokens: 1 })
        expect(whole.usage!.prompt_tokens).toBeGreaterThan(untold.usage!.prompt_tokens + 100)
      }
    })
  })
)

function functionOf(call: OpenAI.ChatCompletionMessageToolCall | undefined) {
  if (call?.type !== "function") throw new Error("it is no call of a function")
  return call.function
}

it.live("the client's tool runner runs what is called, and its results are in the next prompt", () =>
  Effect.gen(function* () {
    const { client } = yield* open(limits)
    yield* Effect.promise(async () => {
      const seen: Array<unknown> = []
      const runner = client.chat.completions.runTools({
        ...asking("Is it warm?"),
        tool_choice: { type: "function", function: { name: "weather" } },
        seed: 5,
        tools: [
          {
            type: "function",
            function: {
              name: "weather",
              description: "The weather.",
              parameters,
              parse: JSON.parse,
              function: (given: unknown) => {
                seen.push(given)
                return "It is warm."
              }
            }
          }
        ]
      })
      await runner.done()
      expect(seen.map((given) => invalidity(parameters, given))).toEqual([undefined])
      const messages = runner.messages.filter(({ role }) => role !== "system") as Array<ChatCompletionMessageParam>
      expect(messages.map(({ role }) => role)).toEqual(["user", "assistant", "tool"])
      const promptOf = async (some: Array<ChatCompletionMessageParam>) =>
        (await client.chat.completions.create({ ...asking(""), messages: some, max_tokens: 1 })).usage!.prompt_tokens
      expect(await promptOf(messages)).toBeGreaterThan((await promptOf(messages.slice(0, 2))) + 10)
    })
  })
)

it.live("what cannot be kept is a 400 with its reason, and hostile requests hold nobody up", () =>
  Effect.gen(function* () {
    const server = yield* open(limits)
    const { completions } = server.client.chat
    yield* Effect.promise(async () => {
      const ask = (more: object) => failing(completions.create({ ...asking("x"), ...more }))
      const format = (inner: unknown) => ({
        response_format: { type: "json_schema", json_schema: { name: "it", schema: inner } }
      })
      let nested: object = { type: "string" }
      for (let depth = 0; depth < 200; depth++) nested = { type: "array", items: nested }
      const loop = { type: "object", properties: { a: { $ref: "#" }, b: { type: "string" } } }
      const hostile: ReadonlyArray<readonly [more: object, param: string, words: string]> = [
        [format({ type: "string", pattern: "a" }), "response_format", "`pattern`"],
        [format(nested), "response_format", "nested deeper"],
        [format({ anyOf: [loop, loop] }), "response_format", "begin alike"],
        [{ grammar: 's ::= "x" s "a" | "x" s "b" | ""\nroot ::= s' }, "grammar", "line 1"],
        [{ grammar: "root ::= a", tools: [clock] }, "grammar", "do not go together"],
        [{ tools: [{ ...clock, function: { name: "f", parameters: { not: {} } } }] }, "tools", "`not`"],
        [{ logit_bias: { 99999: 1 } }, "logit_bias", "no token 99999"]
      ]
      const long = completions.create({ ...asking("Talk."), stream: true, seed: 1 })
      for (const [more, param, words] of hostile) {
        const error = await ask(more)
        expect(error).toBeInstanceOf(OpenAI.BadRequestError)
        expect(error).toMatchObject({ param, code: "model_refused", message: expect.stringContaining(words) })
      }
      expect((await all(await long)).at(-1)?.choices[0]?.finish_reason).toMatch(/stop|length/)
      const held = await completions.create({
        ...asking("x"),
        stream: true as const,
        ...{ grammar: "root ::= [a-z]{400}" }
      })
      for await (const { choices } of held) if (choices[0]?.delta.content) break
      await untilLoad(server, 0, 0)
    })
  })
)

it.live("another server is sent what was asked for, and what it calls comes back", () =>
  Effect.gen(function* () {
    const { client, model } = yield* v1()
    yield* Effect.promise(async () => {
      const more = {
        ...{ frequency_penalty: 0.5, presence_penalty: -0.5, logit_bias: { 7: -100 }, response_format: person },
        ...{ tools: [weather, clock], tool_choice: "required" as const, parallel_tool_calls: false },
        ...{ top_k: 9, min_p: 0.2, repeat_penalty: 1.1 }
      }
      const calls = [{ id: "call_1", type: "function" as const, function: { name: "weather", arguments: "{}" } }]
      const messages: Array<ChatCompletionMessageParam> = [
        { role: "user", content: '!call weather {"city":"Rome","unit":"C"}' },
        { role: "assistant", content: null, tool_calls: calls },
        { role: "tool", tool_call_id: "call_1", content: "7" }
      ]
      const answer = await client.chat.completions.create({ model: echo, messages, ...more })
      const { body } = model.stats().requests.at(-1)!
      expect(body).toMatchObject(more)
      expect(body["messages"]).toEqual(messages)
      expect(answer.choices[0]).toMatchObject({ finish_reason: "tool_calls", message: { content: null } })
      expect(functionOf(answer.choices[0]?.message.tool_calls?.[0])).toEqual({
        name: "weather",
        arguments: '{"city":"Rome","unit":"C"}'
      })
      const grammar = { grammar: 'root ::= "a"' }
      await client.chat.completions.create({ ...saying("hi"), ...grammar })
      expect(model.stats().requests.at(-1)!.body).toMatchObject(grammar)
    })
  })
)
