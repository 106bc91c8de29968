/** What the scheduler does when its engine dies, stays away, is busy, or will not. */
import { expect } from "@effect/vitest"
import { Effect, Exit, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { EngineBusy, EngineLost, EngineRefused, PromptTooLong } from "../../src/inference/engine.ts"
import { scriptedEngine } from "../property/scripted-engine.ts"
import { errorOf, scenario } from "./scheduler-bench.ts"

scenario("what its engine lost starts again from nothing, once the engine is back", {}, (bench) =>
  Effect.gen(function* () {
    const { ask, engine, finish, lose, running, scheduler } = bench
    const ann = yield* ask("ann")
    yield* ask("bob")
    for (const generation of engine.generations) generation.saySome()
    engine.ready = false
    yield* lose("ann")
    expect(ann.signals.at(-1)).toEqual({ type: "restarted", attempt: 2, reason: "It died." })
    yield* TestClock.adjust("1 minute")
    expect(running()).toEqual([])
    expect((yield* scheduler.waitOf("ann"))?.ahead).toBe(0)
    expect(yield* scheduler.stats).toMatchObject({ ready: false, trouble: "It was told not to be ready." })
    engine.ready = true
    yield* TestClock.adjust("1 second")
    expect(running()).toEqual(["ann"])
    for (const generation of engine.generations) generation.saySome()
    yield* finish("ann")
    yield* Fiber.join(ann.fiber)
    const kept = ann.signals.flatMap((signal) => (signal.type === "text" && signal.attempt === 2 ? [signal.text] : []))
    expect(kept).toEqual(["ann/2/0 "])
    expect(yield* scheduler.stats).toMatchObject({ ready: true, restarts: 1 })
  })
)

scenario("P4: after two deaths each runs alone, and the one that kills alone fails", { slotsMax: 3 }, (bench) =>
  Effect.gen(function* () {
    const { ask, finish, lose, running } = bench
    const ann = yield* ask("ann")
    const bob = yield* ask("bob")
    const backoff = TestClock.adjust("10 seconds")
    yield* Effect.andThen(lose("ann", "bob"), backoff)
    yield* ask("cy")
    expect(running()).toEqual(["ann", "bob", "cy"])
    yield* Effect.andThen(lose("bob", "cy", "ann"), backoff)
    expect(running()).toEqual(["ann"])
    yield* Effect.andThen(lose("ann"), backoff)
    expect(errorOf(ann)).toMatchObject({ _tag: "ModelFailed", kind: "crashed", reason: "It died." })
    expect(running()).toEqual(["bob"])
    yield* finish("bob")
    yield* Fiber.join(bob.fiber)
    expect(running()).toEqual(["cy"])
  })
)

scenario("while it pauses after a loss it is not ready, and says why", {}, ({ ask, lose, scheduler }) =>
  Effect.gen(function* () {
    yield* ask("ann")
    yield* lose("ann")
    expect(yield* scheduler.stats).toMatchObject({ ready: false, trouble: "It died.", waiting: 1 })
    yield* TestClock.adjust("1 second")
    expect(yield* scheduler.stats).not.toHaveProperty("trouble")
  })
)

scenario("attempts are bounded", { attemptsMax: 2 }, ({ ask, lose, scheduler }) =>
  Effect.gen(function* () {
    const ann = yield* ask("ann")
    for (let count = 0; count < 2; count++) yield* Effect.andThen(lose("ann"), TestClock.adjust("10 seconds"))
    expect(errorOf(ann)).toMatchObject({ _tag: "ModelFailed", kind: "lost" })
    expect(yield* scheduler.stats).toMatchObject({ running: 0, waiting: 0, restarts: 1 })
  })
)

scenario(
  "each further loss waits twice as long, until an answer is finished",
  { slotsMax: 2 },
  ({ ask, finish, lose, running }) =>
    Effect.gen(function* () {
      const isBackAfter = (ms: number) =>
        Effect.gen(function* () {
          yield* TestClock.adjust(ms - 1)
          expect(running()).toEqual([])
          yield* TestClock.adjust(1)
          expect(running()).not.toEqual([])
        })
      yield* ask("ann")
      yield* ask("bob")
      // Two at once are one loss.
      yield* Effect.andThen(lose("ann", "bob"), isBackAfter(250))
      yield* Effect.andThen(lose("ann", "bob"), isBackAfter(500))
      yield* finish("ann")
      yield* finish("bob")
      yield* ask("cy")
      yield* Effect.andThen(lose("cy"), isBackAfter(250))
    })
)

scenario("nobody waits for ever for an engine that stays away", { outageMaxMs: 60_000 }, ({ ask, engine, lose }) =>
  Effect.gen(function* () {
    const ann = yield* ask("ann")
    const bob = yield* ask("bob")
    engine.ready = false
    yield* lose("ann")
    yield* TestClock.adjust("59 seconds")
    expect(errorOf(ann)).toBe(undefined)
    yield* TestClock.adjust("2 seconds")
    for (const reading of [ann, bob])
      expect(errorOf(reading)).toMatchObject({ kind: "lost", reason: "It was told not to be ready." })
    const cy = yield* ask("cy")
    yield* TestClock.adjust("1 second")
    expect(errorOf(cy)).toMatchObject({ kind: "lost" })
    engine.ready = true
    yield* TestClock.adjust("1 second")
    yield* ask("dan")
    expect(engine.generations.size).toBe(1)
  })
)

const loading = scriptedEngine(1)
loading.ready = false
scenario("before the engine is ready at all, requests wait in their places", { engine: loading }, (bench) =>
  Effect.gen(function* () {
    const { ask, engine, running, scheduler } = bench
    const { signals } = yield* ask("ann")
    yield* TestClock.adjust("1 minute")
    expect(signals).toEqual([])
    expect((yield* scheduler.waitOf("ann"))?.ahead).toBe(0)
    expect(yield* scheduler.stats).toMatchObject({ running: 0, waiting: 1, ready: false })
    engine.ready = true
    yield* TestClock.adjust("1 second")
    expect(running()).toEqual(["ann"])
  })
)

scenario("a busy engine is asked again when it said, as the same attempt, up to a limit", {}, (bench) =>
  Effect.gen(function* () {
    const { ask, engine, finish, running } = bench
    const say = (retryAfterMs: number) => {
      for (const generation of engine.generations) generation.fail(new EngineBusy({ retryAfterMs }))
      return TestClock.adjust(0)
    }
    const ann = yield* ask("ann")
    const bob = yield* ask("bob")
    yield* say(40_000)
    yield* TestClock.adjust("39 seconds")
    expect(running()).toEqual([])
    yield* TestClock.adjust("1 second")
    expect(running()).toEqual(["ann"])
    yield* finish("ann")
    yield* Fiber.join(ann.fiber)
    expect(ann.signals.map(({ type }) => type)).toEqual(["started", "finished"])
    yield* say(0)
    expect(running()).toEqual([])
    yield* TestClock.adjust("1 second")
    yield* Effect.andThen(say(40_000), TestClock.adjust("40 seconds"))
    yield* say(40_000)
    expect(errorOf(bob)).toMatchObject({ _tag: "ModelFailed", kind: "busy" })
  })
)

scenario("what the engine will not answer fails, and is not repeated", { slotsMax: 2 }, ({ ask, engine, running }) =>
  Effect.gen(function* () {
    const ann = yield* ask("ann")
    const bob = yield* ask("bob")
    const [first, second] = engine.generations
    first!.fail(new EngineRefused({ reason: "No such model." }))
    second!.fail(new PromptTooLong({ tokens: 9, tokensMax: 8 }))
    yield* TestClock.adjust("1 minute")
    expect(errorOf(ann)).toMatchObject({ _tag: "ModelFailed", kind: "refused", reason: "No such model." })
    expect(errorOf(bob)).toMatchObject({ _tag: "PromptTooLong", tokens: 9, tokensMax: 8 })
    expect(running()).toEqual([])
  })
)

scenario("what is finished stays finished, whatever the engine does then", {}, ({ ask, engine }) =>
  Effect.gen(function* () {
    const { fiber, signals } = yield* ask("ann")
    for (const generation of engine.generations) {
      generation.say({ type: "finish", reason: "stop", usage: { promptTokens: 1, answerTokens: 1 } })
      generation.saySome()
      generation.fail(new EngineLost({ reason: "It died." }))
    }
    yield* Fiber.join(fiber)
    expect(signals.map(({ type }) => type)).toEqual(["started", "finished"])
  })
)

scenario("an answer that stops before its end is a loss", {}, ({ ask, engine }) =>
  Effect.gen(function* () {
    const { signals } = yield* ask("ann")
    for (const generation of engine.generations) generation.end()
    yield* TestClock.adjust(0)
    expect(signals.at(-1)).toMatchObject({ type: "restarted", attempt: 2 })
  })
)

const broken = { ...scriptedEngine(1), generate: () => Stream.die("a defect") }
scenario("a defect of the engine reaches the reader, and frees its slot", { engine: broken }, ({ ask, scheduler }) =>
  Effect.gen(function* () {
    const { fiber } = yield* ask("ann")
    expect(Exit.hasDies(fiber.pollUnsafe()!)).toBe(true)
    expect(yield* scheduler.stats).toMatchObject({ running: 0, waiting: 0 })
  })
)
