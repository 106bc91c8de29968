/** Several servers behind one engine, on loopback and with real time: every wait is for what a server does. */
import type { ServerResponse } from "node:http"
import { expect } from "@effect/vitest"
import { Deferred, Effect, Fiber, Latch, Stream } from "effect"
import { until } from "./llama-harness.ts"
import {
  type Answering,
  answerOf,
  answerTextOf,
  delta,
  ending,
  errorOf,
  pool,
  requestOf,
  type Serving,
  say,
  serve,
  stream,
  test
} from "./openai-bench.ts"

const drop: Answering = ({ request }) => void request.socket.destroy()
const dropBegun: Answering = ({ response }) => void stream(response).write(delta("z"), () => response.destroy())
const refuse =
  (status: number, retryAfter?: string): Answering =>
  ({ response }) =>
    void response.writeHead(status, retryAfter === undefined ? {} : { "retry-after": retryAfter }).end("{}")

test("equal servers take turns, and of those that answer each has as many as the others", () =>
  Effect.gen(function* () {
    const { asked, engine } = yield* pool(["answer", "answer", "answer"])
    const turns = yield* Effect.forEach([1, 2, 3, 4, 5, 6], () => answerTextOf(engine))
    expect(turns.join("")).toBe("abcabc")
    yield* Effect.forEach(Array(30), () => answerTextOf(engine), { concurrency: 6 })
    expect(asked.reduce((sum, count) => sum + count)).toBe(36)
    for (const count of asked) expect(count).toBeGreaterThanOrEqual(3)
  }))

const elsewhere: ReadonlyArray<readonly [what: string, trick: Answering, isOut: boolean]> = [
  ["drops the connection before it says anything", drop, true],
  ["answers 500", refuse(500), true],
  ["is full", refuse(429, "60"), false],
  ["is full and does not say until when", refuse(503), false],
  ["refuses our key", refuse(401), true],
  ["has no such model", refuse(404), true],
  ["sends what is no part of an answer", ({ response }) => void stream(response).end("data: {{\n\n"), true],
  ["is no such server", ({ response }) => void response.end("<p>"), true]
]
for (const [what, trick, isOut] of elsewhere) {
  test(`where a server ${what}, another one answers, and it is not asked again`, () =>
    Effect.gen(function* () {
      const { asked, engine, states } = yield* pool([trick, "answer"], {}, unwell)
      for (let count = 0; count < 3; count++) expect(yield* answerTextOf(engine)).toBe("b")
      // The one that does not say how long it is full is asked again after a second.
      expect(asked[0]).toBeLessThanOrEqual(3)
      if (what !== "is full and does not say until when") expect(asked).toEqual([1, 3])
      expect(yield* states).toEqual([!isOut, true])
      expect(yield* engine.isReady).toBe(true)
      expect(yield* engine.trouble).toBe(undefined)
    }))
}

/** Whatever is out stays out. */
const unwell: Serving = { probed: (_, response) => void response.writeHead(500).end() }

test("O1: what has begun is not begun elsewhere, and its text is of one server", () =>
  Effect.gen(function* () {
    const { asked, engine } = yield* pool([dropBegun, "answer"], {}, unwell)
    const heard: Array<string> = []
    const error = yield* Effect.flip(
      Stream.runForEach(engine.generate(requestOf("hello")), (token) =>
        Effect.sync(() => heard.push(token.type === "text" ? token.text : ""))
      )
    )
    expect(error).toMatchObject({ _tag: "EngineLost" })
    expect(heard.join("")).toBe("z")
    expect(asked).toEqual([1, 0])
    expect(yield* answerTextOf(engine)).toBe("b")
  }))

test("O2: a request of which two servers died is lost, and no third one dies of it", () =>
  Effect.gen(function* () {
    const { asked, engine, states } = yield* pool([drop, drop, "answer"], {}, unwell)
    expect(yield* errorOf(engine)).toMatchObject({ _tag: "EngineLost" })
    expect(asked).toEqual([1, 1, 0])
    expect(yield* states).toEqual([false, false, true])
    expect(yield* answerTextOf(engine)).toBe("c")
  }))

