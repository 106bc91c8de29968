/** The connections of the engine for OpenAI's protocol: which are kept, closed, and replaced. */
import type { ServerResponse } from "node:http"
import { expect } from "@effect/vitest"
import { Deferred, Effect, Fiber, Latch } from "effect"
import { until } from "./llama-harness.ts"
import {
  type Answering,
  answerOf,
  answerTextOf,
  delta,
  ending,
  pool,
  say,
  serve,
  stream,
  test
} from "./openai-bench.ts"

test("aborted requests leave no connection behind", () =>
  Effect.gen(function* () {
    const { asked, engine, servers } = yield* pool([({ response }) => void stream(response).write(delta("one"))])
    const open = () => servers[0]!.sockets.filter(({ destroyed }) => !destroyed).length
    for (let count = 1; count <= 30; count++) {
      const fiber = yield* Effect.forkChild(answerOf(engine))
      yield* until(Effect.sync(() => asked[0] === count))
      yield* Fiber.interrupt(fiber)
    }
    yield* until(Effect.sync(() => open() === 0))
    expect(servers[0]!.sockets.length).toBe(30)
  }))

test("a server that goes on after its end is let go of", () =>
  Effect.gen(function* () {
    const closed = yield* Deferred.make<void>()
    const drip = (response: ServerResponse): void => {
      if (!response.destroyed) setTimeout(() => response.write(": more\n\n", () => drip(response)), 20)
    }
    const { engine } = yield* pool([
      ({ response }) => {
        response.on("close", () => Deferred.doneUnsafe(closed, Effect.void))
        stream(response).write(delta("one") + ending)
        drip(response)
      }
    ])
    expect(yield* answerTextOf(engine)).toBe("one")
    yield* Deferred.await(closed)
  }))

test("a server that was started again meanwhile costs no attempt, however many connections were idle", () =>
  Effect.gen(function* () {
    const all = yield* Latch.make()
    let waiting = 0
    const together: Answering = async ({ response }) => {
      if (waiting >= 4) return say(response, "old")
      if (++waiting === 4) all.openUnsafe()
      stream(response).write(delta("old"))
      await Effect.runPromise(all.await)
      response.end(ending)
    }
    const { engine, servers } = yield* pool([together])
    while (!all.isOpen()) yield* Effect.forEach(Array(4), () => answerTextOf(engine), { concurrency: 4 })
    const open = () => servers[0]!.sockets.filter(({ destroyed }) => !destroyed).length
    expect(open()).toBeGreaterThanOrEqual(4)
    yield* servers[0]!.close
    yield* serve(({ response }) => say(response, "young"), { port: servers[0]!.port })
    expect(yield* answerTextOf(engine)).toBe("young")
    expect(yield* engine.trouble).toBe(undefined)
  }))

test("a server that closes each connection is asked over another one", () =>
  Effect.gen(function* () {
    const closing: Answering = ({ response }) => say(response.setHeader("connection", "close"), "one")
    const { engine, servers } = yield* pool([closing])
    for (let count = 0; count < 5; count++) expect(yield* answerTextOf(engine)).toBe("one")
    expect(servers[0]!.sockets.length).toBe(5)
  }))
