/** What the process and its writer say of themselves, as metrics. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { observe } from "../../src/domain/histogram.ts"
import { textOf } from "../../src/http/metrics.ts"
import { measureLoopDelay, processMetrics, writerMetrics } from "../../src/http/process-metrics.ts"
import { emptyWriterStats } from "../../src/store/group-commit.ts"
import { exposed } from "./exposition.ts"

it.effect("timers are asked ten times a second how late they are, until the scope closes", () =>
  Effect.gen(function* () {
    const delays = yield* Effect.scoped(
      Effect.gen(function* () {
        const measured = yield* measureLoopDelay()
        for (let n = 0; n < 30; n++) yield* TestClock.adjust(100)
        return measured
      })
    )
    const [inTime = 0, ...late] = delays.counts
    expect([inTime, ...late]).toEqual([30, ...late.map(() => 0)])
    yield* TestClock.adjust(1_000)
    expect(delays.counts[0]).toBe(30)
  })
)

it.effect("what they say is Prometheus' format", () =>
  Effect.gen(function* () {
    const stats = { ...emptyWriterStats(), waiting: 3 }
    observe(stats.commit, 0.003)
    observe(stats.rows, 2)
    const delays = yield* Effect.scoped(measureLoopDelay())
    const text = textOf([...processMetrics(delays), ...writerMetrics(stats)])
    expect(exposed(text)).toEqual([])
    for (const line of [
      'parley_commit_duration_seconds_bucket{le="0.002"} 0',
      'parley_commit_duration_seconds_bucket{le="0.005"} 1',
      "parley_commit_rows_sum 2",
      "parley_flush_duration_seconds_count 0",
      "parley_commit_waiting 3"
    ]) {
      expect(text.split("\n")).toContain(line)
    }
    expect(text).toMatch(/^process_resident_memory_bytes \d{7,}$/m)
  })
)
