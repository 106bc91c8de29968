/** How long requests wait, speak and take, as the scheduler counts it: once each, whatever is begun again. */
import { expect } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import type { Histogram } from "../../src/domain/histogram.ts"
import { scenario } from "./scheduler-bench.ts"

const seen = ({ counts, sum }: Histogram) => [counts.reduce((all, count) => all + count, 0), sum]

scenario("the wait, the first token and the whole are counted from the admission on", {}, (bench) =>
  Effect.gen(function* () {
    const { ask, engine, finish, scheduler } = bench
    yield* ask("ann")
    yield* ask("bob")
    yield* TestClock.adjust("2 seconds")
    for (const generation of engine.generations) generation.saySome()
    yield* TestClock.adjust("1 second")
    for (const generation of engine.generations) generation.saySome()
    yield* TestClock.adjust("1 second")
    yield* finish("ann")
    const { timings } = yield* scheduler.stats
    expect(seen(timings.wait)).toEqual([2, 0 + 4])
    expect(seen(timings.firstToken)).toEqual([1, 2])
    expect(seen(timings.total)).toEqual([1, 4])
    expect([timings.promptTokens, timings.answerTokens]).toEqual([1, 2])
  })
)

scenario("what is begun again waits and speaks once; what is given up has no end", { attemptsMax: 2 }, (bench) =>
  Effect.gen(function* () {
    const { ask, engine, lose, scheduler } = bench
    yield* ask("ann")
    yield* TestClock.adjust("1 second")
    for (const generation of engine.generations) generation.saySome()
    yield* lose("ann")
    yield* TestClock.adjust("1 minute")
    for (const generation of engine.generations) generation.saySome()
    yield* lose("ann")
    const { timings } = yield* scheduler.stats
    expect([timings.wait, timings.firstToken, timings.total].map(seen)).toEqual([
      [1, 0],
      [1, 1],
      [0, 0]
    ])
  })
)
