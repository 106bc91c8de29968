/** Classes, the cache and the queue's tokens, as the scheduler performs what the schedule decides. */
import { expect } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { InferenceRequest } from "../../src/inference/engine.ts"
import { scriptedEngine } from "../property/scripted-engine.ts"
import { errorOf, scenario } from "./scheduler-bench.ts"

const background = { class: "background" } as const
const saying = (content: string) => ({ messages: [{ role: "user" as const, content }] })

scenario("a background request makes way, and begins again as the next attempt", {}, (bench) =>
  Effect.gen(function* () {
    const { ask, engine, finish, running, scheduler } = bench
    const flex = yield* ask("flex", background)
    for (const generation of engine.generations) generation.saySome()
    const ann = yield* ask("ann")
    expect(running()).toEqual(["ann"])
    expect(flex.signals).toMatchObject([
      { type: "started", attempt: 1 },
      { type: "text", attempt: 1, text: "flex/1/0 " },
      { type: "restarted", attempt: 2, reason: expect.stringContaining("made way") }
    ])
    yield* finish("ann")
    yield* Fiber.join(ann.fiber)
    expect(running()).toEqual(["flex"])
    for (const generation of engine.generations) generation.saySome()
    yield* finish("flex")
    yield* Fiber.join(flex.fiber)
    expect(flex.signals.slice(3)).toMatchObject([
      { type: "started", attempt: 2 },
      { type: "text", attempt: 2, text: "flex/2/0 " },
      { type: "finished", attempt: 2 }
    ])
    expect(yield* scheduler.stats).toMatchObject({ preempted: 1, restarts: 0, ended: { done: 2 } })
  })
)

const quick = scriptedEngine(1)
const slow = {
  ...quick,
  generate: (request: InferenceRequest) =>
    Stream.unwrap(
      Effect.as(
        Effect.acquireRelease(Effect.void, () => Effect.sleep("1 second")),
        quick.generate(request)
      )
    )
}
scenario("a slot is given on once the engine has let go of it, not before", { engine: slow }, ({ ask, running }) =>
  Effect.gen(function* () {
    yield* ask("flex", background)
    yield* ask("ann")
    yield* TestClock.adjust("999 millis")
    expect(running()).toEqual([])
    yield* TestClock.adjust("1 millis")
    expect(running()).toEqual(["ann"])
    // The scope of the test waits for its end as well.
    yield* Effect.forkChild(Effect.forever(TestClock.adjust("1 second")))
  })
)

scenario("what cannot be taken back is not stopped once it is said", { slotsMax: 2 }, ({ ask, engine, running }) =>
  Effect.gen(function* () {
    yield* ask("streamed", { ...background, mayRestart: false })
    yield* ask("silent", { ...background, mayRestart: false })
    for (const generation of engine.generations) if (generation.id === "streamed") generation.saySome()
    yield* ask("ann")
    yield* ask("bob")
    expect(running()).toEqual(["streamed", "ann"])
  })
)

scenario("making way is no loss, however often", { attemptsMax: 2 }, ({ ask, finish, running }) =>
  Effect.gen(function* () {
    const flex = yield* ask("flex", background)
    for (let count = 0; count < 4; count++) {
      yield* ask(`ann-${count}`)
      yield* finish(`ann-${count}`)
      expect(running()).toEqual(["flex"])
    }
    yield* finish("flex")
    yield* Fiber.join(flex.fiber)
    expect(flex.signals.at(-1)).toMatchObject({ type: "finished", attempt: 5 })
  })
)

scenario("background stands back for a minute, and no longer", { queueMax: 9 }, ({ ask, finish, running }) =>
  Effect.gen(function* () {
    for (const id of ["ann-1", "ann-2", "ann-3"]) yield* ask(id)
    yield* ask("flex", background)
    yield* ask("bob")
    for (const id of ["ann-1", "ann-2"]) yield* finish(id)
    expect(running()).toEqual(["bob"])
    yield* TestClock.adjust("1 minute")
    yield* finish("bob")
    expect(running()).toEqual(["ann-3"])
    yield* ask("cy")
    yield* finish("ann-3")
    expect(running()).toEqual(["flex"])
  })
)

const small = scriptedEngine(9, { cacheTokensMax: 110 })
scenario("no more run than the cache holds, whatever slots are free", { engine: small, queueMax: 9 }, (bench) =>
  Effect.gen(function* () {
    const { ask, engine, running, scheduler } = bench
    // 30 bytes are estimated as 15 tokens.
    for (const id of ["ann", "bob", "cy"]) yield* ask(id, { ...saying("x".repeat(30)), answerTokensMax: 30 })
    expect(running()).toEqual(["ann", "bob"])
    expect(yield* scheduler.stats).toMatchObject({ reservedTokens: 90, waitingTokens: 45 })
    for (const generation of engine.generations) generation.say({ type: "progress", promptTokens: 2 })
    yield* TestClock.adjust(0)
    expect(running()).toEqual(["ann", "bob", "cy"])
    expect(yield* scheduler.stats).toMatchObject({ reservedTokens: 109, waitingTokens: 0 })
  })
)

const one = scriptedEngine(1, { contextTokens: 400 })
scenario("a refusal says why, and when to come back", { engine: one, queueTokensMax: 1_000, queueMax: 9 }, (bench) =>
  Effect.gen(function* () {
    const { ask, finish, running, scheduler } = bench
    const long = { ...saying("x".repeat(10_000)), answerTokensMax: 300 }
    for (const id of ["ann", "bob", "cy"]) yield* ask(id, long)
    const refused = yield* ask("dan", long)
    // The answer has half of the context, and the prompt the rest, as in the worker.
    expect(yield* scheduler.stats).toMatchObject({ reservedTokens: 400, waitingTokens: 800, refused: { tokens: 1 } })
    expect(errorOf(refused)).toMatchObject({ _tag: "QueueFull", reason: "tokens", retryAfterMs: 4_000 })
    for (let count = 0; count < 9; count++) yield* ask("eve")
    expect(errorOf(yield* ask("eve"))).toMatchObject({ reason: "count" })
    while (running().length > 0) yield* finish(running()[0]!)
    for (let count = 0; count < 12; count++) yield* ask("fay")
    expect(yield* scheduler.stats).toMatchObject({ waiting: 9, waitingOf: { interactive: 9, background: 0 } })
  })
)

scenario("one user alone does not fill the queue", { queueMax: 18 }, ({ ask, scheduler }) =>
  Effect.gen(function* () {
    for (let count = 0; count < 18; count++) yield* ask("ann")
    expect(errorOf(yield* ask("ann"))).toMatchObject({ _tag: "QueueFull", reason: "share" })
    expect(errorOf(yield* ask("bob"))).toBe(undefined)
    expect(yield* scheduler.stats).toMatchObject({ waiting: 18, refused: { share: 1 } })
  })
)

scenario(
  "who has a long answer is next after who has a short one",
  { queueMax: 9 },
  ({ ask, engine, finish, running }) =>
    Effect.gen(function* () {
      for (const id of ["ann-1", "bob-1", "ann-2", "bob-2", "bob-3"]) yield* ask(id)
      const sayMuch = (times: number) => {
        for (const generation of engine.generations) for (let count = 0; count < times; count++) generation.saySome()
        return TestClock.adjust(0)
      }
      yield* sayMuch(20)
      yield* finish("ann-1")
      const order: Array<string> = []
      while (running().length > 0) {
        order.push(running()[0]!)
        yield* sayMuch(1)
        yield* finish(running()[0]!)
      }
      expect(order).toEqual(["bob-1", "bob-2", "bob-3", "ann-2"])
    })
)
