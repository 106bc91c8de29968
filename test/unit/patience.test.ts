/** How long a worker may be silent, and that it is found out then. */

import { it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { expect, test } from "vitest"
import {
  given,
  hear,
  over,
  type Patience,
  patienceOf,
  silenceMaxMsOf,
  untilSilent
} from "../../src/inference/patience.ts"
import { noRoom } from "../../src/inference/step-stats.ts"
import type { Decoded } from "../../src/inference/worker/wire.ts"

const options = { loadSilenceMaxMs: 60_000, silenceMaxMs: 1_000, stepTokensMax: 256 }

const step = (more: Partial<Decoded>): Decoded => ({
  type: "decoded",
  tokens: 1,
  promptTokens: 0,
  room: noRoom,
  tookMs: 1,
  texts: [],
  ends: [],
  ...more
})

const loaded = (tokenMs = 10): Patience => {
  const patience = patienceOf(options)
  hear(patience, { type: "ready", tokenMs })
  return patience
}

const usage = { promptTokens: 1, cachedTokens: 0, answerTokens: 1 }

test("Q1, Q2: while it loads, and while it has nothing to do, each has its own bound", () => {
  expect(silenceMaxMsOf(patienceOf(options))).toBe(60_000)
  expect(silenceMaxMsOf(loaded())).toBe(1_000)
})

test("Q3: a prompt may take what the longest step takes, and an answer what a step takes", () => {
  const patience = loaded(10)
  given(patience, 1)
  expect(silenceMaxMsOf(patience)).toBe(1_000 + 4 * 10 * 256)
  // 256 tokens in 512 ms are 2 ms each; what was believed fades.
  for (let i = 0; i < 100; i++) hear(patience, step({ tokens: 256, promptTokens: 256, tookMs: 512, texts: [[1, ""]] }))
  expect(silenceMaxMsOf(patience)).toBeCloseTo(1_000 + 4 * 512)
  hear(patience, step({ tookMs: 20, texts: [[1, "a"]] }))
  expect(silenceMaxMsOf(patience)).toBe(1_000 + 4 * 20)
  given(patience, 2)
  expect(silenceMaxMsOf(patience)).toBeCloseTo(1_000 + 4 * 512)
  hear(patience, { type: "refused", key: 2, part: "messages", reason: "" })
  expect(silenceMaxMsOf(patience)).toBe(1_000 + 4 * 20)
  hear(patience, step({ tookMs: 1, texts: [[1, "b"]], ends: [[1, "stop", usage]] }))
  expect(silenceMaxMsOf(patience)).toBe(1_000)
  given(patience, 3)
  over(patience, 3)
  expect(silenceMaxMsOf(patience)).toBe(1_000)
})

it.effect("Q1: a worker that loads and says so is left alone, and one that stops saying so is not", () =>
  Effect.gen(function* () {
    const patience = patienceOf(options)
    const fiber = yield* Effect.forkChild(untilSilent(patience), { startImmediately: true })
    for (let i = 0; i < 10; i++) {
      yield* TestClock.adjust(30_000)
      hear(patience, { type: "loading" })
    }
    expect(fiber.pollUnsafe()).toBeUndefined()
    yield* TestClock.adjust(59_000)
    expect(fiber.pollUnsafe()).toBeUndefined()
    yield* TestClock.adjust(2_000)
    expect(yield* Fiber.join(fiber)).toBe("the worker said nothing for 60000 ms")
  })
)

it.effect("Q3: a hang is found after the bound of what it does, and no later than a quarter more", () =>
  Effect.gen(function* () {
    const patience = loaded(10)
    given(patience, 1)
    hear(patience, step({ tookMs: 20, texts: [[1, "a"]] }))
    const fiber = yield* Effect.forkChild(untilSilent(patience), { startImmediately: true })
    yield* TestClock.adjust(1_079)
    expect(fiber.pollUnsafe()).toBeUndefined()
    yield* TestClock.adjust(271)
    expect(yield* Fiber.join(fiber)).toBe("the worker said nothing for 1080 ms")
  })
)

it.effect("Q4: one late wake-up of ours is no silence", () =>
  Effect.gen(function* () {
    const patience = loaded(0)
    const fiber = yield* Effect.forkChild(untilSilent(patience), { startImmediately: true })
    // What it said comes with the next tick of ours, however late that is.
    yield* TestClock.adjust(250)
    patience.quietMs = 750
    hear(patience, { type: "idle", room: noRoom })
    yield* TestClock.adjust(750)
    expect(fiber.pollUnsafe()).toBeUndefined()
    yield* TestClock.adjust(500)
    expect(yield* Fiber.join(fiber)).toContain("1000 ms")
  })
)
