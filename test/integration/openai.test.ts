/** The engine for OpenAI's protocol against real servers on loopback, with real time: every wait is the server's. */
import type { ServerResponse } from "node:http"
import { scheduler } from "node:timers/promises"
import { expect, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Fiber, Stream } from "effect"
import type { OpenaiOptions } from "../../src/inference/openai.ts"
import { startModelServer } from "./model-server.ts"
import {
  type Answering,
  answerOf,
  delta,
  ending,
  errorOf,
  type Heard,
  open,
  requestOf,
  serve,
  stream,
  test,
  textOfTokens,
  writeForEver
} from "./openai-bench.ts"

test("asks as OpenAI's clients do, and says what comes, whatever the pieces it comes in", () =>
  Effect.gen(function* () {
    const heard: Array<Heard> = []
    const usage = `data:{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}\r\n\r\n`
    const reason = `data: {"choices":[{"delta":{"content":null},"finish_reason":"length"}],"usage":null}\r\n\r\n`
    const role = `: hello\r\n\r\ndata: {"choices":[{"delta":{"role":"assistant","content":""}}]}\r\n\r\n`
    const thought = `data: {"choices":[{"delta":{"reasoning_content":"hm"}}]}\n\n`
    const bytes = Buffer.from(
      `${role}${thought}${delta("Grüß ")}${delta("dich 🙂漢")}${reason}${usage}data: [DONE]\n\n`
    )
    const { baseUrl } = yield* serve(async (each) => {
      heard.push(each)
      stream(each.response)
      for (const byte of bytes) {
        await new Promise((resolve) => each.response.write(Uint8Array.of(byte), resolve))
      }
      each.response.end()
    })
    const engine = yield* open(`${baseUrl}/`, { apiKey: "key", model: "tiny" })
    const tokens = yield* Stream.runCollect(engine.generate({ ...requestOf("hello"), seed: 3, stop: ["\n"] }))
    expect(tokens[0]).toEqual({ type: "progress" })
    expect(textOfTokens(tokens)).toBe("Grüß dich 🙂漢")
    expect(tokens.at(-1)).toEqual({ type: "finish", reason: "length", usage: { promptTokens: 7, answerTokens: 2 } })
    expect(heard[0]!.request.url).toBe("/v1/chat/completions")
    expect(heard[0]!.request.headers.authorization).toBe("Bearer key")
    expect(heard[0]!.body).toEqual({
      model: "tiny",
      messages: [{ role: "user", content: "hello" }],
      stream: true,
      stream_options: { include_usage: true },
      max_tokens: 100,
      temperature: 0,
      seed: 3,
      stop: ["\n"]
    })
  }))

test("one connection carries request after request, and as many as run together", () =>
  Effect.gen(function* () {
    const server = yield* Effect.acquireRelease(
      Effect.promise(() => startModelServer({ delayMs: 1 })),
      ({ close }) => Effect.promise(close)
    )
    const engine = yield* open(server.url)
    for (let count = 0; count < 20; count++) {
      const tokens = yield* answerOf(engine, `question ${count}`)
      expect(textOfTokens(tokens)).toBe(`echo: question ${count}`)
      expect(tokens.at(-1)).toMatchObject({ type: "finish", usage: { promptTokens: 10 } })
    }
    expect(server.stats()).toMatchObject({ finished: 20, connections: 1 })
    yield* Effect.forEach(Array(40), () => answerOf(engine), { concurrency: 4, discard: true })
    expect(server.stats()).toMatchObject({ finished: 60, inFlightMost: 4, connections: 4 })
  }))

test("interrupting closes the connection, and the server sees it while it writes", () =>
  Effect.gen(function* () {
    const closed = yield* Deferred.make<boolean>()
    const { baseUrl } = yield* serve(({ response }) => {
      stream(response).write(delta("one"))
      response.on("close", () => Effect.runSync(Deferred.succeed(closed, response.writableFinished)))
    })
    const engine = yield* open(baseUrl)
    const begun = yield* Deferred.make<void>()
    const reading = Stream.runForEach(engine.generate(requestOf("hello")), () => Deferred.succeed(begun, undefined))
    const fiber = yield* Effect.forkChild(reading)
    yield* Deferred.await(begun)
    yield* Fiber.interrupt(fiber)
    expect(yield* Deferred.await(closed)).toBe(false)
    expect(yield* engine.isReady).toBe(true)
  }))

