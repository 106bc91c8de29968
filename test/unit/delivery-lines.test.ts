/** Delivery to many conversations: how many at once, who else delivers, and how it ends. */
import { expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { NotSent, Throttled } from "../../src/adapters/adapter.ts"
import { conversationOf, PostOffice } from "./post-office.ts"

const settle = Effect.repeat(TestClock.adjust(0), { times: 100 })
const notSent = Effect.fail(new NotSent({ reason: "no route" }))

it.effect("a drain lets the send that has begun end, and begins none", () =>
  Effect.gen(function* () {
    const post = new PostOffice()
    const delivery = yield* post.open()
    const answer = yield* Deferred.make<string>()
    post.meet("1", Deferred.await(answer))
    post.meet("b1", notSent)
    delivery.deliver(yield* post.owe("a", "1", "2"))
    delivery.deliver(yield* post.owe("b", "b1", "b2"))
    yield* settle
    const draining = yield* Effect.forkChild(delivery.drain, { startImmediately: true })
    delivery.deliver(yield* post.owe("c", "c1"))
    yield* TestClock.adjust("1 second")
    expect(draining.pollUnsafe()).toBeUndefined()
    yield* Deferred.succeed(answer, "receipt")
    yield* Fiber.join(draining)
    yield* TestClock.adjust("1 hour")
    expect(post.states).toEqual(["1: delivered; delivered", "2: ; due", "b1: not-sent; due", "b2: ; due", "c1: ; due"])
    expect(post.texts).toEqual(["1", "b1"])
  })
)

it.effect("a drain does not wait for who waits", () =>
  Effect.gen(function* () {
    const post = new PostOffice()
    const delivery = yield* post.open()
    post.meet("1", Effect.fail(new Throttled({ retryAfterMs: 3_600_000 })))
    delivery.deliver(yield* post.owe("a", "1"))
    delivery.deliver(yield* post.owe("b", "b1"))
    yield* settle
    yield* delivery.drain
    expect(post.states).toEqual(["1: throttled; due", "b1: delivered; delivered"])
  })
)

it.effect("a drain lets a look-up that has begun end, and sends nothing after it", () =>
  Effect.gen(function* () {
    const post = new PostOffice({ isReadable: true })
    const [owed] = yield* post.owe("a", "1")
    yield* Effect.orDie(post.journal.begin({ conversation: owed!.conversation, key: owed!.key, n: 1, atMs: 0 }))
    const answer = yield* Deferred.make<undefined>()
    post.show(Deferred.await(answer))
    const delivery = yield* post.open(false)
    delivery.wake(conversationOf("a"))
    yield* settle
    const draining = yield* Effect.forkChild(delivery.drain, { startImmediately: true })
    yield* Deferred.succeed(answer, undefined)
    yield* Fiber.join(draining)
    expect([post.finds, post.texts, post.states]).toEqual([["1"], [], ["1: not-sent; due"]])
  })
)

it.effect("beyond `linesMax` conversations wait for a sweep, and then for what is older", () =>
  Effect.gen(function* () {
    const post = new PostOffice({ linesMax: 1 })
    const delivery = yield* post.open()
    const answer = yield* Deferred.make<string>()
    post.meet("1", Deferred.await(answer))
    delivery.deliver(yield* post.owe("a", "1"))
    delivery.deliver(yield* post.owe("b", "b1"))
    yield* settle
    expect([post.texts, delivery.stats().conversations]).toEqual([["1"], 1])
    yield* Deferred.succeed(answer, "receipt")
    yield* settle
    delivery.deliver(yield* post.owe("b", "b2"))
    yield* settle
    expect(post.texts).toEqual(["1", "b1", "b2"])
  })
)

it.effect("who was passed over in a sweep is read when it comes again, until a sweep passes over nobody", () =>
  Effect.gen(function* () {
    const post = new PostOffice({ linesMax: 1 })
    const delivery = yield* post.open(false)
    for (const thread of ["a", "b"]) yield* post.owe(thread, `${thread}1`)
    delivery.sweepBegins()
    for (const thread of ["a", "b"]) delivery.wake(conversationOf(thread))
    delivery.sweepEnds()
    yield* settle
    expect(post.texts).toEqual(["a1"])
    delivery.deliver(yield* post.owe("b", "b2"))
    yield* settle
    expect(post.texts).toEqual(["a1", "b1", "b2"])
  })
)

it.effect(
  "an attempt that another owner has begun may have arrived: it is read, and sent again under the same key",
  () =>
    Effect.gen(function* () {
      const post = new PostOffice()
      const delivery = yield* post.open()
      const [owed] = yield* post.owe("a", "1")
      const { conversation, key } = owed!
      yield* Effect.orDie(post.journal.begin({ conversation, key, n: 1, atMs: 0 }))
      delivery.deliver([owed!])
      yield* settle
      expect(post.texts).toEqual([])
      yield* TestClock.adjust("1 minute")
      expect([post.states, post.texts]).toEqual([["1: ambiguous, delivered; delivered"], ["1"]])
    })
)

it.effect("a send whose adapter ends itself is read again", () =>
  Effect.gen(function* () {
    const post = new PostOffice()
    const delivery = yield* post.open()
    post.meet("1", Effect.interrupt)
    delivery.deliver(yield* post.owe("a", "1", "2"))
    yield* TestClock.adjust("1 minute")
    expect(post.states).toEqual(["1: ambiguous, delivered; delivered", "2: delivered; delivered"])
  })
)

it.effect("nothing of a conversation that is held is sent, and the others go on", () =>
  Effect.gen(function* () {
    const post = new PostOffice()
    const delivery = yield* post.open()
    post.meet("1", Effect.never)
    delivery.deliver(yield* post.owe("a", "1", "2"))
    yield* settle
    const scope = yield* Scope.make()
    yield* Scope.provide(delivery.hold(conversationOf("a")), scope)
    delivery.wake(conversationOf("a"))
    delivery.deliver(yield* post.owe("a", "3"))
    delivery.deliver(yield* post.owe("b", "b1"))
    yield* TestClock.adjust("1 hour")
    expect([post.texts, delivery.stats().conversations]).toEqual([["1", "b1"], 0])
    yield* Scope.close(scope, Exit.void)
    delivery.wake(conversationOf("a"))
    yield* settle
    yield* TestClock.adjust("1 minute")
    expect(post.texts).toEqual(["1", "b1", "1", "2", "3"])
  })
)
