/** The scheduler between random people and an engine that dies, is full and goes away, on virtual time. */
import { Effect, Exit, Fiber, Option, type Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import fc from "fast-check"
import { expect, test } from "vitest"
import { EngineBusy, EngineLost, EngineRefused, PromptTooLong } from "../../src/inference/engine.ts"
import { type Class, deathsMax } from "../../src/inference/schedule.ts"
import { type Failure, InferenceScheduler, layer, type Signal } from "../../src/inference/scheduler.ts"
import { type Generation, type ScriptedEngine, scriptedEngine } from "./scripted-engine.ts"

const nth = fc.nat({ max: 4 })
const command = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant("ask" as const),
      user: fc.constantFrom("ann", "bob", "cy"),
      class: fc.constantFrom<Class>("interactive", "interactive", "background"),
      mayRestart: fc.boolean()
    })
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("interrupt" as const), nth }) },
  { weight: 9, arbitrary: fc.record({ type: fc.constantFrom("say" as const, "finish" as const), nth }) },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constantFrom("lose", "refuse", "too long" as const), nth })
  },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant("busy" as const), nth, retryAfterMs: fc.constantFrom(0, 2_000, 61_000) })
  },
  { weight: 2, arbitrary: fc.constant({ type: "die" as const }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("ready" as const), ready: fc.boolean() }) },
  {
    weight: 5,
    arbitrary: fc.record({ type: fc.constant("wait" as const), ms: fc.constantFrom(0, 100, 2_000, 90_000) })
  }
)
const script = fc.record({
  slotsMax: fc.integer({ min: 1, max: 3 }),
  queueMax: fc.integer({ min: 0, max: 5 }),
  commands: fc.array(command, { maxLength: 80, size: "max" })
})
type Command = typeof command extends fc.Arbitrary<infer C> ? C : never
type Script = typeof script extends fc.Arbitrary<infer S> ? S : never

interface Reader {
  readonly id: string
  readonly fiber: Fiber.Fiber<void, Failure>
  readonly signals: Array<Signal>
  /** What the generation that finished said. */
  answer: string | undefined
  deaths: number
}

interface World {
  readonly engine: ScriptedEngine
  readonly readers: Array<Reader>
  readonly scheduler: InferenceScheduler["Service"]
}

const first = 3

type Check = (world: World) => Effect.Effect<void, unknown, Scope.Scope>

const run = (script: Script, check: Check, end: Check) =>
  Effect.gen(function* () {
    const engine = scriptedEngine(script.slotsMax)
    const live = Effect.gen(function* () {
      const world: World = { engine, readers: [], scheduler: yield* InferenceScheduler }
      for (const command of script.commands) {
        yield* perform(world, command)
        yield* TestClock.adjust(0)
        yield* check(world)
      }
      yield* end(world)
      return world
    })
    return yield* Effect.provide(live, layer({ engine, queueMax: script.queueMax, queueTokensMax: 100_000 }))
  })

const perform = Effect.fnUntraced(function* (world: World, command: Command) {
  const { engine, readers } = world
  const generation = "nth" in command ? [...engine.generations][command.nth] : undefined
  const died = (generation: Generation) => {
    readers.find(({ id }) => id === generation.id)!.deaths++
    generation.fail(new EngineLost({ reason: "It died." }))
  }
  if (command.type === "ask") readers.push(yield* ask(world, command))
  else if (command.type === "wait") yield* TestClock.adjust(command.ms)
  else if (command.type === "ready") engine.ready = command.ready
  else if (command.type === "die") for (const each of engine.generations) died(each)
  else if (command.type === "interrupt") {
    const reader = readers.filter(({ fiber }) => fiber.pollUnsafe() === undefined)[command.nth]
    if (reader) yield* Fiber.interrupt(reader.fiber)
  } else if (generation === undefined) return
  else if (command.type === "say") generation.saySome()
  else if (command.type === "finish") finish(world, generation)
  else if (command.type === "lose") died(generation)
  // A busy engine did not begin.
  else if (command.type === "busy") generation.said() === "" && generation.fail(new EngineBusy(command))
  else if (command.type === "refuse") generation.fail(new EngineRefused({ reason: "No." }))
  else if (command.type === "too long") generation.fail(new PromptTooLong({ tokens: 2, tokensMax: 1 }))
})

interface Asked {
  readonly user: string
  readonly class?: Class
  readonly mayRestart?: boolean
}

const ask = Effect.fnUntraced(function* ({ readers, scheduler }: World, asked: Asked) {
  const { user } = asked
  const id = `${user}-${readers.length}`
  const signals: Array<Signal> = []
  const request = { ...asked, id, messages: [], answerTokensMax: 9, temperature: 0, stop: [], firstAttempt: first }
  const reading = Stream.runForEach(scheduler.infer(request), (signal) => Effect.sync(() => signals.push(signal)))
  const reader: Reader = { id, signals, answer: undefined, deaths: 0, fiber: yield* Effect.forkScoped(reading) }
  return reader
})