test("a request that is refused for what it is goes nowhere else", () =>
  Effect.gen(function* () {
    const { asked, engine, states } = yield* pool([refuse(400), "answer"])
    expect(yield* errorOf(engine)).toMatchObject({ _tag: "EngineRefused" })
    expect(asked).toEqual([1, 0])
    expect(yield* states).toEqual([true, true])
  }))

test("where all are full it is busy, for as long as the first of them says", () =>
  Effect.gen(function* () {
    const { asked, engine } = yield* pool([refuse(429, "50"), refuse(503, "20")])
    for (let count = 0; count < 2; count++) {
      const error = yield* errorOf(engine)
      if (error._tag !== "EngineBusy") throw error
      expect(error.retryAfterMs).toBeLessThanOrEqual(20_000)
    }
    expect(asked).toEqual([1, 1])
  }))

test("a server that is gone costs nobody an answer, and is asked again once it is back", () =>
  Effect.gen(function* () {
    const { engine, servers, states } = yield* pool(["answer", "answer"])
    yield* answerTextOf(engine)
    yield* servers[1]!.close
    for (let count = 0; count < 5; count++) expect(yield* answerTextOf(engine)).toBe("a")
    expect(yield* states).toEqual([true, false])
    expect(yield* engine.servers!).toMatchObject([{ isUp: true }, { trouble: expect.stringMatching(/ECONNREFUSED/) }])
    yield* serve(({ response }) => say(response, "back"), { port: servers[1]!.port })
    yield* until(Effect.map(states, ([, second]) => second === true))
    const answers = yield* Effect.forEach([1, 2], () => answerTextOf(engine))
    expect(answers.toSorted()).toEqual(["a", "back"])
  }))

test("all gone: it is not ready and says of each why, and is back when one of them is", () =>
  Effect.gen(function* () {
    const { engine, servers } = yield* pool(["answer", "answer"])
    yield* Effect.forEach(servers, ({ close }) => close)
    expect(yield* errorOf(engine)).toMatchObject({ _tag: "EngineLost" })
    expect(yield* engine.isReady).toBe(false)
    for (const { port } of servers) expect(yield* engine.trouble).toContain(`http://127.0.0.1:${port}: `)
    yield* serve(({ response }) => say(response, "back"), { port: servers[0]!.port })
    expect(yield* engine.isReady).toBe(true)
    expect(yield* answerTextOf(engine)).toBe("back")
  }))

test("an idle server is probed at /health, and one that says there that it loads is out until it has", () =>
  Effect.gen(function* () {
    let status = 200
    const paths: Array<string> = []
    const probed = (path: string, response: ServerResponse) => {
      paths.push(path)
      response.writeHead(status).end()
    }
    const { engine, states } = yield* pool(["answer"], { probeEveryMs: 10 }, { probed })
    yield* until(Effect.sync(() => paths.length > 0))
    status = 503
    yield* until(Effect.map(states, ([isUp]) => isUp === false))
    expect(yield* engine.servers!).toMatchObject([{ trouble: expect.stringMatching(/503 when it is probed/) }])
    status = 200
    yield* until(Effect.map(states, ([isUp]) => isUp === true))
    expect(new Set(paths)).toEqual(new Set(["/health"]))
  }))

test("one that has no /health is asked for its models, and a key it refuses does not matter there", () =>
  Effect.gen(function* () {
    const paths: Array<string> = []
    const probed = (path: string, response: ServerResponse) => {
      paths.push(path)
      response.writeHead(path === "/v1/models" ? 401 : 404).end()
    }
    const { states } = yield* pool(["answer"], { probeEveryMs: 5 }, { probed })
    yield* until(Effect.sync(() => paths.length >= 3))
    expect(paths.slice(0, 3)).toEqual(["/health", "/v1/models", "/v1/models"])
    expect(yield* states).toEqual([true])
  }))

