/** How the process and its writer do, as metrics; what is Linux' alone is left out elsewhere. */
import { readdirSync } from "node:fs"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { emptyHistogram, type Histogram, observe } from "../domain/histogram.ts"
import type { WriterStats } from "../store/group-commit.ts"
import type { Metric } from "./metrics.ts"
import { samplesOf } from "./step-metrics.ts"

const delayEveryMs = 100
const delayBounds = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** How late a timer is, in seconds: what everybody else waits for as well. Measured until the scope closes. */
export const measureLoopDelay = Effect.fn("measureLoopDelay")(function* (): Effect.fn.Return<
  Histogram,
  never,
  Scope.Scope
> {
  const clock = yield* Clock.Clock
  const delays = emptyHistogram(delayBounds)
  const once = Effect.suspend(() => {
    const sinceNs = clock.monotonicTimeNanosUnsafe()
    return Effect.map(Effect.sleep(delayEveryMs), () => {
      const seconds = Number(clock.monotonicTimeNanosUnsafe() - sinceNs) / 1e9
      observe(delays, Math.max(0, seconds - delayEveryMs / 1000))
    })
  })
  yield* Effect.forkScoped(Effect.forever(once))
  return delays
})

export function processMetrics(loopDelays: Histogram): ReadonlyArray<Metric> {
  const gauge = (name: string, help: string, value: number | undefined): ReadonlyArray<Metric> =>
    value === undefined ? [] : [{ name, help, type: "gauge", samples: [{ value }] }]
  const { system, user } = process.cpuUsage()
  const memory = process.memoryUsage()
  const resources = Map.groupBy(process.getActiveResourcesInfo(), (type) => type)
  return [
    {
      name: "parley_event_loop_delay_seconds",
      help: "How late timers of the main thread are.",
      type: "histogram",
      samples: samplesOf(loopDelays)
    },
    {
      name: "process_cpu_seconds_total",
      help: "Processor time of the main process.",
      type: "counter",
      samples: [{ value: (system + user) / 1e6 }]
    },
    ...gauge("process_resident_memory_bytes", "Memory of the main process.", memory.rss),
    ...gauge(
      "parley_heap_used_bytes",
      "Memory of its objects, those included that nobody needs any more.",
      memory.heapUsed
    ),
    ...gauge("parley_external_memory_bytes", "Memory of its buffers.", memory.external),
    ...gauge("process_open_fds", "Files and sockets that it has open.", openFiles()),
    {
      name: "parley_active_resources",
      help: "What keeps the event loop of the main process going, by its type.",
      type: "gauge",
      samples: [...resources].map(([type, some]) => ({ labels: { type }, value: some.length }))
    }
  ]
}

function openFiles(): number | undefined {
  try {
    return readdirSync("/proc/self/fd").length
  } catch {
    return undefined
  }
}

export function writerMetrics({ commit, flush, rows, waiting }: WriterStats): ReadonlyArray<Metric> {
  const histogram = (name: string, help: string, of: Histogram): Metric => ({
    name,
    help,
    type: "histogram",
    samples: samplesOf(of)
  })
  return [
    histogram("parley_commit_duration_seconds", "From when a row is to be written until it is on disk.", commit),
    histogram("parley_flush_duration_seconds", "One transaction of the writer.", flush),
    histogram("parley_commit_rows", "Rows of a transaction.", rows),
    {
      name: "parley_commit_waiting",
      help: "Rows that are not on disk yet.",
      type: "gauge",
      samples: [{ value: waiting }]
    }
  ]
}
