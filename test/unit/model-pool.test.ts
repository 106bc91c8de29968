/** The life of the models of a pool, on virtual time, with engines that say what the test tells them to. */
import { it } from "@effect/vitest"
import { Effect, Exit, Fiber, Option, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { expect } from "vitest"
import { EngineBroken } from "../../src/inference/engine.ts"
import type { PooledModel } from "../../src/inference/model-life.ts"
import { type ModelPool, openModelPool, type PoolOptions } from "../../src/inference/model-pool.ts"
import type { Failure, Signal } from "../../src/inference/scheduler.ts"
import type { WorkerEvent } from "../../src/inference/worker-process.ts"
import { type ScriptedEngine, scriptedEngine } from "../property/scripted-engine.ts"
import { requestOf } from "./scheduler-bench.ts"

const loadMs = 1_000
const mebibyte = 1024 ** 2

/** A model whose engine takes a second to load, and what is known of it. */
class Scripted {
  readonly model: PooledModel
  engine: ScriptedEngine | undefined
  isBroken = false
  watch: (event: WorkerEvent) => void = () => undefined

  constructor(name: string, mebibytes: number, keepAliveMs: number) {
    this.model = {
      name,
      slotsMax: 2,
      keepAliveMs,
      need: Effect.succeed({ bytes: mebibytes * mebibyte, isDoubtful: false }),
      open: (watch) => this.#open(watch)
    }
  }

  #open(watch: (event: WorkerEvent) => void) {
    return Effect.gen({ self: this }, function* () {
      yield* Effect.sleep(loadMs)
      if (this.isBroken) return yield* new EngineBroken({ model: this.model.name, reason: "no tensors" })
      this.engine = scriptedEngine(2)
      this.watch = watch
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          this.engine = undefined
        })
      )
      return this.engine
    })
  }

  /** Of the process: what it was answering is lost. */
  die() {
    this.watch({ type: "died", how: "SIGKILL" })
    return settle
  }

  /** Every answer that is being given. */
  finish() {
    for (const generation of this.engine?.generations ?? []) {
      generation.saySome()
      generation.finish()
    }
    return settle
  }

  get answering() {
    return this.engine?.generations.size ?? 0
  }
}

/** Whatever can go on has gone on. */
const settle = Effect.repeat(TestClock.adjust(0), { times: 20 })
const pass = (ms: number) => Effect.andThen(TestClock.adjust(ms), settle)

interface Reading {
  readonly signals: Array<Signal>
  readonly fiber: Fiber.Fiber<void, Failure>
}

const opened = (scripted: ReadonlyArray<Scripted>, options: Partial<PoolOptions> = {}) =>
  Effect.gen(function* () {
    const [first, ...others] = scripted.map(({ model }) => model)
    const pool = yield* openModelPool({
      models: [first!, ...others],
      bytesMax: 100 * mebibyte,
      isBytesMaxSet: true,
      queueMax: 10,
      queueTokensMax: 100_000,
      breaker: { deathsMax: 3, withinMs: 60_000, pauseMinMs: 10_000, pauseMaxMs: 40_000 },
      patienceMs: 20_000,
      ...options
    })
    yield* settle
    return pool
  })

const ask = Effect.fnUntraced(function* ({ models }: ModelPool, name: string, id: string) {
  const signals: Array<Signal> = []
  const { scheduler } = models.find((model) => model.name === name)!
  const reading = Stream.runForEach(scheduler.infer(requestOf(id)), (signal) => Effect.sync(() => signals.push(signal)))
  const asked: Reading = { signals, fiber: yield* Effect.forkScoped(reading) }
  yield* settle
  return asked
})

const stateOf = ({ models }: ModelPool, name: string) =>
  Effect.map(models.find((model) => model.name === name)!.status, ({ state }) => state)
const failureOf = ({ fiber }: Reading) => {
  const exit = fiber.pollUnsafe()
  return exit && Option.getOrUndefined(Exit.findErrorOption(exit))
}
const isDone = ({ fiber, signals }: Reading) => fiber.pollUnsafe() !== undefined && signals.at(-1)?.type === "finished"

