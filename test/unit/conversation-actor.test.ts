/** A conversation over its machine, its journal in memory and a scripted scheduler, on virtual time. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { Unavailable } from "../../src/store/journal.ts"
import { Chat, options, settle } from "./chat.ts"

it.effect("several messages become one turn, and its answer one reply that names them all", () =>
  Effect.gen(function* () {
    const chat = new Chat()
    yield* chat.start
    yield* chat.write("hello")
    yield* TestClock.adjust(options.settleMs - 1)
    yield* chat.write("there")
    yield* TestClock.adjust(options.settleMs - 1)
    expect(chat.answerings).toEqual([])
    yield* TestClock.adjust(1)
    yield* settle
    const [answering] = chat.answerings
    expect(answering?.prompt).toEqual(["system: Be kind.", "user: hello\nthere"])
    const { answerTokensMax, firstAttempt, id, temperature, user } = answering!.request
    expect([id, user, firstAttempt, answerTokensMax, temperature]).toEqual([
      "test/chat/ada/1",
      "test/chat/ada",
      1,
      100,
      0.5
    ])
    yield* answering!.say("Good ", "day! ")
    expect(chat.told).toEqual([])
    yield* answering!.finish()
    expect([chat.told, chat.fates]).toEqual([["1 answered [1,2] Good day!"], ["answered", "answered"]])
    expect(chat.rows).toEqual(["1 user: hello", "1 user: there", "1 assistant: Good day!"])
    // Two messages, the timer and the end of the turn: tokens are no entries.
    expect(chat.tables.entries).toHaveLength(4)
  })
)

it.effect("where nothing is to be settled, each message is asked about at once", () =>
  Effect.gen(function* () {
    const chat = new Chat({ settleMs: 0 })
    yield* chat.start
    yield* chat.write("hello")
    yield* (yield* chat.ask("again")).finish()
    expect(chat.answerings.map(({ prompt }) => prompt.at(-1))).toEqual(["user: hello", "user: hello\nagain"])
  })
)

it.effect("collect: what is written while it answers is the next turn, after that answer", () =>
  Effect.gen(function* () {
    const chat = new Chat()
    yield* chat.start
    const first = yield* chat.ask("one")
    yield* first.say("1")
    yield* chat.write("two", "three")
    expect(first.isOver).toBe(false)
    yield* first.finish()
    yield* TestClock.adjust(options.settleMs)
    yield* settle
    const second = chat.answerings.at(-1)!
    expect(second.prompt.slice(1)).toEqual(["user: one", "assistant: 1", "user: two\nthree"])
    yield* second.say("2")
    yield* second.finish()
    expect(chat.told).toEqual(["1 answered [1] 1", "2 answered [2,3] 2"])
  })
)

it.effect("interrupt: what is written while it answers ends that answer, and both are asked about", () =>
  Effect.gen(function* () {
    const chat = new Chat({ policy: "interrupt" })
    yield* chat.start
    const first = yield* chat.ask("one")
    yield* first.say("lost")
    const second = yield* chat.ask("two")
    expect([first.isOver, second === first]).toEqual([true, false])
    expect(second.prompt.slice(1)).toEqual(["user: one\ntwo"])
    yield* first.say("too late")
    yield* second.say("both")
    yield* second.finish()
    expect([chat.told, chat.state]).toEqual([["2 answered [1,2] both"], "done"])
  })
)

it.effect("a stop ends the answer with what there is of it, and what was written since is superseded", () =>
  Effect.gen(function* () {
    const chat = new Chat()
    yield* chat.start
    const answering = yield* chat.ask("one")
    yield* answering.say("half of ")
    yield* chat.write("two", " /STOP ")
    expect([answering.isOver, chat.told]).toEqual([true, ["1 stopped [1,2] half of"]])
    expect([chat.fates, chat.rows.at(-1)]).toEqual([["answered", "superseded", "ignored"], "1 assistant: half of"])
    expect(chat.tables.entries.at(-1)?.settle.at(-1)).toMatchObject({ fate: "ignored", rule: "command" })
    yield* TestClock.adjust("1 hour")
    expect([chat.answerings.length, chat.state]).toEqual([1, "done"])
  })
)

it.effect("a stop before the first word says so; one that stops nothing says nothing", () =>
  Effect.gen(function* () {
    const chat = new Chat()
    yield* chat.start
    yield* chat.write("/stop")
    const answering = yield* chat.ask("one")
    yield* answering.say("1")
    yield* answering.finish()
    yield* chat.write("two", "/stop")
    yield* chat.ask("three")
    yield* chat.write("/stop")
    expect(chat.told).toEqual(["1 answered [2] 1", "2 stopped [3] Stopped.", "3 stopped [5] Stopped."])
    const notices = ["2 notice: Stopped.", "3 notice: Stopped."]
    expect(chat.rows).toEqual(["1 user: one", "1 assistant: 1", "2 user: two", notices[0], "3 user: three", notices[1]])
    expect(chat.fates).toEqual(["ignored", "answered", "answered", "ignored", "answered", "ignored"])
  })
)

it.effect("a restart of the model keeps nothing of the earlier attempt", () =>
  Effect.gen(function* () {
    const chat = new Chat()
    yield* chat.start
    const answering = yield* chat.ask("one")
    yield* answering.say("what the dead one ", "said")
    yield* answering.restart()
    yield* answering.restart()
    expect(chat.tables.entries.at(-1)?.snapshot.context).toMatchObject({ turn: 1, attempt: 3 })
    yield* answering.say("whole")
    yield* answering.finish()
    expect(chat.told).toEqual(["1 answered [1] whole"])
  })
)

it.effect("a stop after a restart has none of the earlier attempt either", () =>
  Effect.gen(function* () {
    const chat = new Chat()
    yield* chat.start
    const answering = yield* chat.ask("one")
    yield* answering.say("what the dead one said")
    yield* answering.restart()
    yield* chat.write("/stop")
    expect(chat.told).toEqual(["1 stopped [1] Stopped."])
  })
)

it.effect("after a crash the turn is asked again as a higher attempt, and nothing said before it is kept", () =>
  Effect.gen(function* () {
    const chat = new Chat()
    yield* chat.start
    const first = yield* chat.ask("one")
    yield* first.say("lost")
    yield* chat.die
    expect(first.isOver).toBe(true)
    yield* chat.start
    yield* chat.die
    yield* chat.start
    const third = chat.answerings.at(-1)!
    expect([third.request.firstAttempt, third.request.id, third.prompt]).toEqual([3, first.request.id, first.prompt])
    yield* third.say("kept")
    yield* third.finish()
    expect([chat.told, chat.fates]).toEqual([["1 answered [1] kept"], ["answered"]])
  })
)

it.effect("after a crash the deadline begins anew, and what was written meanwhile is collected", () =>
  Effect.gen(function* () {
    const chat = new Chat()
    yield* chat.start
    yield* chat.ask("one")
    yield* TestClock.adjust(options.turnMaxMs - 1)
    yield* chat.die
    yield* chat.write("two")
    yield* chat.start
    yield* TestClock.adjust(options.turnMaxMs - 1)
    expect(chat.told).toEqual([])
    const [, second] = chat.answerings
    yield* second!.finish()
    yield* TestClock.adjust(options.settleMs)
    yield* settle
    expect(chat.answerings[2]?.prompt.at(-1)).toContain("two")
  })
)

it.effect("while the journal cannot be read the turn waits, and its deadline holds", () =>
  Effect.gen(function* () {
    let isAway = true
    const chat = new Chat({}, (journal) => ({
      ...journal,
      messages: (...asked) =>
        Effect.suspend(() => (isAway ? Effect.fail(new Unavailable({ reason: "away" })) : journal.messages(...asked)))
    }))
    yield* chat.start
    yield* chat.ask("one")
    expect(chat.answerings).toEqual([])
    yield* TestClock.adjust(options.turnMaxMs)
    yield* settle
    expect(chat.told).toEqual([expect.stringContaining("1 dead [1] The model has not finished")])
    yield* chat.ask("two")
    isAway = false
    yield* TestClock.adjust("1 second")
    yield* settle
    expect(chat.answerings.map(({ prompt }) => prompt.at(-1))).toEqual(["user: one\ntwo"])
  })
)
