/** Events that come in bursts, an actor that dies, a journal that is slow: whatever the order of it all, E5 holds. */
import { Effect, Fiber, Logger } from "effect"
import { TestClock } from "effect/testing"
import fc from "fast-check"
import { expect, test } from "vitest"
import type { Actor } from "../../src/actors/actor.ts"
import type { Journal } from "../../src/store/journal.ts"
import { type Clerk, Office } from "../unit/clerk.ts"

const text = fc.oneof(
  { weight: 6, arbitrary: fc.constant("a note") },
  { weight: 1, arbitrary: fc.constantFrom("weather", "fire", "torn", "lost", "blot") }
)
const step = fc.oneof(
  {
    weight: 6,
    // `unheard` ones were accepted by a server that died, or could not be told of it: others wake the actor for them.
    arbitrary: fc.record({
      type: fc.constantFrom("offered" as const, "offered" as const, "unheard" as const),
      texts: fc.array(text, { maxLength: 9, size: "max" })
    })
  },
  { weight: 1, arbitrary: fc.constant({ type: "wake" as const }) },
  { weight: 2, arbitrary: fc.constant({ type: "report" as const }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("death" as const), deadTicks: fc.nat({ max: 5 }) }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("slowness" as const), ticks: fc.nat({ max: 6 }) }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constant("pause" as const), ticks: fc.nat({ max: 60 }) }) }
)
const story = fc.record({
  mailboxMax: fc.integer({ min: 1, max: 5 }),
  steps: fc.array(step, { maxLength: 30, size: "max" })
})
type Story = typeof story extends fc.Arbitrary<infer S> ? S : never

const after = (ticks: number) => Effect.repeat(Effect.yieldNow, { times: ticks })
/** Its dead events are meant. */
const quiet = Logger.layer([])
const ticksMax = 20_000

interface Life {
  readonly office: Office
  readonly brought: ReadonlyArray<string>
  readonly refusedOffers: number
  /** How many events each actor that died left to its successor. */
  readonly left: ReadonlyArray<number>
}

const live = ({ mailboxMax, steps }: Story): Promise<Life> =>
  Effect.gen(function* () {
    let slowness = 0
    const slowly = <A, E>(effect: Effect.Effect<A, E>) =>
      // A commit that has begun is carried out, whatever becomes of who asked for it.
      Effect.uninterruptible(
        Effect.suspend(() => after(slowness).pipe(Effect.andThen(effect), Effect.tap(after(slowness))))
      )
    const office = new Office({ mailboxMax }, (journal): Journal["Service"] => ({
      ...journal,
      load: (conversation, pendingMax) => slowly(journal.load(conversation, pendingMax)),
      commit: (entry) => slowly(journal.commit(entry))
    }))
    const brought: Array<string> = []
    let refusedOffers = 0
    const left: Array<number> = []
    let actor!: Actor<Clerk>
    let fiber!: Fiber.Fiber<never, unknown>
    const start = Effect.gen(function* () {
      actor = office.actor()
      fiber = yield* Effect.forkScoped(actor.run, { startImmediately: true })
    })
    yield* start
    for (const step of steps) {
      if (step.type === "slowness") slowness = step.ticks
      else if (step.type === "pause") yield* after(step.ticks)
      else if (step.type === "wake") actor.wake()
      else if (step.type === "report") yield* Effect.forkScoped(actor.report({ type: "rumour.heard" }))
      else if (step.type === "death") {
        yield* Fiber.interrupt(fiber)
        left.push(brought.length - office.handled.length)
        yield* after(step.deadTicks)
        yield* start
      } else {
        const pending = step.texts.map((text) => office.bring(text))
        brought.push(...step.texts)
        if (step.type === "unheard") actor.wake()
        else for (const one of pending) if (!actor.offer(one)) refusedOffers++
      }
    }
    for (let ticks = 0; ticks < ticksMax && !actor.rest(Infinity); ticks++) yield* Effect.yieldNow
    expect(fiber.pollUnsafe()).toBeUndefined()
    return { office, brought, refusedOffers, left }
  }).pipe(Effect.scoped, Effect.provide(quiet), Effect.provide(TestClock.layer()), Effect.runPromise)

const e5 = "E5: inbound events are handled once, in the order of their positions, whether they were offered or read"
test(e5, () =>
  fc.assert(
    fc.asyncProperty(story, async (story) => {
      const { brought, office } = await live(story)
      const { entries, inbound, messages } = office.tables
      expect(office.handled).toEqual(brought.map((_, index) => index + 1))
      expect(entries.filter(({ event }) => event.type !== "actor.resumed")).toHaveLength(brought.length)
      expect(messages.map(({ position }) => brought[position! - 1])).toEqual(
        brought.filter((text) => text === "a note")
      )
      const fates = { "a note": "answered", weather: "ignored" } as Record<string, string>
      expect(inbound.map(({ fate }) => fate)).toEqual(brought.map((text) => fates[text] ?? "dead"))
    }),
    { numRuns: 200 }
  )
)

test("the stories above fill the mailbox, kill the actor with events in it, and leave many for its successor", async () => {
  const lives: Array<Life> = []
  for (const sample of fc.sample(story, { numRuns: 60, seed: 1 })) lives.push(await live(sample))
  expect(lives.filter(({ refusedOffers }) => refusedOffers > 10).length).toBeGreaterThan(10)
  expect(lives.filter(({ left }) => left.some((events) => events > 5)).length).toBeGreaterThan(10)
  expect(lives.filter(({ left }) => left.length > 2).length).toBeGreaterThan(10)
})
