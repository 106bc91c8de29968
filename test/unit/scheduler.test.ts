/** The scheduler on virtual time, with an engine that says what the test tells it to. */
import { expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Option, Queue, Stream } from "effect"
import { TestClock } from "effect/testing"
import { EngineBusy, EngineLost, EngineRefused, PromptTooLong } from "../../src/inference/engine.ts"
import { type Failure, InferenceScheduler, layer, type Options, type Signal } from "../../src/inference/scheduler.ts"
import { type ScriptedEngine, scriptedEngine } from "../property/scripted-engine.ts"

interface Bench {
  readonly engine: ScriptedEngine
  readonly scheduler: InferenceScheduler["Service"]
  readonly ask: (id: string) => Effect.Effect<Reading>
  /** What is generated now. */
  readonly running: () => ReadonlyArray<string>
  /** The oldest generation of this request dies with its engine. */
  readonly lose: (...ids: ReadonlyArray<string>) => Effect.Effect<void>
  readonly finish: (id: string) => Effect.Effect<void>
}

interface Reading {
  readonly signals: ReadonlyArray<Signal>
  readonly fiber: Fiber.Fiber<void, Failure>
}

const requestOf = (id: string) => ({
  id,
  user: id.split("-")[0]!,
  messages: [],
  answerTokensMax: 9,
  temperature: 0,
  stop: [],
  firstAttempt: 1
})

function scenario(
  title: string,
  { slotsMax = 1, ...options }: Partial<Options> & { readonly slotsMax?: number },
  play: (bench: Bench) => Effect.Effect<void, unknown>
): void {
  const engine = options.engine ?? scriptedEngine(slotsMax)
  const live = Effect.gen(function* () {
    const scheduler = yield* InferenceScheduler
    const scope = yield* Effect.scope
    const scripted = engine as ScriptedEngine
    const generationOf = (id: string) => scripted.generations.values().find((generation) => generation.id === id)!
    yield* play({
      engine: scripted,
      scheduler,
      running: () => [...scripted.generations].map(({ id }) => id),
      ask: Effect.fnUntraced(function* (id: string) {
        const signals: Array<Signal> = []
        const reading = Stream.runForEach(scheduler.infer(requestOf(id)), (signal) =>
          Effect.sync(() => signals.push(signal))
        )
        const fiber = yield* Effect.forkIn(reading, scope)
        yield* TestClock.adjust(0)
        return { signals, fiber }
      }),
      lose: (...ids) => {
        for (const generation of ids.map(generationOf)) generation.fail(new EngineLost({ reason: "It died." }))
        return TestClock.adjust(0)
      },
      finish: (id) => {
        generationOf(id).finish()
        return TestClock.adjust(0)
      }
    })
  })
  it.effect(title, () => Effect.provide(live, layer({ queueMax: 2, ...options, engine })))
}

const errorOf = ({ fiber }: Reading) => {
  const exit = fiber.pollUnsafe()
  return exit && Option.getOrUndefined(Exit.findErrorOption(exit))
}

scenario("an answer goes from its slot to its reader", {}, ({ ask, engine, finish }) =>
  Effect.gen(function* () {
    const { fiber, signals } = yield* ask("ann")
    for (const generation of engine.generations) generation.saySome()
    yield* finish("ann")
    yield* Fiber.join(fiber)
    expect(signals).toEqual([
      { type: "started", attempt: 1 },
      { type: "text", attempt: 1, text: "ann/1/0 " },
      { type: "finished", attempt: 1, reason: "stop", usage: { promptTokens: 1, answerTokens: 1 } }
    ])
  })
)