function finish({ readers }: World, generation: Generation): void {
  generation.finish()
  const reader = readers.find(({ id }) => id === generation.id)!
  reader.answer ??= generation.said()
}

function runOnVirtualTime<A>(effect: Effect.Effect<A, unknown, Scope.Scope>): Promise<A> {
  return Effect.runPromise(Effect.provide(Effect.scoped(effect), TestClock.layer()))
}

const property = (title: string, check: Check, end: Check = () => Effect.void) =>
  test(title, () =>
    fc.assert(
      fc.asyncProperty(script, async (script) => void (await runOnVirtualTime(run(script, check, end)))),
      { numRuns: 150 }
    )
  )

const isReading = ({ fiber }: Reader) => fiber.pollUnsafe() === undefined

/** The failure that a reader saw, by its kind; undefined for one who still reads, or whose answer finished. */
function failureOf({ fiber }: Reader): string | undefined {
  const exit = fiber.pollUnsafe()
  if (exit === undefined || Exit.isSuccess(exit)) return undefined
  const error = Option.getOrUndefined(Exit.findErrorOption(exit))
  return error === undefined ? "interrupted" : error._tag === "ModelFailed" ? error.kind : error._tag
}

property("whoever reads runs or waits, and nobody else does; no more run than there are slots", (world) =>
  Effect.gen(function* () {
    const { running, slotsMax, waiting } = yield* world.scheduler.stats
    const reading = world.readers.filter(isReading).map(({ id }) => id)
    expect(running + waiting).toBe(reading.length)
    expect(running).toBeLessThanOrEqual(slotsMax)
    expect(world.engine.generations.size).toBeLessThanOrEqual(running)
    for (const { id } of world.engine.generations) expect(reading).toContain(id)
  })
)

property("a slot or a place is never lost: at the end a whole batch runs at once", nothing, (world) =>
  Effect.gen(function* () {
    const { engine, readers, scheduler } = world
    engine.ready = true
    for (const [index, { fiber }] of readers.entries()) if (index % 2 === 0) yield* Fiber.interrupt(fiber)
    yield* TestClock.adjust("1 minute")
    while (readers.some(isReading)) {
      for (const generation of engine.generations) finish(world, generation)
      yield* TestClock.adjust("1 minute")
    }
    expect(yield* scheduler.stats).toMatchObject({ running: 0, waiting: 0, ready: true })
    yield* Effect.forEach(Array(engine.slotsMax), () =>
      Effect.map(ask(world, { user: "dan" }), (reader) => readers.push(reader))
    )
    yield* TestClock.adjust(0)
    expect(engine.generations.size).toBe(engine.slotsMax)
  })
)

property("P1: two attempts are never spliced: what is read of the last one is what one generation said", (world) =>
  Effect.sync(() => {
    for (const { answer, signals } of world.readers) {
      let attempt = first
      for (const [index, signal] of signals.entries()) {
        if (signal.type === "restarted") attempt++
        expect(signal.attempt).toBe(attempt)
        const before = signals[index - 1]?.type
        if (signal.type === "started") expect([undefined, "restarted"]).toContain(before)
        else expect(["started", "text"]).toContain(before)
      }
      if (signals.at(-1)?.type !== "finished") continue
      const texts = signals.filter((signal) => signal.type === "text" && signal.attempt === attempt)
      expect(texts.map((signal) => (signal.type === "text" ? signal.text : "")).join("")).toBe(answer)
    }
  })
)

property("P4: who was running at two deaths of the engine runs alone, and fails if it dies of that too", (world) =>
  Effect.sync(() => {
    const { engine, readers } = world
    for (const reader of readers) {
      const isRunning = engine.generations.values().some(({ id }) => id === reader.id)
      if (reader.deaths >= deathsMax && isRunning) expect(engine.generations.size).toBe(1)
      if (failureOf(reader) === "crashed") expect(reader.deaths).toBe(deathsMax + 1)
      if (reader.deaths > deathsMax) expect(failureOf(reader)).toBe("crashed")
    }
  })
)

test("the commands above reach every signal and every failure", { timeout: 60_000 }, async () => {
  const seen = new Set<string | undefined>()
  for (const sample of fc.sample(script, { numRuns: 300, seed: 2 })) {
    await runOnVirtualTime(
      run(sample, nothing, ({ readers }) =>
        Effect.sync(() => {
          for (const reader of readers) {
            for (const signal of reader.signals) {
              seen.add(signal.type)
              if (signal.type === "restarted" && signal.reason.includes("made way")) seen.add("made way")
            }
            seen.add(failureOf(reader))
          }
        })
      )
    )
  }
  const failures = ["QueueFull", "PromptTooLong", "crashed", "lost", "busy", "refused", "interrupted", undefined]
  expect(seen).toEqual(new Set(["started", "text", "restarted", "made way", "finished", ...failures]))
})

function nothing(): Effect.Effect<void> {
  return Effect.void
}
