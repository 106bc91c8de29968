/** What can be seen of a conversation while it happens, and how it waits for whoever is still writing. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { typingMs } from "../../src/machines/conversation.ts"
import { Chat, options, settle } from "./chat.ts"

it.effect("whoever looks sees the record grow, and the answer as it is made, attempt by attempt", () =>
  Effect.gen(function* () {
    const chat = new Chat({ settleMs: 0 })
    yield* chat.start
    const answering = yield* chat.ask("one")
    yield* answering.say("a", "b")
    yield* answering.restart()
    yield* answering.say("whole")
    yield* answering.finish()
    const turn = 1
    expect(chat.shown).toEqual([
      { type: "recorded", seq: 1, turn, attempt: 1, value: "awaiting-model" },
      { type: "text", turn, attempt: 1, at: 0, text: "a" },
      { type: "text", turn, attempt: 1, at: 1, text: "b" },
      { type: "recorded", seq: 1, turn, attempt: 2, value: "awaiting-model" },
      { type: "text", turn, attempt: 2, at: 0, text: "whole" },
      { type: "recorded", seq: 2, turn, attempt: 2, value: "done" }
    ])
  })
)

it.effect("a person who goes on writing is waited for", () =>
  Effect.gen(function* () {
    const chat = new Chat()
    yield* chat.start
    yield* chat.write("one")
    for (let count = 0; count < 4; count++) {
      yield* TestClock.adjust(options.settleMs - 1)
      yield* chat.type
    }
    yield* TestClock.adjust(typingMs - 1)
    yield* settle
    expect(chat.answerings).toHaveLength(0)
    yield* TestClock.adjust(1)
    yield* settle
    expect(chat.answerings).toHaveLength(1)
  })
)