test("H2: one that speaks is not out, though it leaves its probes without an answer", () =>
  Effect.gen(function* () {
    const isOver = yield* Latch.make()
    let probes = 0
    const talk: Answering = async ({ response }) => {
      stream(response)
      while (!isOver.isOpen()) {
        await new Promise((resolve) => response.write(delta("more "), resolve))
        await new Promise((resolve) => setImmediate(resolve))
      }
      response.end(ending)
    }
    const { engine, states } = yield* pool(
      [talk],
      { probeEveryMs: 5, connectMaxMs: 300 },
      { probed: () => void probes++ }
    )
    const request = requestOf("hello", 1_000_000)
    const reading = yield* Effect.forkChild(Stream.runDrain(engine.generate(request)))
    yield* until(Effect.sync(() => probes >= 4))
    expect(yield* states).toEqual([true])
    yield* Latch.open(isOver)
    yield* Fiber.join(reading)
  }))

test("O3: who finds all full waits for a place, and a reader who leaves gives his to the next at once", () =>
  Effect.gen(function* () {
    const closed = yield* Deferred.make<void>()
    const hang: Answering = ({ request, response }) =>
      void request.socket.on("close", () => {
        if (!response.writableFinished) Deferred.doneUnsafe(closed, Effect.void)
      })
    let count = 0
    const { asked, engine } = yield* pool([(heard) => (++count === 1 ? hang(heard) : say(heard.response, "next"))])
    const first = yield* Effect.forkChild(answerOf(engine), { startImmediately: true })
    yield* until(Effect.sync(() => asked[0] === 1))
    const leaver = yield* Effect.forkChild(answerOf(engine), { startImmediately: true })
    const second = yield* Effect.forkChild(answerTextOf(engine), { startImmediately: true })
    expect(yield* engine.servers!).toMatchObject([{ inFlight: 1, limit: 1 }])
    yield* Fiber.interrupt(leaver)
    expect(asked).toEqual([1])
    yield* Fiber.interrupt(first)
    expect(yield* Fiber.join(second)).toBe("next")
    yield* Deferred.await(closed)
    expect(asked).toEqual([2])
    expect(yield* engine.servers!).toMatchObject([{ inFlight: 0 }])
  }))

test("a server of few slots is learned: it is asked for hardly more than it takes, and everybody is answered", () =>
  Effect.gen(function* () {
    let inFlight = 0
    let refused = 0
    const small: Answering = async ({ response }) => {
      if (inFlight >= 3) {
        refused++
        return void response.writeHead(429, { "retry-after": "0" }).end("{}")
      }
      inFlight++
      response.on("close", () => inFlight--)
      stream(response).write(delta("one"))
      await new Promise((resolve) => setTimeout(resolve, 5))
      response.end(ending)
    }
    const { engine } = yield* pool([small], { slotsMax: 64 })
    const untilAnswered: Effect.Effect<string, unknown> = Effect.catchTag(answerTextOf(engine), "EngineBusy", () =>
      Effect.andThen(
        Effect.sleep(1),
        Effect.suspend(() => untilAnswered)
      )
    )
    const answers = yield* Effect.forEach(Array(300), () => untilAnswered, { concurrency: 64 })
    expect(answers.every((text) => text === "one")).toBe(true)
    // Without a limit nearly each of 64 at once is refused, again and again.
    expect(refused).toBeLessThan(150)
    const [status] = yield* engine.servers!
    expect(status?.limit).toBeLessThanOrEqual(5)
    expect(status?.inFlight).toBe(0)
  }))

test("it tells how many it takes: one for each at first, more as they answer, and less without one of them", () =>
  Effect.gen(function* () {
    const { engine, servers } = yield* pool(["answer", "answer"], {}, unwell)
    const told: Array<number> = []
    yield* Effect.forkChild(
      Stream.runForEach(engine.slots!, (slots) => Effect.sync(() => told.push(slots))),
      { startImmediately: true }
    )
    yield* until(Effect.sync(() => told.at(-1) === 2))
    yield* Effect.forEach(Array(40), () => answerTextOf(engine), { concurrency: 16 })
    yield* until(Effect.sync(() => told.at(-1)! > 4))
    const both = told.at(-1)!
    yield* servers[0]!.close
    yield* Effect.forEach([1, 2], () => answerTextOf(engine))
    yield* until(Effect.sync(() => told.at(-1)! < both))
    expect(engine.slotsMax).toBe(16)
  }))
