/** `POST /v1/embeddings` by OpenAI's own client: of llama.cpp, and of a server behind OpenAI's protocol. */
import { it } from "@effect/vitest"
import { Effect } from "effect"
import OpenAI from "openai"
import { expect } from "vitest"
import { inputsMax } from "../../src/http/embedding-request.ts"
import { builtIn as guide } from "../../src/inference/models.ts"
import { type Heard, serve } from "./openai-bench.ts"
import { failing, open, saying, untilLoad, v1 } from "./v1-bench.ts"

const model = guide.name

it.live("texts and tokens have vectors of length 1, the same in both formats, and their tokens are counted", () =>
  Effect.gen(function* () {
    const server = yield* open("{}")
    const { embeddings } = server.client
    yield* Effect.promise(async () => {
      const input = ["Hello!", "What is 347 plus 285?", "Hello!"]
      const answer = await embeddings.create({ model, input })
      expect(answer).toMatchObject({
        object: "list",
        model,
        data: input.map((_, index) => ({ object: "embedding", index }))
      })
      const [hello, sum, again] = answer.data.map(({ embedding }) => embedding)
      expect(Math.hypot(...hello!)).toBeCloseTo(1, 5)
      expect(again).toEqual(hello)
      expect(sum).not.toEqual(hello)
      const one = await embeddings.create({ model, input: "Hello!", encoding_format: "float" })
      expect(one.data[0]!.embedding).toEqual([...hello!])
      const each = await Promise.all(input.map((text) => embeddings.create({ model, input: text })))
      const tokens = each.reduce((sum, { usage }) => sum + usage.prompt_tokens, 0)
      expect(answer.usage).toEqual({ prompt_tokens: tokens, total_tokens: tokens })
      const many = await embeddings.create({
        model,
        input: Array.from({ length: inputsMax }, (_, i) => `${i % 3} of many. `.repeat(8))
      })
      const vectors = many.data.map(({ embedding }) => JSON.stringify(embedding))
      expect(new Set(vectors).size).toBe(3)
      expect(vectors.every((vector, i) => vector === vectors[i % 3])).toBe(true)
      const numbered = await embeddings.create({ model, input: [[70, 71], [72]] })
      expect(numbered.data).toHaveLength(2)
      expect((await embeddings.create({ model, input: [70, 71] })).data[0]!.embedding).toEqual(
        numbered.data[0]!.embedding
      )
    })
  })
)

it.live("what is no input, and what the model cannot, is refused by its field", () =>
  Effect.gen(function* () {
    const server = yield* open("{}")
    const refused = async (body: object) => {
      const error = await failing(server.client.post("/embeddings", { body }))
      expect(error).toBeInstanceOf(OpenAI.APIError)
      const { code, param, status } = error as InstanceType<typeof OpenAI.APIError>
      return [status, code, param]
    }
    yield* Effect.promise(async () => {
      for (const [input, param] of [
        ["", "input"],
        [[], "input"],
        [["a", ""], "input[1]"],
        [["a", 7], "input[1]"],
        [[1, -1], "input[1]"],
        [[[1], [0.5]], "input[1][0]"],
        [Array.from({ length: inputsMax + 1 }, () => "x"), "input"]
      ] as const) {
        expect([input.length, await refused({ model, input })]).toEqual([input.length, [400, "invalid_value", param]])
      }
      expect(await refused({ model })).toEqual([400, "missing_required_parameter", "input"])
      expect(await refused({ input: "x" })).toEqual([400, "missing_required_parameter", "model"])
      expect(await refused({ model, input: "x", encoding_format: "hex" })).toEqual([
        400,
        "invalid_value",
        "encoding_format"
      ])
      expect(await refused({ model, input: "x", inputs: [] })).toEqual([400, "unknown_parameter", "inputs"])
      expect(await refused({ model: "other", input: "x" })).toEqual([404, "model_not_found", "model"])
      expect(await refused({ model, input: "x", dimensions: 7 })).toEqual([400, "model_refused", "dimensions"])
      expect(await refused({ model, input: [2_000_000_000] })).toEqual([400, "model_refused", "input"])
      expect(await refused({ model, input: "one and two. ".repeat(1_000) })).toEqual([
        400,
        "context_length_exceeded",
        "input"
      ])
    })
  })
)

it.live("who hangs up frees the slot, and an answer beside a long list of texts goes on", () =>
  Effect.gen(function* () {
    const server = yield* open(
      `models: [{ name: "${model}", engine: llama, file: "${guide.file}", slots: 2, contextTokens: 1024 }]`
    )
    yield* Effect.promise(async () => {
      const hangUp = new AbortController()
      const input = Array.from({ length: inputsMax }, (_, i) => `${i} ${"and what came of it. ".repeat(60)}`)
      const many = failing(server.client.embeddings.create({ model, input }, { signal: hangUp.signal }))
      await untilLoad(server, 1, 0)
      const { choices } = await server.client.chat.completions.create(saying("What is 347 plus 285?", model))
      expect(choices[0]?.message.content).toContain("632")
      expect(await server.load()).toEqual({ running: 1, waiting: 0 })
      hangUp.abort()
      expect(await many).toBeInstanceOf(OpenAI.APIUserAbortError)
      await untilLoad(server, 0, 0)
    })
  })
)

it.live("a model on another server is asked there, and one that makes no vectors answers all the same", () =>
  Effect.gen(function* () {
    const heard: Array<Heard> = []
    const { baseUrl } = yield* serve((one) => {
      heard.push(one)
      const { input } = one.body as { readonly input: string | ReadonlyArray<string> }
      const texts = typeof input === "string" ? [input] : input
      const data = texts.map((text, index) => ({ index, embedding: [text.length, 0.5] })).toReversed()
      one.response.setHeader("content-type", "application/json")
      one.response.end(JSON.stringify({ object: "list", data, usage: { prompt_tokens: 7, total_tokens: 7 } }))
    })
    const remote = yield* open(
      `models: [{ name: remote, engine: openai, baseUrl: "${baseUrl}", model: theirs, slots: 2 }]`
    )
    const none = yield* v1()
    yield* Effect.promise(async () => {
      const answer = await remote.client.embeddings.create({ model: "remote", input: ["abc", "a"], dimensions: 2 })
      expect(answer.data.map(({ embedding }) => [...embedding])).toEqual([
        [3, 0.5],
        [1, 0.5]
      ])
      expect(answer.usage).toEqual({ prompt_tokens: 7, total_tokens: 7 })
      expect(heard[0]!.request.url).toBe("/v1/embeddings")
      expect(heard[0]!.body).toEqual({ model: "theirs", input: ["abc", "a"], dimensions: 2, encoding_format: "float" })
      const refused = await failing(none.client.embeddings.create({ model: "echo", input: "x" }, { maxRetries: 3 }))
      expect(refused).toMatchObject({ status: 400, code: "model_refused", param: "model" })
      const { choices } = await none.client.chat.completions.create(saying("hello"))
      expect(choices[0]?.message.content).toBe("echo: hello")
    })
  })
)