const losses: ReadonlyArray<readonly [title: string, answer: Answering, reason: RegExp]> = [
  ["a connection cut in mid-answer", ({ response }) => cut(response), /cut the connection/],
  ["a connection cut before any answer", ({ request }) => void request.socket.destroy(), /cannot be reached/],
  ["an answer that ends without a reason", ({ response }) => void stream(response).end(delta("one")), /before its end/],
  ["[DONE] without a reason", ({ response }) => void stream(response).end("data: [DONE]\n\n"), /before its end/],
  ["what is not JSON", ({ response }) => void stream(response).write("data: {{\n\n"), /no part of an answer/],
  ["JSON of another form", ({ response }) => void stream(response).write('data: {"choices":7}\n\n'), /no part/],
  [
    "an error within the stream",
    ({ response }) => void stream(response).write('data: {"error":{"message":"out of memory"}}\n\n'),
    /broke off the answer: out of memory/
  ],
  [
    "a line without an end",
    ({ response }) => void stream(response).write(`data: ${"x".repeat(300_000)}`),
    /line that is/
  ],
  ["a status of 500", ({ response }) => void response.writeHead(500).end("boom"), /answered 500: boom/]
]

function cut(response: ServerResponse): void {
  stream(response).write(delta("one"), () => response.destroy())
}

function ping(response: ServerResponse): void {
  const role = `data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n`
  writeForEver(stream(response), `: ping\n\n${role}`)
}

for (const [title, answer, reason] of losses) test(`${title} is a loss`, () => isLoss(answer, reason))

const silences: ReadonlyArray<readonly [title: string, answer: Answering, options: Partial<OpenaiOptions>]> = [
  ["silence before the first token", () => {}, { firstTokenMaxMs: 200 }],
  ["what keeps silence alive, comments and a role", ({ response }) => ping(response), { firstTokenMaxMs: 200 }],
  ["silence between tokens", ({ response }) => void stream(response).write(delta("one")), { nextTokenMaxMs: 200 }]
]
for (const [title, answer, options] of silences) {
  const patient = { connectMaxMs: 600_000, firstTokenMaxMs: 600_000, nextTokenMaxMs: 600_000 }
  test(`${title} is a loss`, () => isLoss(answer, /silent for too long/, { ...patient, ...options }))
}

const isLoss = Effect.fnUntraced(function* (answer: Answering, reason: RegExp, options?: Partial<OpenaiOptions>) {
  const { baseUrl } = yield* serve(answer)
  const engine = yield* open(baseUrl, options)
  expect(yield* errorOf(engine)).toMatchObject({ _tag: "EngineLost", reason: expect.stringMatching(reason) })
  expect(yield* engine.trouble).toContain(baseUrl.replace("/v1", ""))
  expect(yield* engine.isReady).toBe(true)
  expect(yield* engine.trouble).toBe(undefined)
})

test("a server that is gone is a loss, and not ready until it is back", () =>
  Effect.gen(function* () {
    const gone = yield* Effect.scoped(serve(() => {}))
    const engine = yield* open(gone.baseUrl)
    expect(yield* errorOf(engine)).toMatchObject({ _tag: "EngineLost", reason: expect.stringMatching(/ECONNREFUSED/) })
    expect(yield* engine.isReady).toBe(false)
    expect(yield* engine.trouble).toMatch(/ECONNREFUSED/)
  }))

test("an idle connection that the server closed costs no attempt", () =>
  Effect.gen(function* () {
    const { baseUrl, sockets } = yield* serve(({ request, response }) => {
      // The second request meets a connection that dies of it, as when it was closed while the request was on its way.
      if (sockets.length === 1 && request.socket.bytesRead > 600) request.socket.destroy()
      else stream(response).end(delta("one") + ending)
    })
    const engine = yield* open(baseUrl)
    for (let count = 0; count < 3; count++) expect(textOfTokens(yield* answerOf(engine))).toBe("one")
    expect(sockets.length).toBe(2)
  }))

const dateIn = (ms: number) => (nowMs: number) => new Date(nowMs + ms).toUTCString()
type RetryAfter = (nowMs: number) => string | undefined
const busy: ReadonlyArray<
  readonly [title: string, status: number, retryAfter: RetryAfter, leastMs: number, mostMs: number]
