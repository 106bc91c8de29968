/** The steps of the models, as metrics. */
import type { Histogram } from "../domain/histogram.ts"
import type { StepStats } from "../inference/step-stats.ts"
import type { Metric, Sample } from "./metrics.ts"

export interface ModelSteps {
  readonly model: string
  readonly steps: StepStats
}

export function stepMetrics(models: ReadonlyArray<ModelSteps>): ReadonlyArray<Metric> {
  const samples = (of: (steps: StepStats) => ReadonlyArray<Sample>) =>
    models.flatMap(({ model, steps }) =>
      of(steps).map(({ labels, ...sample }) => ({ ...sample, labels: { model, ...labels } }))
    )
  const counter = (name: string, help: string, of: (steps: StepStats) => number): Metric => ({
    name,
    help,
    type: "counter",
    samples: samples((steps) => [{ value: of(steps) }])
  })
  const histogram = (name: string, help: string, of: (steps: StepStats) => ReadonlyArray<Sample>): Metric => ({
    name,
    help,
    type: "histogram",
    samples: samples(of)
  })
  return [
    histogram("parley_step_rows", "Sequences in a decode step.", ({ rows }) => samplesOf(rows)),
    histogram("parley_step_duration_seconds", "Steps by what is in them: answers alone, or prompts too.", (steps) =>
      kinds.flatMap((kind) => samplesOf(steps.seconds[kind], { kind }))
    ),
    {
      name: "parley_step_tokens_total",
      help: "Tokens that steps decoded.",
      type: "counter",
      samples: samples(({ answerTokens, promptTokens }) => [
        { labels: { of: "prompt" }, value: promptTokens },
        { labels: { of: "answer" }, value: answerTokens }
      ])
    },
    counter("parley_step_budget_tokens_total", "Tokens that steps had room for.", (steps) => steps.budgetTokens),
    {
      name: "parley_step_threads",
      help: "Threads by the kind of step, and by the fewest tokens of that kind.",
      type: "gauge",
      samples: samples(({ threads }) =>
        threads.map((choice) => ({ labels: { kind: choice.kind, tokens: `${choice.tokens}` }, value: choice.threads }))
      )
    },
    counter("parley_step_threads_changes_total", "Choices of threads that changed.", (steps) => steps.threadChanges),
    counter("parley_worker_restarts_total", "Workers that took another's place.", (steps) => steps.restarts)
  ]
}

const kinds = ["decode", "prefill"] as const

/** Each bucket counts what is in those below as well. */
export function samplesOf({ bounds, counts, sum }: Histogram, labels: Sample["labels"] = {}): ReadonlyArray<Sample> {
  let total = 0
  const buckets = counts.map((count, i) => {
    total += count
    return { suffix: "_bucket" as const, labels: { ...labels, le: `${bounds[i] ?? "+Inf"}` }, value: total }
  })
  return [...buckets, { suffix: "_sum", labels, value: sum }, { suffix: "_count", labels, value: total }]
}
