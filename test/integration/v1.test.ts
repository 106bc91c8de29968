/** OpenAI's API through OpenAI's own client: what it is answered, by a model that does as it is told. */
import { it } from "@effect/vitest"
import { Effect } from "effect"
import OpenAI from "openai"
import { expect } from "vitest"
import { all, echo, failing, saying, textOf, untilLoad, v1 } from "./v1-bench.ts"

const soon = { timeout: 10_000 }

it.live("models, whole answers and streams are as the client expects them", () =>
  Effect.gen(function* () {
    const { client } = yield* v1()
    yield* Effect.promise(async () => {
      const models = await all(client.models.list())
      expect(models).toEqual([{ id: echo, object: "model", created: expect.any(Number), owned_by: "parley" }])
      expect(await client.models.retrieve(echo)).toEqual(models[0])
      const { data, response } = await client.chat.completions.create(saying("hello")).withResponse()
      expect(data).toMatchObject({
        id: expect.stringMatching(/^chatcmpl-[0-9a-f]{32}$/),
        object: "chat.completion",
        model: echo,
        choices: [
          { index: 0, message: { role: "assistant", content: "echo: hello", refusal: null }, finish_reason: "stop" }
        ],
        usage: { prompt_tokens: 10, completion_tokens: 6, total_tokens: 16 }
      })
      expect(Math.abs(data.created - Date.now() / 1_000)).toBeLessThan(60)
      expect(response.headers.get("x-request-id")).toBe(data.id)
      const chunks = await all(
        await client.chat.completions.create({
          ...saying("hello"),
          stream: true,
          stream_options: { include_usage: true }
        })
      )
      expect(new Set(chunks.map(({ id, model, object }) => `${id} ${model} ${object}`)).size).toBe(1)
      expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join("")).toBe("echo: hello")
      expect(chunks[0]?.choices[0]?.delta.role).toBe("assistant")
      expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe("stop")
      expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 6, total_tokens: 16 } })
      const helped = client.chat.completions.stream(saying("helped"))
      expect(await helped.finalContent()).toBe("echo: helped")
    })
  })
)

it.live("what is asked for reaches the model, and no more than the operator allows", () =>
  Effect.gen(function* () {
    const { client, model } = yield* v1({ limits: "{ answerTokensMax: 50 }" })
    yield* Effect.promise(async () => {
      const sampling = { temperature: 0.5, top_p: 0.25, seed: 7, stop: ["\n"] }
      await client.chat.completions.create({ ...saying("some"), ...sampling, max_completion_tokens: 40 })
      await client.chat.completions.create({ ...saying("more"), max_tokens: 4_000, user: "ann" })
      const bodies = model.stats().requests.map(({ body }) => body)
      expect(bodies[0]).toMatchObject({ ...sampling, max_tokens: 40 })
      expect(bodies[1]).toMatchObject({ temperature: 1, max_tokens: 50 })
      expect(bodies[1]).not.toHaveProperty("top_p")
    })
  })
)

it.live("what a request does not say of its sampling, the configuration of the model says", () =>
  Effect.gen(function* () {
    const { client, model } = yield* v1({ sampling: "{ temperature: 0.3, topK: 7, presencePenalty: 1 }" })
    yield* Effect.promise(async () => {
      await client.chat.completions.create(saying("some"))
      await client.chat.completions.create({ ...saying("more"), temperature: 0.9, presence_penalty: 0 })
      const bodies = model.stats().requests.map(({ body }) => body)
      expect(bodies[0]).toMatchObject({ temperature: 0.3, top_k: 7, presence_penalty: 1 })
      expect(bodies[1]).toMatchObject({ temperature: 0.9, top_k: 7, presence_penalty: 0 })
    })
  })
)

it.live("errors are the client's own classes, with the field they are about", () =>
  Effect.gen(function* () {
    const { client } = yield* v1()
    const { chat, models } = client
    yield* Effect.promise(async () => {
      const refused = await failing(chat.completions.create({ ...saying("x"), logprobs: true }))
      expect(refused).toBeInstanceOf(OpenAI.BadRequestError)
      expect(refused).toMatchObject({ status: 400, param: "logprobs", code: "unsupported_parameter" })
      const unknown = await failing(chat.completions.create(saying("x", "gpt-6")))
      expect(unknown).toBeInstanceOf(OpenAI.NotFoundError)
      expect(unknown).toMatchObject({ param: "model", code: "model_not_found", message: expect.stringContaining(echo) })
      for (const id of ["gpt-6", "x".repeat(200)]) {
        expect(await failing(models.retrieve(id))).toBeInstanceOf(OpenAI.NotFoundError)
      }
      for (const elsewhere of [client.get("/images"), client.post("/"), client.post("/responses")]) {
        const error = await failing(elsewhere)
        expect(error).toMatchObject({ status: 404, type: "invalid_request_error", code: "unknown_url" })
      }
      const wrong = await failing(client.get("/chat/completions"))
      expect(wrong).toMatchObject({ status: 405, code: "method_not_allowed" })
      expect(await failing(client.delete("/models"))).toMatchObject({ status: 405 })
    })
  })
)