> = [
  ["429 with Retry-After in seconds", 429, () => "7", 7_000, 7_000],
  ["503 without Retry-After", 503, () => undefined, 1_000, 1_000],
  ["429 with Retry-After in no form", 429, () => "soon", 1_000, 1_000],
  ["503 with Retry-After as a date", 503, dateIn(60_000), 50_000, 60_000],
  ["429 with Retry-After as a date that is over", 429, dateIn(-60_000), 0, 0]
]
for (const [title, status, retryAfter, leastMs, mostMs] of busy) {
  test(`${title} means busy`, () =>
    Effect.gen(function* () {
      const header = retryAfter(yield* Clock.currentTimeMillis)
      let asked = 0
      const { baseUrl, sockets } = yield* serve(({ response }) => {
        asked++
        response.writeHead(status, header === undefined ? {} : { "retry-after": header }).end("{}")
      })
      const engine = yield* open(baseUrl)
      const error = yield* errorOf(engine)
      if (error._tag !== "EngineBusy") throw error
      expect(error.retryAfterMs).toBeGreaterThanOrEqual(leastMs)
      expect(error.retryAfterMs).toBeLessThanOrEqual(mostMs)
      expect(yield* errorOf(engine)).toMatchObject({ _tag: "EngineBusy" })
      expect(sockets.length).toBe(1)
      expect(yield* engine.isReady).toBe(true)
      // One that said when is not asked before.
      if (leastMs > 30_000) expect(asked).toBe(1)
      if (mostMs === 0) expect(asked).toBe(2)
    }))
}

test("an answer without end that is no answer is refused by its start", () =>
  Effect.gen(function* () {
    const { baseUrl } = yield* serve(({ response }) => writeForEver(response.writeHead(404), "x".repeat(1_000)))
    const engine = yield* open(baseUrl)
    expect(yield* errorOf(engine)).toMatchObject({ _tag: "EngineRefused", reason: expect.stringMatching(/404: xxx/) })
  }))

test("a page with status 200 is refused, and the address doubted", () =>
  Effect.gen(function* () {
    const { baseUrl } = yield* serve(({ response }) => void response.setHeader("content-type", "text/html").end("<p>"))
    const engine = yield* open(baseUrl)
    expect(yield* errorOf(engine)).toMatchObject({ _tag: "EngineRefused", reason: expect.stringMatching(/baseUrl/) })
  }))

test("the key is not told, even when the server tells it", () =>
  Effect.gen(function* () {
    const { baseUrl } = yield* serve(({ response }) => {
      response.writeHead(401).end('{"error":{"message":"Incorrect API key provided: s3cret."}}')
    })
    const engine = yield* open(baseUrl, { apiKey: "s3cret" })
    const reason = "The model server answered 401: Incorrect API key provided: [key]."
    expect(yield* errorOf(engine)).toMatchObject({ _tag: "EngineRefused", reason })
  }))

test("the last bytes after the answer are waited for, so that the connection is kept", () =>
  Effect.gen(function* () {
    const closed = yield* Deferred.make<boolean>()
    const { baseUrl } = yield* serve(async ({ response }) => {
      response.on("close", () => Effect.runSync(Deferred.succeed(closed, response.writableFinished)))
      stream(response).write(delta("one") + ending)
      await scheduler.wait(50)
      response.end()
    })
    expect(textOfTokens(yield* answerOf(yield* open(baseUrl)))).toBe("one")
    expect(yield* Deferred.await(closed)).toBe(true)
  }))

test("a server that does not stop at the limit is stopped", () =>
  Effect.gen(function* () {
    const closed = yield* Deferred.make<void>()
    const { baseUrl } = yield* serve(({ response }) => {
      writeForEver(stream(response), delta("x".repeat(100)))
      response.on("close", () => Effect.runSync(Deferred.succeed(closed, undefined)))
    })
    const tokens = yield* Stream.runCollect((yield* open(baseUrl)).generate(requestOf("hello", 10)))
    expect(textOfTokens(tokens).length).toBeLessThan(1_400)
    expect(tokens.at(-1)).toMatchObject({ type: "finish", reason: "length" })
    yield* Deferred.await(closed)
  }))

it.effect("an address that is none is said at once", () =>
  Effect.gen(function* () {
    const error = yield* Effect.flip(open("127.0.0.1:9000"))
    expect(error).toMatchObject({ _tag: "EngineBroken", model: "remote", reason: expect.stringMatching(/http/) })
  })
)
