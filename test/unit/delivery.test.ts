/** The laws of delivery, with a platform that does as it is told, on virtual time. */
import { expect, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { TestClock } from "effect/testing"
import { Ambiguous, NotSent, Rejected, Throttled } from "../../src/adapters/adapter.ts"
import { type Journal, Unavailable } from "../../src/store/journal.ts"
import { conversationOf, limits, PostOffice, sendMaxMs } from "./post-office.ts"

const settle = Effect.repeat(TestClock.adjust(0), { times: 100 })
const notSent = Effect.fail(new NotSent({ reason: "no route" }))
const ambiguous = Effect.fail(new Ambiguous({ reason: "cut" }))
const rejected = Effect.fail(new Rejected({ status: 410, reason: "gone" }))
const throttled = (retryAfterMs: number) => Effect.fail(new Throttled({ retryAfterMs }))
const upTo = (last: number) => Array.from({ length: last }, (_, index) => `${index + 1}`)

const o1 = "O1: a message is sent after all earlier ones of its conversation were delivered or given up"

it.effect(`${o1}: while the first one fails`, () =>
  Effect.gen(function* () {
    const post = new PostOffice()
    const delivery = yield* post.open()
    post.meet("1", notSent, ambiguous)
    delivery.deliver(yield* post.owe("a", "1"))
    yield* settle
    delivery.deliver(yield* post.owe("a", "2", "3"))
    delivery.deliver(yield* post.owe("b", "other"))
    yield* settle
    expect(post.texts).toEqual(["1", "other"])
    yield* TestClock.adjust("1 minute")
    expect(post.texts).toEqual(["1", "other", "1", "1", "2", "3"])
    expect(post.states).toEqual([
      "1: not-sent, ambiguous, delivered; delivered",
      ...["2: delivered; delivered", "3: delivered; delivered", "other: delivered; delivered"]
    ])
    expect(new Set(post.sends.filter(({ text }) => text === "1").map(({ key }) => key)).size).toBe(1)
    expect(delivery.stats().conversations).toBe(0)
    expect(Object.fromEntries(delivery.stats().results)).toEqual({ "not-sent": 1, ambiguous: 1, delivered: 4 })
  })
)

it.effect(`${o1}: when the first one is given up`, () =>
  Effect.gen(function* () {
    const post = new PostOffice()
    const delivery = yield* post.open()
    post.meet("1", rejected)
    post.meet("2", ...Array(limits.attemptsMax).fill(notSent))
    delivery.deliver(yield* post.owe("a", "1", "2", "3"))
    yield* TestClock.adjust("1 minute")
    expect(post.texts).toEqual(["1", "2", "2", "2", "2", "3"])
    expect(post.states).toEqual([
      "1: rejected; dead",
      "2: not-sent, not-sent, not-sent, not-sent; dead",
      "3: delivered; delivered"
    ])
    expect(post.tables.letters.map(({ kind, reason }) => [kind, reason])).toEqual([
      ["outbound", "410: gone"],
      ["outbound", "no route"]
    ])
  })
)

it.effect(`${o1}: more than are held, and some that nobody told of`, () =>
  Effect.gen(function* () {
    const post = new PostOffice()
    yield* post.owe("a", ...upTo(3))
    const delivery = yield* post.open(false)
    delivery.deliver(yield* post.owe("a", ...upTo(60).slice(3)))
    yield* settle
    expect(post.texts).toEqual(upTo(60))
    yield* post.owe("a", "61")
    delivery.wake(conversationOf("a"))
    delivery.deliver(yield* post.owe("a", "62"))
    yield* settle
    expect(post.texts).toEqual(upTo(62))
  })
)

const o2 = "O2: before each send its attempt is durable, after it what came of it"

it.effect(o2, () =>
  Effect.gen(function* () {
    const post = new PostOffice()
    const delivery = yield* post.open()
    post.meet("1", notSent, throttled(0), ambiguous)
    const [owed] = yield* post.owe("a", "1")
    delivery.deliver([owed!])
    yield* TestClock.adjust("1 minute")
    expect(post.sends.map(({ recorded }) => recorded)).toEqual([1, 2, 3, 4])
    expect(post.resultsOf(owed!.key)).toEqual(["not-sent", "throttled", "ambiguous", "delivered"])
  })
)

it.effect.each(["begin", "end"] as const)(`${o2}: while the journal is away (%s)`, (method) =>
  Effect.gen(function* () {
    let isAway = true
    const away = Effect.fail(new Unavailable({ reason: "away" }))
    const disturb = (journal: Journal["Service"]): Journal["Service"] => ({
      ...journal,
      [method]: (row: never) => Effect.suspend(() => (isAway ? away : journal[method](row)))
    })
    const post = new PostOffice({ disturb })
    const delivery = yield* post.open()
    delivery.deliver(yield* post.owe("a", "1", "2"))
    yield* TestClock.adjust("1 hour")
    expect(post.texts).toEqual(method === "begin" ? [] : ["1"])
    isAway = false
    yield* TestClock.adjust("1 second")
    expect([post.texts, post.states]).toEqual([
      ["1", "2"],
      ["1: delivered; delivered", "2: delivered; delivered"]
    ])
  })
)

it.effect("what the platform says is kept as far as it can be stored", () =>
  Effect.gen(function* () {
    const post = new PostOffice()
    const delivery = yield* post.open()
    post.meet("1", Effect.fail(new Rejected({ status: 400, reason: `\0${"x".repeat(9_999)}` })))
    post.meet("2", Effect.succeed("\ud83d"))
    delivery.deliver(yield* post.owe("a", "1", "2"))
    yield* TestClock.adjust("1 minute")
    expect([post.texts, post.tables.letters[0]?.reason.length]).toEqual([["1", "2"], 500])
  })
)

it.effect("the waits grow with each attempt up to `delayMaxMs`, and are as long as the platform asks", () =>
  Effect.gen(function* () {
    const own = { ...limits, attemptsMax: 9 }
    const post = new PostOffice({ limits: own })
    const delivery = yield* post.open()
    post.meet("1", notSent, notSent, notSent, notSent, notSent, throttled(7_000), throttled(1))
    delivery.deliver(yield* post.owe("a", "1"))
    yield* TestClock.adjust("1 minute")
    const waits = post.sends.slice(1).map(({ atMs }, index) => atMs - post.sends[index]!.atMs)
    for (const [index, ceilingMs] of [200, 400, 800, 1_000, 1_000].entries()) {
      expect(waits[index]).toBeGreaterThanOrEqual(ceilingMs / 2)
      expect(waits[index]).toBeLessThanOrEqual(ceilingMs)
    }
    expect(waits[5]).toBe(7_000)
    expect(waits[6]).toBeGreaterThanOrEqual(500)
  })
)

it.effect("a send that does not end is ended, and may have arrived", () =>
  Effect.gen(function* () {
    const post = new PostOffice()
    const delivery = yield* post.open()
    post.meet("1", Effect.never, Effect.die("bug"))
    delivery.deliver(yield* post.owe("a", "1"))
    yield* TestClock.adjust(sendMaxMs)
    expect(post.texts).toEqual(["1"])
    yield* TestClock.adjust("1 minute")
    expect(post.states).toEqual(["1: ambiguous, ambiguous, delivered; delivered"])
  })
)

it.effect("what fails past its age is given up", () =>
  Effect.gen(function* () {
    const post = new PostOffice({ limits: { ...limits, attemptsMax: 99, ageMaxMs: 3_000 } })
    const delivery = yield* post.open()
    post.meet("1", ...Array(99).fill(notSent))
    delivery.deliver(yield* post.owe("a", "1"))
    yield* TestClock.adjust("1 minute")
    const { atMs } = post.sends.at(-1)!
    expect([post.states[0]?.endsWith("dead"), atMs > 3_000, atMs < 4_000]).toEqual([true, true, true])
  })
)

const o3 = "O3: whatever dies on the way is read again from the journal"

/** Sends that begin and never end, until their delivery does. */
const cutShort = Effect.fnUntraced(function* (post: PostOffice, thread: string, ...texts: ReadonlyArray<string>) {
  const scope = yield* Scope.make()
  const delivery = yield* Scope.provide(post.open(), scope)
  post.meet("1", Effect.never)
  delivery.deliver(yield* post.owe(thread, ...texts))
  yield* settle
  yield* Scope.close(scope, Exit.void)
})

it.effect(`${o3}: a send that was cut short is ambiguous, and is sent again under the same key`, () =>
  Effect.gen(function* () {
    const post = new PostOffice()
    yield* cutShort(post, "a", "1", "2")
    expect(post.states).toEqual(["1: ; due", "2: ; due"])
    const delivery = yield* post.open(false)
    delivery.wake(conversationOf("a"))
    yield* TestClock.adjust("1 minute")
    expect(post.states).toEqual(["1: ambiguous, delivered; delivered", "2: delivered; delivered"])
    expect([post.texts, post.sends[0]?.key === post.sends[1]?.key]).toEqual([["1", "1", "2"], true])
  })
)

it.effect.each([
  ["it arrived", Effect.succeed("receipt"), ["1", "2"], "1: delivered; delivered"],
  ["it did not", Effect.undefined, ["1", "1", "2"], "1: not-sent, delivered; delivered"]
] as const)(`${o3}: a readable platform is asked first (%s)`, ([, found, texts, state]) =>
  Effect.gen(function* () {
    const post = new PostOffice({ isReadable: true })
    yield* cutShort(post, "a", "1", "2")
    post.show(notSent, Effect.never, Effect.die("bug"), found)
    const delivery = yield* post.open(false)
    delivery.wake(conversationOf("a"))
    yield* TestClock.adjust("1 minute")
    expect([post.finds, post.texts, post.states[0]]).toEqual([["1", "1", "1", "1"], texts, state])
  })
)

it.effect(`${o3}: a readable platform that never answers is given up with the message's age`, () =>
  Effect.gen(function* () {
    const post = new PostOffice({ isReadable: true, limits: { ...limits, ageMaxMs: 60_000 } })
    yield* cutShort(post, "a", "1", "2")
    post.show(...Array(50).fill(Effect.never))
    const delivery = yield* post.open(false)
    delivery.wake(conversationOf("a"))
    yield* TestClock.adjust("10 minutes")
    expect([post.texts, post.states]).toEqual([
      ["1", "2"],
      ["1: ambiguous; dead", "2: delivered; delivered"]
    ])
  })
)