it.live("a full queue is a RateLimitError, and the client comes back when it is told to", () =>
  Effect.gen(function* () {
    const server = yield* v1({ slots: 1, limits: "{ queueMax: 1 }" })
    const { completions } = server.client.chat
    yield* Effect.promise(async () => {
      const first = await completions.create({ ...saying("!hang 2"), stream: true })
      const waiting = completions.create(saying("second"))
      await untilLoad(server, 1, 1)
      for (const stream of [false, true]) {
        const refused = await failing(completions.create({ ...saying("third"), stream }))
        expect(refused).toBeInstanceOf(OpenAI.RateLimitError)
        expect(refused).toMatchObject({ status: 429, type: "requests", code: "rate_limit_exceeded" })
        expect(Number((refused as InstanceType<typeof OpenAI.RateLimitError>).headers.get("retry-after"))).toBe(5)
      }
      const sinceMs = performance.now()
      const patient = completions.create(saying("fourth"), { maxRetries: 1 })
      const refusals = async () =>
        /refused_total\{model="echo",reason="count"\} (\d+)/.exec(await metrics(server.address))?.[1]
      await expect.poll(refusals, soon).toBe("3")
      first.controller.abort()
      expect((await waiting).choices[0]?.message.content).toBe("echo: second")
      expect((await patient).choices[0]?.message.content).toBe("echo: fourth")
      expect(performance.now() - sinceMs).toBeGreaterThan(4_900)
    })
  })
)

const metrics = async (address: string) => (await fetch(`${address}/metrics`)).text()

it.live("who hangs up frees the slot, or the place in the queue, at once", () =>
  Effect.gen(function* () {
    const server = yield* v1({ slots: 1 })
    const { completions } = server.client.chat
    yield* Effect.promise(async () => {
      const streamed = await completions.create({ ...saying("!hang 2 a"), stream: true })
      for await (const { choices } of streamed) if (choices[0]?.delta.content) break
      await expect.poll(() => server.model.stats().aborted, soon).toBe(1)
      await untilLoad(server, 0, 0)

      const held = new AbortController()
      const whole = failing(completions.create(saying("!hang 2 b"), { signal: held.signal }))
      await untilLoad(server, 1, 0)
      for (const stream of [false, true]) {
        const queued = new AbortController()
        const leaving = failing(completions.create({ ...saying("queued"), stream }, { signal: queued.signal }))
        await untilLoad(server, 1, 1)
        queued.abort()
        expect(await leaving).toBeInstanceOf(OpenAI.APIUserAbortError)
        await untilLoad(server, 1, 0)
      }
      held.abort()
      expect(await whole).toBeInstanceOf(OpenAI.APIUserAbortError)
      await expect.poll(() => server.model.stats().aborted, soon).toBe(2)
      const late = failing(completions.create(saying("!hang 2 c"), { timeout: 300 }))
      expect(await late).toBeInstanceOf(OpenAI.APIConnectionTimeoutError)
      await untilLoad(server, 0, 0)
      expect((await completions.create(saying("after"))).choices[0]?.message.content).toBe("echo: after")
      expect(server.model.stats().requests.some(({ text }) => text === "queued")).toBe(false)
    })
  })
)

it.live("a model that is lost after the first text ends the stream with an error, and before it nobody notices", () =>
  Effect.gen(function* () {
    const { client, model } = yield* v1({ delayMs: 20 })
    const { completions } = client.chat
    yield* Effect.promise(async () => {
      const seen: Array<string> = []
      const streamed = await completions.create({ ...saying("!once drop 2 and more"), stream: true })
      const reading = (async () => {
        for await (const { choices } of streamed) seen.push(choices[0]?.delta.content ?? "")
      })()
      const error = await failing(reading)
      expect(error).toBeInstanceOf(OpenAI.APIError)
      expect(error).toMatchObject({ code: "model_lost", type: "server_error" })
      expect("echo: !once drop 2 and more".startsWith(seen.join(""))).toBe(true)
      expect(seen.join("")).not.toBe("")
      expect(await textOf(await completions.create({ ...saying("!once drop 0 b"), stream: true }))).toBe(
        "echo: !once drop 0 b"
      )
      // Nothing of a whole answer was seen, whenever it was lost.
      const whole = await completions.create(saying("!once drop 3 c"))
      expect(whole.choices[0]?.message.content).toBe("echo: !once drop 3 c")
      expect(await textOf(await completions.create({ ...saying("!once status 500"), stream: true }))).toContain("500")
      expect(await failing(completions.create(saying("!status 404")))).toMatchObject({
        status: 400,
        code: "model_refused"
      })
      expect(model.stats().inFlight).toBe(0)
    })
  })
)

