/** A worker is killed, or hangs, with 32 turns in flight: all are answered, and no two attempts are joined. */
import { it } from "@effect/vitest"
import { Clock, Context, Effect, Layer, Stream } from "effect"
import { expect } from "vitest"
import { trainVocabulary } from "../../models/random-vocabulary.ts"
import type { Histogram } from "../../src/domain/histogram.ts"
import { wholeCores } from "../../src/inference/control-group.ts"
import { openLlama } from "../../src/inference/llama.ts"
import { InferenceScheduler, layer, type Signal } from "../../src/inference/scheduler.ts"
import { answerText, asked, defaults, isAlive } from "./llama-harness.ts"

const turns = 32
const answerTokensMax = 40
/** Nobody's answer ends before the worker does. */
const neverEnds = [[trainVocabulary().special["<|im_end|>"], -100] as const]
const questions = Array.from({ length: turns }, (_, i) =>
  asked(`Question ${i} of ${turns}`, { user: `user ${i}`, answerTokensMax, logitBias: neverEnds })
)
const backoffMinMs = 20

const strike = (signal: "SIGKILL" | "SIGSTOP", progressMaxMs: number) =>
  Effect.gen(function* () {
    const options = { ...defaults, slotsMax: turns, contextTokens: 256, stepTokensMax: 64, progressMaxMs }
    const engine = yield* openLlama(options)
    const scheduling = layer({ engine, queueMax: turns, queueTokensMax: 1_000_000, backoffMinMs })
    const scheduler = Context.get(yield* Layer.build(scheduling), InferenceScheduler)
    const expected = yield* Effect.forEach(questions, (question) => answerText(engine, question))
    const clock = yield* Clock.Clock
    const first = (yield* engine.workerPid)!
    const signals = questions.map((): Array<Signal> => [])
    let struckMs: number | undefined
    let foundMs: number | undefined
    const hear = (i: number, said: Signal) => {
      signals[i]!.push(said)
      const isUnderWay = struckMs === undefined && signals.every((some) => some.some(({ type }) => type === "text"))
      if (isUnderWay) {
        struckMs = clock.currentTimeMillisUnsafe()
        process.kill(first, signal)
      }
      if (said.type === "restarted") foundMs ??= clock.currentTimeMillisUnsafe()
    }
    yield* Effect.forEach(
      questions,
      (question, i) =>
        Stream.runForEach(scheduler.infer({ ...question, firstAttempt: 1 }), (said) =>
          Effect.sync(() => hear(i, said))
        ),
      { concurrency: "unbounded" }
    )
    yield* Effect.logInfo(`${signal} with ${turns} turns in flight was found out after ${foundMs! - struckMs!} ms`)
    for (const [i, said] of signals.entries()) {
      const attempts = said.map(({ attempt }) => attempt)
      expect(attempts).toEqual(attempts.toSorted((a, b) => a - b))
      expect(said.filter(({ type }) => type === "restarted")).toHaveLength(1)
      expect(said.findIndex(({ type }) => type === "finished")).toBe(said.length - 1)
      expect(said.at(-1)).toMatchObject({ attempt: 2, reason: "length", usage: { answerTokens: answerTokensMax } })
      const texts = said.map((one) => (one.type === "text" && one.attempt === 2 ? one.text : ""))
      expect(texts.join("")).toBe(expected[i])
    }
    expect(yield* engine.counts).toMatchObject({ restarts: 1 })
    expect(yield* scheduler.stats).toMatchObject({ running: 0, waiting: 0, restarts: turns, reservedTokens: 0 })
    const { answerTokens, budgetTokens, promptTokens, rows, seconds, threads } = yield* engine.steps
    const { rows: rowsSum, steps, tokens } = yield* engine.counts
    expect(answerTokens + promptTokens).toBe(tokens)
    expect(budgetTokens).toBe(steps * 64)
    expect([rows.sum, totalOf(rows)]).toEqual([rowsSum, steps])
    expect(totalOf(seconds.decode) + totalOf(seconds.prefill)).toBe(steps)
    const perTurn = answerTokensMax - 1
    expect(answerTokens).toBeGreaterThanOrEqual(2 * turns * perTurn)
    expect(threads.length).toBeGreaterThan(0)
    for (const choice of threads) expect(choice.threads).toBeLessThanOrEqual(wholeCores())
    expect(isAlive(first)).toBe(false)
  }).pipe(Effect.scoped)

const totalOf = ({ counts }: Histogram) => counts.reduce((sum, count) => sum + count, 0)

it.live("killed", () => strike("SIGKILL", 60_000))

it.live("stopped, which is found out by its silence", () => strike("SIGSTOP", 2_000))
