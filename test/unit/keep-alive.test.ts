import { expect, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { DatabaseTrouble } from "../../src/store/database-trouble.ts"
import { type Embedded, keepAlive } from "../../src/store/embedded.ts"

/** A server that dies `livedMs` after each start; `restarts` says when it was started again. */
const makeFake = Effect.gen(function* () {
  const restarts: Array<number> = []
  const script: { livedMs: number; isBroken: boolean } = { livedMs: 0, isBroken: false }
  let died = Deferred.makeUnsafe<void>()
  yield* Deferred.succeed(died, undefined)
  const embedded: Embedded = {
    url: "postgres://nowhere/",
    adopted: false,
    pid: Effect.succeed(undefined),
    died: Effect.suspend(() => Deferred.await(died)),
    restart: Effect.gen(function* () {
      restarts.push(yield* Clock.currentTimeMillis)
      if (script.isBroken) return yield* new DatabaseTrouble({ reason: "broken" })
      died = Deferred.makeUnsafe()
      yield* Effect.forkDetach(Effect.andThen(Effect.sleep(script.livedMs), Deferred.succeed(died, undefined)))
    })
  }
  return { embedded, restarts, script }
})

const delays = (times: ReadonlyArray<number>) => times.slice(1).map((time, index) => time - times[index]!)

it.effect("a server that dies is started again at once, one that goes on dying ever later, and for ever", () =>
  Effect.gen(function* () {
    const { embedded, restarts } = yield* makeFake
    const fiber = yield* Effect.forkChild(keepAlive(embedded))
    yield* TestClock.adjust("10 minutes")
    expect(restarts[0]).toBe(0)
    expect(delays(restarts).slice(0, 8)).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000])
    expect(restarts.length).toBeGreaterThan(60)
    yield* Fiber.interrupt(fiber)
  })
)

it.effect("a start that fails is tried again, no sooner than one that did not last", () =>
  Effect.gen(function* () {
    const { embedded, restarts, script } = yield* makeFake
    script.isBroken = true
    const fiber = yield* Effect.forkChild(keepAlive(embedded))
    yield* TestClock.adjust("1 second")
    expect(restarts).toEqual([0, 250, 750])
    yield* Fiber.interrupt(fiber)
  })
)

it.effect("a server that lived for more than a minute has its first restart at once", () =>
  Effect.gen(function* () {
    const { embedded, restarts, script } = yield* makeFake
    script.livedMs = 60_001
    const fiber = yield* Effect.forkChild(keepAlive(embedded))
    yield* TestClock.adjust(4 * 60_001)
    expect(delays(restarts).slice(0, 3)).toEqual([60_001, 60_001, 60_001])
    yield* Fiber.interrupt(fiber)
  })
)