it.live("an answer that takes too long is a 504, or the error at the end of its stream, and frees its slot", () =>
  Effect.gen(function* () {
    const server = yield* v1({ limits: "{ turnMaxMs: 1500 }" })
    const { completions } = server.client.chat
    yield* Effect.promise(async () => {
      const whole = failing(completions.create(saying("!hang 2")))
      const streamed = await completions.create({ ...saying("!hang 2"), stream: true })
      expect(await failing(textOf(streamed))).toMatchObject({ code: "timeout", type: "server_error" })
      expect(await whole).toMatchObject({ status: 504, code: "timeout" })
      await untilLoad(server, 0, 0)
      expect(server.model.stats().aborted).toBe(2)
    })
  })
)

it.live("a model that is gone is 503 with Retry-After to who comes then, and 504 to who was waiting too long", () =>
  Effect.gen(function* () {
    const { client, model } = yield* v1({ limits: "{ turnMaxMs: 9000 }" })
    const { completions } = client.chat
    yield* Effect.promise(async () => {
      await completions.create(saying("warm"))
      await model.close()
      const waiting = failing(completions.create(saying("one")))
      await new Promise((resolve) => setTimeout(resolve, 500))
      for (const error of await Promise.all(
        [false, true].map((stream) => failing(completions.create({ ...saying("two"), stream })))
      )) {
        expect(error).toBeInstanceOf(OpenAI.InternalServerError)
        expect(error).toMatchObject({ status: 503, code: "model_unavailable" })
        expect(Number((error as InstanceType<typeof OpenAI.APIError>).headers?.get("retry-after"))).toBeGreaterThan(0)
      }
      expect(await waiting).toMatchObject({ status: 504, code: "timeout" })
    })
  })
)

it.live("a server that is stopped ends what it has begun, and begins nothing more", () =>
  Effect.gen(function* () {
    const server = yield* v1({ delayMs: 300 })
    const { completions } = server.client.chat
    yield* Effect.promise(async () => {
      const whole = completions.create(saying("whole one"))
      const streamed = await completions.create({ ...saying("streamed"), stream: true })
      await untilLoad(server, 2, 0)
      server.main.child.kill("SIGTERM")
      await expect.poll(server.main.output, soon).toContain("stopping")
      expect(await failing(completions.create(saying("late")))).toMatchObject({ status: 503, code: "stopping" })
      expect(await textOf(streamed)).toBe("echo: streamed")
      expect((await whole).choices[0]?.message.content).toBe("echo: whole one")
      expect(await server.main.ended).toBe(0)
    })
  })
)

it.live("a server that is stopped cuts what it cannot finish, so that nobody takes a part for the whole", () =>
  Effect.gen(function* () {
    const server = yield* v1({ drainMs: 3_000 })
    const { completions } = server.client.chat
    yield* Effect.promise(async () => {
      const streamed = await completions.create({ ...saying("!hang 2"), stream: true })
      const whole = failing(completions.create(saying("!hang 2")))
      await untilLoad(server, 2, 0)
      server.main.child.kill("SIGTERM")
      expect(await failing(textOf(streamed))).toBeInstanceOf(Error)
      expect(await whole).toBeInstanceOf(OpenAI.APIError)
      expect(await server.main.ended).toBe(0)
    })
  })
)

it.live("two hundred at once all end, and leave nothing behind", () =>
  Effect.gen(function* () {
    const server = yield* v1({ slots: 4, limits: "{ queueMax: 100 }", delayMs: 2 })
    yield* Effect.promise(async () => {
      const ends = await Promise.all(
        Array.from({ length: 200 }, async (_, n) => {
          const { completions } = server.client.chat
          try {
            if (n % 2 === 0) return (await completions.create(saying(`w${n}`))).choices[0]?.message.content
            return await textOf(await completions.create({ ...saying(`w${n}`), stream: true }))
          } catch (error) {
            return error instanceof OpenAI.RateLimitError ? "full" : String(error)
          }
        })
      )
      expect(ends.filter((end, n) => end !== "full" && end !== `echo: w${n}`)).toEqual([])
      // All of `/v1` is one user, and one alone may take eight ninths of the queue.
      expect(ends.filter((end) => end !== "full").length).toBeGreaterThanOrEqual(4 + Math.floor((100 * 8) / 9))
      await untilLoad(server, 0, 0)
      expect(server.model.stats().inFlightMost).toBe(4)
    })
  })
)
