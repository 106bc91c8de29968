/** What a person is told where the model has no answer, on virtual time. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { PromptTooLong } from "../../src/inference/engine.ts"
import { type Failure, ModelFailed, QueueFull } from "../../src/inference/scheduler.ts"
import { Chat, options, settle } from "./chat.ts"

const full = (retryAfterMs: number) => new QueueFull({ reason: "count", queueMax: 1, retryAfterMs })
const failures: ReadonlyArray<[string, Failure | "a defect", string, string, number]> = [
  [
    "a full queue",
    full(19_001),
    "shed",
    "I am full: too many people are asking just now. Please ask again in about 20 s.",
    0
  ],
  [
    "a queue that is full for long",
    full(100_000),
    "shed",
    "I am full: too many people are asking just now. Please ask again in about 2 min.",
    0
  ],
  ["an endless text", new PromptTooLong({ tokens: 2, tokensMax: 1 }), "shed", "That is longer", 0],
  ["a busy engine", new ModelFailed({ kind: "busy", reason: "" }), "shed", "I am full", 0],
  ["a model that dies of it", new ModelFailed({ kind: "crashed", reason: "" }), "dead", "The model failed", 1],
  ["a model that is given up", new ModelFailed({ kind: "down", reason: "" }), "shed", "The model that answers", 0],
  ["a defect of ours", "a defect", "dead", "The model failed", 1]
]
it.effect.each(failures)("%s has its words", ([, failure, outcome, words, letters]) =>
  Effect.gen(function* () {
    const chat = new Chat()
    yield* chat.start
    const answering = yield* chat.ask("one")
    yield* answering.say("half")
    yield* answering.restart()
    yield* answering.fail(failure)
    expect([chat.told, chat.fates, chat.state]).toEqual([
      [expect.stringContaining(`1 ${outcome} [1] ${words}`)],
      [outcome],
      "done"
    ])
    expect(chat.tables.letters).toHaveLength(letters)
    expect(chat.rows).toEqual(["1 user: one", expect.stringContaining(`1 notice: ${words}`)])
    const next = yield* chat.ask("two")
    expect(next.prompt.join()).not.toContain(words)
    yield* next.finish()
    expect(chat.fates).toEqual([outcome, "answered"])
  })
)

const inLanguages: ReadonlyArray<[question: string, words: string]> = [
  ["今天天气怎么样？", "现在问的人太多，我忙不过来了。请大约 20 秒后再问。"],
  ["今日の天気は", "I am full: too many people are asking just now. Please ask again in about 20 s."]
]
it.effect.each(inLanguages)("whoever writes %s is told in words of his language", ([question, words]) =>
  Effect.gen(function* () {
    const chat = new Chat()
    yield* chat.start
    const answering = yield* chat.ask(question)
    yield* answering.fail(full(20_000))
    expect(chat.told).toEqual([`1 shed [1] ${words}`])
  })
)

it.effect("a model that is not done in time is given up in words, and stopped", () =>
  Effect.gen(function* () {
    const chat = new Chat()
    yield* chat.start
    const answering = yield* chat.ask("one")
    yield* answering.say("on and on")
    yield* TestClock.adjust(options.turnMaxMs - 1)
    expect([answering.isOver, chat.told]).toEqual([false, []])
    yield* TestClock.adjust(1)
    yield* settle
    expect([answering.isOver, chat.told]).toEqual([
      true,
      [expect.stringContaining("1 dead [1] The model has not finished")]
    ])
  })
)

it.effect("a model that says nothing is quoted with nothing", () =>
  Effect.gen(function* () {
    const chat = new Chat()
    yield* chat.start
    const answering = yield* chat.ask("one")
    yield* answering.say(" \n")
    yield* answering.finish()
    expect([chat.told, chat.rows]).toEqual([
      [expect.stringContaining("1 answered [1] The model had nothing")],
      ["1 user: one", expect.stringContaining("1 notice: The model had nothing")]
    ])
  })
)

it.effect("what cannot be stored of an answer is replaced, and the rest is said", () =>
  Effect.gen(function* () {
    const chat = new Chat()
    yield* chat.start
    const answering = yield* chat.ask("one")
    yield* answering.say("a\0b", "\ud83d")
    yield* answering.finish()
    expect(chat.told).toEqual(["1 answered [1] a\uFFFDb\uFFFD"])
  })
)