it.effect("the first is loaded at once and kept; another when it is asked, until its keep-alive is over", () =>
  Effect.gen(function* () {
    const [one, two] = [new Scripted("one", 40, Infinity), new Scripted("two", 40, 60_000)]
    const pool = yield* opened([one, two])
    expect([yield* stateOf(pool, "one"), yield* stateOf(pool, "two")]).toEqual(["loading", "cold"])
    expect((yield* pool.models[0].status).isUsable).toBe(false)
    const asked = yield* ask(pool, "two", "ann")
    expect(yield* stateOf(pool, "two")).toBe("loading")
    // Where it stands is said honestly: nobody is before it, and the model is not there yet.
    const { scheduler, status } = pool.models[1]!
    expect(yield* scheduler.waitOf("ann")).toMatchObject({ ahead: 0, loading: true })
    yield* pass(loadMs)
    expect(yield* scheduler.waitOf("ann")).toBeUndefined()
    expect([yield* stateOf(pool, "one"), yield* stateOf(pool, "two")]).toEqual(["ready", "answering"])
    yield* two.finish()
    expect(isDone(asked)).toBe(true)
    yield* pass(59_999)
    expect(yield* stateOf(pool, "two")).toBe("ready")
    yield* pass(1)
    expect([yield* stateOf(pool, "one"), yield* stateOf(pool, "two")]).toEqual(["ready", "cold"])
    expect([two.engine, yield* status]).toEqual([undefined, expect.objectContaining({ loads: 1, isUsable: true })])
    yield* ask(pool, "two", "bob")
    yield* pass(loadMs)
    expect(two.answering).toBe(1)
  })
)

it.effect("one that is answering is never unloaded; one that is idle makes room at once", () =>
  Effect.gen(function* () {
    const [one, two] = [new Scripted("one", 60, Infinity), new Scripted("two", 60, 0)]
    const pool = yield* opened([one, two])
    yield* pass(loadMs)
    const first = yield* ask(pool, "one", "ann")
    const second = yield* ask(pool, "two", "bob")
    yield* pass(120_000)
    expect([one.answering, yield* stateOf(pool, "two")]).toEqual([1, "cold"])
    // It stands back after a while: who comes now waits until the other one has had its turn.
    const third = yield* ask(pool, "one", "cy")
    expect(one.answering).toBe(1)
    yield* one.finish()
    expect(isDone(first)).toBe(true)
    yield* pass(loadMs)
    expect([one.engine, two.answering]).toEqual([undefined, 1])
    yield* two.finish()
    yield* pass(loadMs)
    expect([isDone(second), two.engine, one.answering]).toEqual([true, undefined, 1])
    yield* one.finish()
    expect(isDone(third)).toBe(true)
  })
)

it.effect("what never fits is refused with the mend; where the limit is only guessed it has all of it", () =>
  Effect.gen(function* () {
    const [one, two] = [new Scripted("one", 40, Infinity), new Scripted("two", 400, 0)]
    const strict = yield* opened([one, two])
    const refused = yield* ask(strict, "two", "ann")
    const reason = expect.stringMatching(/two needs 400 MiB.*may have 100 MiB.*limits.modelsMemory/)
    expect(failureOf(refused)).toMatchObject({ _tag: "ModelFailed", kind: "down", reason })
    expect(failureOf(refused)).not.toHaveProperty("retryAfterMs")
    expect(yield* stateOf(strict, "two")).toBe("broken")
    const guessed = yield* opened([new Scripted("one", 40, Infinity), two], { isBytesMaxSet: false })
    yield* ask(guessed, "two", "bob")
    yield* pass(2 * loadMs)
    expect(two.answering).toBe(1)
  })
)

