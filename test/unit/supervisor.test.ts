/** The laws of the supervisor, for children that write their lives into a log and take a while to close. */
import { expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { type Child, supervise } from "../../src/actors/supervisor.ts"

const intensity = { restartsMax: 2, withinMs: 60_000, delayMinMs: 100, delayMaxMs: 1_000 }

const child = (name: string, log: Array<string>, run: Effect.Effect<void, unknown>): Child<never> => ({
  name,
  intensity,
  run: Effect.acquireRelease(
    Effect.sync(() => log.push(`${name} opens`)),
    () =>
      Effect.delay(
        Effect.sync(() => log.push(`${name} closed`)),
        "1 second"
      )
  ).pipe(Effect.andThen(run))
})

it.effect("V1: the scope of a child is closed, finalizers and all, before the next one opens", () =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const dies = Effect.andThen(Effect.sleep("1 second"), Effect.die("bug"))
    const fiber = yield* Effect.forkChild(Effect.flip(supervise([child("a", log, dies)])))
    yield* TestClock.adjust("1 minute")
    expect((yield* Fiber.join(fiber)).child).toBe("a")
    expect(log).toEqual(Array(3).fill(["a opens", "a closed"]).flat())
  })
)

it.effect("V1: … also when the supervisor is ended", () =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const children = [child("a", log, Effect.never), child("b", log, Effect.never)]
    const fiber = yield* Effect.forkChild(supervise(children), { startImmediately: true })
    const ending = yield* Effect.forkChild(Fiber.interrupt(fiber))
    yield* TestClock.adjust("999 millis")
    expect([log, fiber.pollUnsafe()]).toEqual([["a opens", "b opens"], undefined])
    yield* TestClock.adjust("1 millis")
    yield* Fiber.join(ending)
    expect(log.toSorted()).toEqual(["a closed", "a opens", "b closed", "b opens"])
  })
)

it.effect("V2: a child that returns is not restarted", () =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const fiber = yield* Effect.forkChild(supervise([child("a", log, Effect.void)]))
    yield* TestClock.adjust("1 minute")
    yield* Fiber.join(fiber)
    expect(log).toEqual(["a opens", "a closed"])
  })
)

it.effect("V3: a child past its intensity ends its supervisor, which closes all other children first", () =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const children = [child("a", log, Effect.never), child("b", log, Effect.fail("down"))]
    const fiber = yield* Effect.forkChild(Effect.flip(supervise(children)))
    yield* TestClock.adjust("1 minute")
    const { cause, child: name } = yield* Fiber.join(fiber)
    expect([name, String(cause)]).toEqual(["b", expect.stringContaining("down")])
    expect(log.filter((line) => line.startsWith("a"))).toEqual(["a opens", "a closed"])
  })
)

it.effect("one-for-one: a child that dies leaves the others alone", () =>
  Effect.gen(function* () {
    const log: Array<string> = []
    let deaths = 0
    const dies = Effect.suspend(() => (++deaths < 3 ? Effect.fail("down") : Effect.never))
    const fiber = yield* Effect.forkChild(supervise([child("a", log, Effect.never), child("b", log, dies)]))
    yield* TestClock.adjust("1 minute")
    expect(log.filter((line) => line.startsWith("a"))).toEqual(["a opens"])
    expect(log.filter((line) => line === "b opens")).toHaveLength(3)
    yield* Effect.forkChild(Fiber.interrupt(fiber))
    yield* TestClock.adjust("1 second")
    yield* Fiber.await(fiber)
  })
)

it.effect("a child that dies now and then is restarted for ever", () =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const dies = Effect.delay(Effect.fail("down"), "10 minutes")
    const fiber = yield* Effect.forkChild(supervise([child("a", log, dies)]))
    yield* TestClock.adjust("10 hours")
    expect(fiber.pollUnsafe()).toBeUndefined()
    expect(log.length).toBeGreaterThan(50)
    yield* Effect.forkChild(Fiber.interrupt(fiber))
    yield* TestClock.adjust("1 second")
    yield* Fiber.await(fiber)
  })
)