scenario("a full queue refuses at once, and says how long those who wait will take", {}, (bench) =>
  Effect.gen(function* () {
    const { ask, finish, scheduler } = bench
    yield* ask("ann")
    for (let count = 0; count < 30; count++) {
      yield* ask("ann-next")
      yield* TestClock.adjust("20 seconds")
      yield* finish(bench.running()[0]!)
    }
    yield* ask("bob")
    yield* ask("cy")
    const refused = yield* ask("dan")
    const { turnMs } = yield* scheduler.stats
    expect(Math.round(turnMs)).toBeGreaterThan(19_000)
    expect(errorOf(refused)).toMatchObject({ _tag: "QueueFull", queueMax: 2, retryAfterMs: Math.round(2 * turnMs) })
    expect(yield* scheduler.stats).toMatchObject({ running: 1, waiting: 2, refused: 1 })
  })
)

scenario("users take turns, and each knows its place", { queueMax: 9 }, ({ ask, finish, running, scheduler }) =>
  Effect.gen(function* () {
    for (const id of ["ann-1", "ann-2", "ann-3", "bob-1", "bob-2"]) yield* ask(id)
    const waiting = ["ann-2", "bob-1", "ann-3", "bob-2"]
    for (const [place, id] of waiting.entries()) expect(yield* scheduler.placeOf(id)).toBe(place)
    expect(yield* scheduler.placeOf("ann-1")).toBe(undefined)
    for (const id of ["ann-1", ...waiting]) {
      expect(running()).toEqual([id])
      yield* finish(id)
    }
  })
)

scenario("interrupting gives a place or a slot back at once", {}, ({ ask, running, scheduler }) =>
  Effect.gen(function* () {
    const ann = yield* ask("ann")
    const bob = yield* ask("bob")
    yield* ask("cy")
    yield* Fiber.interrupt(bob.fiber)
    expect(yield* scheduler.placeOf("cy")).toBe(0)
    yield* Fiber.interrupt(ann.fiber)
    yield* TestClock.adjust(0)
    expect(running()).toEqual(["cy"])
    expect(yield* scheduler.stats).toMatchObject({ running: 1, waiting: 0 })
  })
)

scenario("a slow reader keeps no slot", {}, ({ ask, engine, finish, running, scheduler }) =>
  Effect.gen(function* () {
    const read = yield* Queue.unbounded<Signal>()
    const slow = Stream.runForEach(scheduler.infer(requestOf("slow")), (signal) =>
      Effect.delay(Queue.offer(read, signal), "1 minute")
    )
    const fiber = yield* Effect.forkChild(slow)
    yield* TestClock.adjust(0)
    yield* ask("ann")
    for (const generation of engine.generations) for (let count = 0; count < 5; count++) generation.saySome()
    yield* finish("slow")
    expect(running()).toEqual(["ann"])
    yield* TestClock.adjust("7 minutes")
    yield* Fiber.join(fiber)
    expect(yield* Queue.size(read)).toBe(7)
  })
)

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
    expect(yield* scheduler.placeOf("ann")).toBe(0)
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

scenario("attempts are bounded", { attemptsMax: 2 }, ({ ask, lose, scheduler }) =>
  Effect.gen(function* () {
    const ann = yield* ask("ann")
    for (let count = 0; count < 2; count++) yield* Effect.andThen(lose("ann"), TestClock.adjust("10 seconds"))
    expect(errorOf(ann)).toMatchObject({ _tag: "ModelFailed", kind: "lost" })
    expect(yield* scheduler.stats).toMatchObject({ running: 0, waiting: 0, restarts: 1 })
  })
)

scenario("each further loss waits twice as long, until an answer is finished", {}, ({ ask, finish, lose, running }) =>
  Effect.gen(function* () {
    const isBackAfter = (ms: number) =>
      Effect.gen(function* () {
        yield* TestClock.adjust(ms - 1)
        expect(running()).toEqual([])
        yield* TestClock.adjust(1)
        expect(running().length).toBe(1)
      })
    yield* ask("ann")
    yield* Effect.andThen(lose("ann"), isBackAfter(250))
    yield* Effect.andThen(lose("ann"), isBackAfter(500))
    yield* finish("ann")
    yield* ask("bob")
    yield* Effect.andThen(lose("bob"), isBackAfter(250))
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
    expect(yield* scheduler.placeOf("ann")).toBe(0)
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