it.effect("a model that cannot be loaded says why, to whoever waits for it too, and is tried again after a pause", () =>
  Effect.gen(function* () {
    const two = new Scripted("two", 40, 0)
    two.isBroken = true
    const pool = yield* opened([new Scripted("one", 40, Infinity), two])
    const [ann, bob] = [yield* ask(pool, "two", "ann"), yield* ask(pool, "two", "bob")]
    yield* pass(loadMs)
    for (const asked of [ann, bob, yield* ask(pool, "two", "cy")]) {
      const reason = expect.stringContaining("no tensors")
      expect(failureOf(asked)).toMatchObject({ kind: "down", reason, retryAfterMs: 10_000 })
    }
    expect(yield* stateOf(pool, "two")).toBe("broken")
    yield* pass(10_000)
    two.isBroken = false
    // Whoever leaves before he is answered proves nothing: the next one may try.
    yield* Effect.flatMap(ask(pool, "two", "cy"), ({ fiber }) => Fiber.interrupt(fiber))
    const probe = yield* ask(pool, "two", "dan")
    expect(failureOf(yield* ask(pool, "two", "eve"))).toMatchObject({ kind: "down" })
    yield* pass(loadMs)
    yield* two.finish()
    expect(isDone(probe)).toBe(true)
    yield* ask(pool, "two", "eve")
    yield* pass(loadMs)
    expect(two.answering).toBe(1)
  })
)

it.effect(
  "a crash loop opens the breaker, tells whoever waits, and unloads; the first one is loaded again by itself",
  () =>
    Effect.gen(function* () {
      const one = new Scripted("one", 40, Infinity)
      const pool = yield* opened([one])
      yield* pass(loadMs)
      const asked = yield* ask(pool, "one", "ann")
      yield* one.die()
      yield* one.die()
      expect([failureOf(asked), yield* stateOf(pool, "one")]).toEqual([undefined, "answering"])
      yield* one.die()
      expect(failureOf(asked)).toMatchObject({ kind: "down", retryAfterMs: 10_000 })
      expect([yield* stateOf(pool, "one"), one.engine]).toEqual(["breaker-open", undefined])
      expect(yield* pool.models[0].status).toMatchObject({ deaths: 3, isUsable: false })
      yield* pass(10_000)
      expect(yield* stateOf(pool, "one")).toBe("loading")
      yield* pass(loadMs)
      expect(yield* stateOf(pool, "one")).toBe("ready")
      // One more death, and the pause is twice as long.
      yield* one.die()
      expect(failureOf(yield* ask(pool, "one", "bob"))).toMatchObject({ kind: "down", retryAfterMs: 20_000 })
      yield* pass(20_000 + loadMs)
      const probe = yield* ask(pool, "one", "bob")
      yield* one.finish()
      expect(isDone(probe)).toBe(true)
      // All is forgotten: two deaths are two again.
      yield* Effect.andThen(one.die(), one.die())
      expect(yield* stateOf(pool, "one")).toBe("ready")
    })
)

it.effect("answers between deaths keep the breaker closed", () =>
  Effect.gen(function* () {
    const one = new Scripted("one", 40, Infinity)
    const pool = yield* opened([one])
    yield* pass(loadMs)
    for (let nth = 0; nth < 20; nth++) {
      yield* Effect.andThen(one.die(), one.die())
      const asked = yield* ask(pool, "one", `ann-${nth}`)
      yield* one.finish()
      expect(isDone(asked)).toBe(true)
    }
  })
)

it.effect("the first one that cannot be loaded fails the start, and everything ends with the scope", () =>
  Effect.gen(function* () {
    const one = new Scripted("one", 40, Infinity)
    one.isBroken = true
    const pool = yield* opened([one])
    yield* pass(loadMs)
    expect(yield* Effect.flip(pool.opened)).toMatchObject({ model: "one", reason: "no tensors" })
    const scope = yield* Scope.make()
    const two = new Scripted("two", 40, Infinity)
    const other = yield* opened([two]).pipe(Scope.provide(scope))
    yield* pass(loadMs)
    yield* other.opened
    expect(two.engine).toBeDefined()
    yield* Scope.close(scope, Exit.void)
    expect(two.engine).toBeUndefined()
  })
)
