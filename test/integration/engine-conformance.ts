/**
 * What every engine keeps, whatever is behind it. Each subject runs the random model of llama-harness.ts, so that the
 * answers of one can be compared with those of another, letter by letter and token by token.
 */
import { it } from "@effect/vitest"
import { Effect, Fiber, type Scope, Stream } from "effect"
import { describe, expect } from "vitest"
import type { Engine, InferenceRequest, Token } from "../../src/inference/engine.ts"
import { openLlama } from "../../src/inference/llama.ts"
import { asked, defaults, endOf, textOf, until, words } from "./llama-harness.ts"

export const slots = 4
export const contextTokens = 512
export const answerTokensMax = 250

export interface Subject {
  /** Of `slots` slots. It calls silence of so long as it was opened with a loss. */
  readonly engine: Engine
  /** Answers that are decoded now, of this engine. */
  readonly decoding: Effect.Effect<number>
  /** Whatever decodes for it stops in the middle, and says nothing any more. */
  readonly silence: Effect.Effect<void>
  /** It is gone, whether it was silent or not, and something will take its place. */
  readonly kill: Effect.Effect<void>
}

type Open = (silenceMaxMs: number) => Effect.Effect<Subject, unknown, Scope.Scope>

/** A crowded machine is silent for seconds; only where silence is the matter it has to end soon. */
const patientMs = 60_000
const impatientMs = 10_000

/** Several laws share a subject, for one may take many seconds to open. */
export function engineConformance(name: string, open: Open): void {
  const laws = (title: string, checks: ReadonlyArray<Law>, silenceMaxMs = patientMs) =>
    it.live(title, () =>
      Effect.scoped(
        Effect.flatMap(open(silenceMaxMs), (subject) =>
          Effect.forEach(checks, (check) => check(subject), { discard: true })
        )
      )
    )

  describe(`the engine ${name}`, () => {
    laws("says what the model says, counts as it counts, in order, and nothing after its one finish", [
      saysTheSame,
      endsOnce
    ])
    laws("refuses what cannot be answered and says which part, keeps a shape, and calls a tool", [refuses, keepsShapes])
    laws("gives a slot back at once when its reader leaves, and stops what nobody reads", [cancels])
    laws("loses what is silent or killed, splices nothing, and answers again", [hears, dies], impatientMs)
  })
}

type Law = (subject: Subject) => Effect.Effect<void, unknown, Scope.Scope>

const requests: ReadonlyArray<InferenceRequest> = [
  ...words.map((word) => asked(word)),
  asked("Hi", { temperature: 1, seed: 1 }),
  asked("Hi", { temperature: 1.5, seed: 7, topP: 0.5 }),
  asked("Hi", { temperature: 1, seed: 2, topK: 5, minP: 0.01, repeatPenalty: 1.3 }),
  asked("Go on.", { temperature: 1, seed: 3, answerTokensMax }),
  asked("Hello!", { answerTokensMax: 1 }),
  asked("", {
    temperature: 1,
    seed: 4,
    messages: [
      { role: "system", content: "You answer." },
      { role: "user", content: "Grüß dich, 漢字 🙂!" },
      { role: "assistant", content: "Hm." },
      { role: "user", content: "" }
    ]
  })
]

const reference = openLlama({ ...defaults, slotsMax: slots, contextTokens })

const answer = ({ generate }: Engine, request: InferenceRequest) => Stream.runCollect(generate(request))
const gist = (tokens: ReadonlyArray<Token>) => {
  const { reason, usage } = endOf(tokens)
  // What was cached depends on what was asked before.
  const { answerTokens, promptTokens } = usage
  return { text: textOf(tokens), reason, answerTokens, promptTokens }
}

const saysTheSame = Effect.fnUntraced(function* ({ engine }: Subject) {
  const own = yield* reference
  const greedy = textOf(yield* answer(own, asked("Hello!")))
  const all = [...requests, asked("Hello!", { stop: ["never said", greedy.slice(9, 12)] })]
  const expected = yield* Effect.forEach(all, (request) => Effect.map(answer(own, request), gist))
  expect(greedy.startsWith(expected.at(-1)!.text)).toBe(true)
  expect(new Set(expected.map(({ reason }) => reason))).toEqual(new Set(["stop", "length"]))
  const said = yield* Effect.forEach(all, (request) => Effect.map(answer(engine, request), gist))
  expect(said).toEqual(expected)
  // Of many in a step only the likeliest token is the same as alone: sums are rounded in another order.
  const together = yield* Effect.forEach(words, (word) => Effect.map(answer(engine, asked(word)), gist), {
    concurrency: slots
  })
  expect(together).toEqual(expected.slice(0, words.length))
})

const endsOnce = Effect.fnUntraced(function* ({ engine }: Subject) {
  const seeds = Array.from({ length: 24 }, (_, seed) => asked("今天 😀", { temperature: 2, seed, answerTokensMax: 60 }))
  const answers = yield* Effect.forEach(seeds, (request) => answer(engine, request), { concurrency: slots })
  for (const tokens of answers) {
    expect(tokens.filter(({ type }) => type === "finish")).toEqual([tokens.at(-1)])
    const { answerTokens, promptTokens } = endOf(tokens).usage
    expect(answerTokens).toBeLessThanOrEqual(60)
    expect(promptTokens).toBe(endOf(answers[0]!).usage.promptTokens)
    for (const token of tokens) {
      if (token.type === "text") expect(token.text !== "" && token.text.isWellFormed()).toBe(true)
    }
  }
})

