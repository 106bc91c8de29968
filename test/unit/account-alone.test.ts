/** What is done to a conversation while it is nobody's. */
import { expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { makeAccount } from "../../src/actors/account.ts"
import type { Accept, Adapter } from "../../src/adapters/adapter.ts"
import { memoryJournal, Tables } from "../property/journal-memory.ts"
import { clerkBehaviour, clerkId } from "./clerk.ts"
import { limits as delivery } from "./post-office.ts"

const settle = Effect.repeat(TestClock.adjust(0), { times: 60 })
const limits = { inboxMax: 100, conversationInboxMax: 10, liveMax: 10, linesMax: 10, idleMs: 60_000 }

/** An office whose clerk is reached through its account, and what it has sent. */
const openOffice = Effect.gen(function* () {
  const listening = yield* Deferred.make<Accept>()
  const sent: Array<string> = []
  const adapter: Adapter = {
    channel: "test",
    account: "office",
    delivery: "idempotent",
    limits: { textMax: 1_000, textUnit: "code-points", sendMaxMs: 5_000 },
    capabilities: { edit: false, typing: false, attachments: false },
    listen: (accept) => Effect.andThen(Deferred.succeed(listening, accept), Effect.never),
    send: ({ text }) => Effect.sync(() => String(sent.push(text)))
  }
  const account = yield* makeAccount({
    adapter,
    journal: memoryJournal(new Tables()),
    behaviourOf: () => clerkBehaviour(),
    limits,
    delivery,
    pending: () => 0
  })
  account.delivery.sweepBegins()
  account.delivery.sweepEnds()
  yield* Effect.forkScoped(account.run)
  const accept = yield* Deferred.await(listening)
  let keys = 0
  const write = (text: string, thread = "clerk") =>
    Effect.exit(
      accept({ channel: "test", account: "office", thread, eventKey: `${++keys}`, user: { id: "ada" }, text })
    )
  return { account, sent, write }
})

it.effect("nobody has it meanwhile: no actor, no event is accepted, nothing is sent; the others go on", () =>
  Effect.gen(function* () {
    const { account, sent, write } = yield* openOffice
    yield* write("one")
    yield* settle
    const gate = yield* Deferred.make<void>()
    const seen = Effect.sync(() => account.conversations.isLive(clerkId))
    const work = Effect.andThen(seen, (isLive) => Effect.as(Deferred.await(gate), isLive))
    const fiber = yield* Effect.forkChild(account.alone(clerkId, work))
    yield* settle
    expect((yield* write("two"))._tag).toBe("Failure")
    expect((yield* write("else", "other"))._tag).toBe("Success")
    yield* settle
    expect(sent).toEqual(["kept one", "kept else"])
    yield* Deferred.succeed(gate, undefined)
    expect(yield* Fiber.join(fiber)).toBe(false)
    expect([account.conversations.isHeld(clerkId), account.conversations.isLive(clerkId)]).toEqual([false, false])
    expect((yield* write("three"))._tag).toBe("Success")
    yield* settle
    expect(sent).toEqual(["kept one", "kept else", "kept three"])
  })
)

it.effect("it is woken if the work fails, and interrupting waits for the end of the work", () =>
  Effect.gen(function* () {
    const { account, write } = yield* openOffice
    yield* write("one")
    yield* settle
    yield* Effect.flip(account.alone(clerkId, Effect.fail("no")))
    yield* settle
    expect(account.conversations.isLive(clerkId)).toBe(true)

    const gate = yield* Deferred.make<void>()
    let isDone = false
    const work = Effect.andThen(
      Deferred.await(gate),
      Effect.sync(() => {
        isDone = true
      })
    )
    const fiber = yield* Effect.forkChild(account.alone(clerkId, work))
    yield* settle
    fiber.interruptUnsafe()
    yield* settle
    expect([fiber.pollUnsafe(), account.conversations.isHeld(clerkId)]).toEqual([undefined, true])
    yield* Deferred.succeed(gate, undefined)
    yield* settle
    expect([isDone, account.conversations.isHeld(clerkId)]).toEqual([true, false])
  })
)
