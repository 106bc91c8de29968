/** The steps of the models, and what is in their caches, as metrics. */
import type { Histogram } from "../domain/histogram.ts"
import type { StepStats } from "../inference/step-stats.ts"
import type { Metric, Sample } from "./metrics.ts"

export interface ModelSteps {
  readonly model: string
  readonly steps: StepStats
}

export function stepMetrics(models: ReadonlyArray<ModelSteps>): ReadonlyArray<Metric> {
  return [...decoding, ...caching].map(({ of, ...metric }) => ({
    ...metric,
    samples: models.flatMap(({ model, steps }) =>
      of(steps).map(({ labels, ...sample }) => ({ ...sample, labels: { model, ...labels } }))
    )
  }))
}

/** Of one model. */
interface Family extends Omit<Metric, "samples"> {
  readonly of: (steps: StepStats) => ReadonlyArray<Sample>
}

const counter = (name: string, help: string, of: (steps: StepStats) => number): Family => ({
  name,
  help,
  type: "counter",
  of: (steps) => [{ value: of(steps) }]
})

const gauge = (name: string, help: string, of: (steps: StepStats) => number): Family => ({
  ...counter(name, help, of),
  type: "gauge"
})

const histogram = (name: string, help: string, of: Family["of"]): Family => ({ name, help, type: "histogram", of })

/** A sample for each key, which is the value of `label`. */
const by = (
  label: string,
  { name, help, type }: Omit<Metric, "samples">,
  of: (steps: StepStats) => Readonly<Record<string, number>>
): Family => ({
  name,
  help,
  type,
  of: (steps) => Object.entries(of(steps)).map(([key, value]) => ({ labels: { [label]: key }, value }))
})

const kinds = ["decode", "prefill"] as const

const decoding: ReadonlyArray<Family> = [
  histogram("parley_step_rows", "Sequences in a decode step.", ({ rows }) => samplesOf(rows)),
  histogram("parley_step_duration_seconds", "Steps by what is in them: answers alone, or prompts too.", (steps) =>
    kinds.flatMap((kind) => samplesOf(steps.seconds[kind], { kind }))
  ),
  by(
    "of",
    { name: "parley_step_tokens_total", help: "Tokens that steps decoded.", type: "counter" },
    ({ answerTokens, promptTokens }) => ({ prompt: promptTokens, answer: answerTokens })
  ),
  counter("parley_step_budget_tokens_total", "Tokens that steps had room for.", (steps) => steps.budgetTokens),
  {
    name: "parley_step_threads",
    help: "Threads by the kind of step, and by the fewest tokens of that kind.",
    type: "gauge",
    of: ({ threads }) =>
      threads.map((choice) => ({ labels: { kind: choice.kind, tokens: `${choice.tokens}` }, value: choice.threads }))
  },
  counter("parley_step_threads_changes_total", "Choices of threads that changed.", (steps) => steps.threadChanges),
  counter("parley_worker_restarts_total", "Workers that took another's place.", (steps) => steps.restarts)
]

const caching: ReadonlyArray<Family> = [
  by(
    "found",
    { name: "parley_prompts_total", help: "Prompts by where their beginning was found.", type: "counter" },
    ({ prompts }) => prompts
  ),
  by(
    "from",
    { name: "parley_prompt_tokens_total", help: "Tokens of prompts: found, by where, or read.", type: "counter" },
    ({ foundTokens, promptTokens }) => ({ ...foundTokens, read: promptTokens })
  ),
  by(
    "state",
    {
      name: "parley_kv_tokens",
      help: "Tokens in sequences: of those in use decoded, and at most to come too; in those that are free.",
      type: "gauge"
    },
    ({ room }) => ({ used: room.usedTokens, reserved: room.reservedTokens, held: room.heldTokens })
  ),
  gauge("parley_kv_copies", "Copies of sequences in memory.", ({ room }) => room.copies),
  gauge("parley_kv_copy_bytes", "Memory of the copies.", ({ room }) => room.copyBytes)
]

/** Each bucket counts what is in those below as well. */
export function samplesOf({ bounds, counts, sum }: Histogram, labels: Sample["labels"] = {}): ReadonlyArray<Sample> {
  let total = 0
  const buckets = counts.map((count, i) => {
    total += count
    return { suffix: "_bucket" as const, labels: { ...labels, le: `${bounds[i] ?? "+Inf"}` }, value: total }
  })
  return [...buckets, { suffix: "_sum", labels, value: sum }, { suffix: "_count", labels, value: total }]
}