const refuses = Effect.fnUntraced(function* ({ engine }: Subject) {
  const own = yield* reference
  const bad: ReadonlyArray<readonly [Partial<InferenceRequest>, object]> = [
    [{ shape: { type: "grammar", grammar: "root ::= (" } }, { _tag: "EngineRefused", part: "grammar" }],
    [{ logitBias: [[9_999_999, 1]] }, { _tag: "EngineRefused", part: "logitBias" }],
    [
      { shape: { type: "json-schema", name: "odd", schema: { $ref: "http://nowhere.example/" } } },
      { _tag: "EngineRefused", part: "shape" }
    ]
  ]
  for (const [more, expected] of bad) {
    expect(yield* Effect.flip(answer(engine, asked("Hello!", more)))).toMatchObject(expected)
  }
  const long = asked("word ".repeat(600), { mayDrop: false })
  const refusals = yield* Effect.forEach([own, engine], (each) => Effect.flip(answer(each, long)))
  expect(refusals[1]).toMatchObject({ _tag: "PromptTooLong", tokensMax: contextTokens - long.answerTokensMax })
  expect(refusals[1]).toEqual(refusals[0])
  expect(yield* engine.isReady).toBe(true)
  expect(gist(yield* answer(engine, asked("Hello!")))).toEqual(gist(yield* answer(own, asked("Hello!"))))
})

const keepsShapes = Effect.fnUntraced(function* ({ engine }: Subject) {
  const schema = {
    type: "object",
    properties: { is: { enum: ["yes", "no"] } },
    required: ["is"],
    additionalProperties: false
  }
  const shaped = asked("Is it?", {
    answerTokensMax,
    shape: { type: "json-schema", name: "choice", schema, strict: true }
  })
  expect(["yes", "no"]).toContain(JSON.parse(textOf(yield* answer(engine, shaped))).is)
  const tool = { name: "decide", parameters: schema }
  const calling = asked("Decide.", {
    answerTokensMax: 100,
    toolUse: { tools: [tool], choice: "required", isParallel: false }
  })
  const tokens = yield* answer(engine, calling)
  const calls = tokens.flatMap((token) => (token.type === "call" ? [token] : []))
  expect(calls[0]).toMatchObject({ index: 0, name: "decide", id: expect.stringMatching(/./) })
  expect(["yes", "no"]).toContain(JSON.parse(calls.map((call) => call.arguments).join("")).is)
  expect(endOf(tokens)).toMatchObject({ reason: "tool-calls" })
})

/** Talks for as long as it is let, and has begun when this returns. */
const talking = Effect.fnUntraced(function* ({ engine }: Subject, seed: number) {
  const heard: Array<Token> = []
  const request = asked("Talk.", { temperature: 1.5, seed, answerTokensMax })
  const once = Stream.runForEach(engine.generate(request), (token) => Effect.sync(() => heard.push(token)))
  const fiber = yield* Effect.forkScoped(Effect.forever(once))
  yield* until(Effect.sync(() => heard.some(({ type }) => type === "text")))
  return { fiber, heard }
})

const cancels = Effect.fnUntraced(function* (subject: Subject) {
  const { decoding, engine } = subject
  for (let round = 0; round < 3; round++) {
    const all = yield* Effect.forEach(Array(slots), (_, index) => talking(subject, index), { concurrency: "unbounded" })
    yield* Fiber.interrupt(all[round]!.fiber)
    expect(textOf(yield* answer(engine, asked("Hello!")))).not.toBe("")
    yield* Effect.forEach(all, ({ fiber }) => Fiber.interrupt(fiber))
    const lengths = all.map(({ heard }) => heard.length)
    yield* until(Effect.map(decoding, (count) => count === 0))
    expect(all.map(({ heard }) => heard.length)).toEqual(lengths)
  }
})

const hears = Effect.fnUntraced(function* (subject: Subject) {
  const { engine, kill, silence } = subject
  const before = gist(yield* answer(engine, asked("Hello!")))
  const { fiber, heard } = yield* talking(subject, 1)
  yield* silence
  expect((yield* Effect.flip(Fiber.join(fiber)))._tag).toMatch(tagOf(heard))
  yield* kill
  yield* until(engine.isReady)
  expect(yield* untilGiven(answerGist(engine))).toEqual(before)
})

const dies = Effect.fnUntraced(function* (subject: Subject) {
  const { engine, kill } = subject
  const request = asked("Hello!", { answerTokensMax })
  const before = gist(yield* answer(engine, request))
  const { fiber, heard } = yield* talking(subject, 1)
  yield* kill
  expect((yield* Effect.flip(Fiber.join(fiber)))._tag).toMatch(tagOf(heard))
  const length = heard.length
  yield* until(engine.isReady)
  expect(yield* untilGiven(Effect.map(answer(engine, request), gist))).toEqual(before)
  expect(heard.length).toBe(length)
  expect(yield* engine.trouble).toBe(undefined)
})

/** Between two answers a server may say that its model is being loaded. */
const tagOf = (heard: ReadonlyArray<Token>) => (heard.at(-1)?.type === "finish" ? /Lost|Busy/ : /Lost/)

const answerGist = (engine: Engine) => Effect.map(answer(engine, asked("Hello!")), gist)

/** A worker that is being started again is no fault of the request. */
const untilGiven = <A, E>(attempt: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.catch(attempt, () =>
    Effect.andThen(
      Effect.sleep(100),
      Effect.suspend(() => untilGiven(attempt))
    )
  )
