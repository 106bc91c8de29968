/** What the models and their schedulers say of themselves, as metrics: each sample with the name of its model. */
import * as Effect from "effect/Effect"
import type { Histogram } from "../domain/histogram.ts"
import type { ServerStatus } from "../inference/engine.ts"
import type { ServedModel } from "../inference/model-pool.ts"
import { type ModelStatus, modelStates } from "../inference/model-status.ts"
import type { Stats } from "../inference/scheduler-stats.ts"
import type { Timings } from "../inference/timings.ts"
import type { Metric } from "./metrics.ts"
import { samplesOf, stepMetrics } from "./step-metrics.ts"

interface Seen {
  readonly name: string
  readonly status: ModelStatus
  readonly stats: Stats
}

export const modelMetrics = Effect.fnUntraced(function* (
  models: ReadonlyArray<ServedModel>
): Effect.fn.Return<ReadonlyArray<Metric>> {
  const seen = yield* Effect.forEach(models, ({ name, scheduler, status }) =>
    Effect.all({ name: Effect.succeed(name), status, stats: scheduler.stats })
  )
  const steps = seen.flatMap(({ name, stats }) =>
    stats.steps === undefined ? [] : [{ model: name, steps: stats.steps }]
  )
  return [...schedulerMetrics(seen), ...lifeMetrics(seen), ...serverMetrics(seen), ...stepMetrics(steps)]
})

function schedulerMetrics(seen: ReadonlyArray<Seen>): ReadonlyArray<Metric> {
  const of = (type: Metric["type"], name: string, help: string, read: (stats: Stats) => number): Metric => ({
    name,
    help,
    type,
    samples: seen.map(({ name, stats }) => ({ labels: { model: name }, value: read(stats) }))
  })
  const by = (
    type: Metric["type"],
    name: string,
    help: string,
    label: string,
    valuesOf: (stats: Stats) => Readonly<Record<string, number>>
  ): Metric => ({
    name,
    help,
    type,
    samples: seen.flatMap(({ name, stats }) =>
      Object.entries(valuesOf(stats)).map(([key, value]) => ({ labels: { model: name, [label]: key }, value }))
    )
  })
  return [
    of("gauge", "parley_turns_running", "Turns that have a slot of their model.", ({ running }) => running),
    by("gauge", "parley_turns_waiting", "Turns that wait for a slot.", "class", ({ waitingOf }) => waitingOf),
    by("counter", "parley_turns_refused_total", "Turns that the queue refused.", "reason", ({ refused }) => refused),
    by("counter", "parley_turns_ended_total", "Turns that were admitted, by their end.", "end", ({ ended }) => ended),
    of("counter", "parley_turns_preempted_total", "Attempts that made way for others.", ({ preempted }) => preempted),
    of("gauge", "parley_tokens_waiting", "Tokens of the turns that wait.", ({ waitingTokens }) => waitingTokens),
    of("gauge", "parley_tokens_reserved", reserved, ({ reservedTokens }) => reservedTokens),
    by("gauge", "parley_service_spread", spread, "class", ({ spreadOf }) => spreadOf),
    of("gauge", "parley_slots", "Turns that the model takes at once.", ({ slots }) => slots),
    of("counter", "parley_turn_restarts_total", "Attempts begun again, since the start.", ({ restarts }) => restarts),
    by("counter", "parley_tokens_total", "Tokens of requests that were answered.", "of", ({ timings }) => ({
      prompt: timings.promptTokens,
      answer: timings.answerTokens
    })),
    ...timingMetrics(seen)
  ]
}

function timingMetrics(seen: ReadonlyArray<Seen>): ReadonlyArray<Metric> {
  const each = (name: string, help: string, read: (timings: Timings) => Histogram): Metric => ({
    name,
    help,
    type: "histogram",
    samples: seen.flatMap(({ name, stats }) => samplesOf(read(stats.timings), { model: name }))
  })
  return [
    each("parley_turn_wait_seconds", "From the admission of a turn until it has a slot.", ({ wait }) => wait),
    each("parley_first_token_seconds", "From the admission of a turn until its first token.", (of) => of.firstToken),
    each("parley_turn_duration_seconds", "From the admission of a turn until its last token.", ({ total }) => total)
  ]
}

const reserved = "Tokens of the cache that are reserved for running turns."
const spread = "Weighted tokens between the users who wait that were served most and least."

function lifeMetrics(seen: ReadonlyArray<Seen>): ReadonlyArray<Metric> {
  const of = (type: Metric["type"], name: string, help: string, read: (status: ModelStatus) => number | undefined) => {
    const samples = seen.flatMap(({ name, status }) => {
      const value = read(status)
      return value === undefined ? [] : [{ labels: { model: name }, value }]
    })
    return { name, help, type, samples }
  }
  return [
    {
      name: "parley_model_state",
      help: "1 for the state that the model is in.",
      type: "gauge",
      samples: seen.flatMap(({ name, status }) =>
        modelStates.map((state) => ({ labels: { model: name, state }, value: Number(state === status.state) }))
      )
    },
    of("gauge", "parley_model_memory_bytes", memory, ({ memoryBytes }) => memoryBytes),
    of(
      "gauge",
      "parley_model_last_request_seconds",
      lastRequest,
      ({ lastRequestMs }) => lastRequestMs && lastRequestMs / 1e3
    ),
    of("counter", "parley_model_loads_total", "How often it was loaded.", ({ loads }) => loads),
    of("counter", "parley_model_worker_deaths_total", "How often its worker died.", ({ deaths }) => deaths)
  ]
}

function serverMetrics(seen: ReadonlyArray<Seen>): ReadonlyArray<Metric> {
  const all = seen.flatMap(({ name, status }) => (status.servers ?? []).map((server) => ({ name, server })))
  const each = (name: string, help: string, read: (server: ServerStatus) => number): Metric => {
    const samples = all.map((one) => ({
      labels: { model: one.name, server: one.server.server },
      value: read(one.server)
    }))
    return { name, help, type: "gauge", samples }
  }
  return [
    each("parley_server_up", "Whether a server of the model answers.", ({ isUp }) => Number(isUp)),
    each("parley_server_in_flight", "Turns that a server of the model has.", ({ inFlight }) => inFlight),
    each("parley_server_limit", "Turns that a server is given at once, as learned.", ({ limit }) => limit)
  ]
}

const memory = "What the model takes while it is loaded, estimated from its file."
const lastRequest = "When a request to the model last ended, since the epoch."
