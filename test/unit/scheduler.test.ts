/** Slots, places and readers of the scheduler, while its engine lives. */
import { expect } from "@effect/vitest"
import { Effect, Fiber, Queue, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { Signal } from "../../src/inference/scheduler.ts"
import { scriptedEngine } from "../property/scripted-engine.ts"
import { errorOf, requestOf, scenario } from "./scheduler-bench.ts"

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
    expect(yield* scheduler.stats).toMatchObject({ running: 1, waiting: 2, refused: { count: 1 } })
  })
)

scenario("users take turns, and each knows its place", { queueMax: 9 }, ({ ask, finish, running, scheduler }) =>
  Effect.gen(function* () {
    for (const id of ["ann-1", "ann-2", "ann-3", "bob-1", "bob-2"]) yield* ask(id)
    const waiting = ["ann-2", "bob-1", "ann-3", "bob-2"]
    for (const [place, id] of waiting.entries()) expect((yield* scheduler.waitOf(id))?.ahead).toBe(place)
    expect(yield* scheduler.waitOf("ann-1")).toBe(undefined)
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
    expect(yield* scheduler.waitOf("cy")).toEqual({ ahead: 0, waitMs: expect.any(Number) })
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

const resized = Queue.unbounded<number>().pipe(Effect.runSync)
const resizing = { ...scriptedEngine(3), slots: Stream.fromQueue(resized) }
scenario(
  "an engine that takes more is given more at once, and one that takes fewer stops nobody",
  { engine: resizing },
  (bench) =>
    Effect.gen(function* () {
      const { ask, finish, running, scheduler } = bench
      const resize = (slots: number) => Effect.andThen(Queue.offer(resized, slots), TestClock.adjust(0))
      yield* resize(1)
      for (const id of ["ann", "bob", "cy", "dan"]) yield* ask(id)
      expect(running()).toEqual(["ann"])
      yield* resize(7)
      expect(running()).toEqual(["ann", "bob", "cy"])
      yield* resize(0)
      expect(yield* scheduler.stats).toMatchObject({ slots: 1, slotsMax: 3, running: 3, waiting: 1 })
      yield* finish("ann")
      yield* finish("bob")
      expect(running()).toEqual(["cy"])
      yield* finish("cy")
      expect(running()).toEqual(["dan"])
    })
)
