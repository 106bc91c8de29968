/** What the operator is shown, read from the running parts. */
import * as Effect from "effect/Effect"
import type { Account } from "../actors/account.ts"
import type { Histogram } from "../domain/histogram.ts"
import type { ServerStatus } from "../inference/engine.ts"
import type { ModelPool } from "../inference/model-pool.ts"
import type { ModelStatus } from "../inference/model-status.ts"
import { census, outboxCensus, terms } from "../store/census.ts"
import type { Database } from "../store/database.ts"
import type { Journal } from "../store/journal.ts"
import type { Health, ModelHealth, ServerHealth } from "./health.ts"
import { type Metric, textOf } from "./metrics.ts"
import { modelMetrics } from "./model-metrics.ts"
import { processMetrics, writerMetrics } from "./process-metrics.ts"

export interface Observed {
  readonly database: Database["Service"]
  /** All that are served, the default first. */
  readonly models: ModelPool["models"]
  /** The accounts that are open now. */
  readonly accounts: ReadonlyMap<string, Account>
  /** The accounts that are configured. */
  readonly configured: ReadonlyArray<string>
  readonly durability: "strict" | "relaxed"
  readonly journal: Pick<Journal["Service"], "stats">
  readonly loopDelays: Histogram
}

export const healthOf = Effect.fn("healthOf")(function* (observed: Observed): Effect.fn.Return<Health> {
  const { accounts, configured, database, durability } = observed
  const trouble = yield* database.trouble
  const models = yield* Effect.forEach(observed.models, ({ status }) => status)
  const first = models[0]!
  const closed = configured.filter((id) => !accounts.has(id))
  const parts = {
    database: trouble ?? "up",
    model: first.isUsable ? "up" : (first.why ?? "it is being loaded"),
    ...Object.fromEntries(configured.map((id) => [id, accounts.has(id) ? "up" : "it is being opened"]))
  }
  const ready = trouble === undefined && first.isUsable && closed.length === 0
  return { ready, durability, parts, models: models.map(healthOfModel) }
})

function healthOfModel({ lastRequestMs, servers = [], sinceMs, ...status }: ModelStatus): ModelHealth {
  const timeOf = (ms: number) => new Date(ms).toISOString()
  return {
    ...status,
    since: timeOf(sinceMs),
    ...(lastRequestMs !== undefined && { lastRequest: timeOf(lastRequestMs) }),
    ...(servers.length > 0 && { servers: servers.map(healthOfServer) })
  }
}

function healthOfServer({ inFlight, limit, server, sinceMs, trouble = "up" }: ServerStatus): ServerHealth {
  return { server, state: trouble, since: new Date(sinceMs).toISOString(), inFlight, limit }
}

/** Without a database there are no counts: the gauges of this process are shown alone. */
export const metricsOf = Effect.fn("metricsOf")(function* ({
  accounts,
  database,
  journal,
  loopDelays,
  models
}: Observed) {
  const counts = yield* Effect.orElseSucceed(census(database), () => [])
  const outbox = yield* Effect.orElseSucceed(outboxCensus(database), () => undefined)
  const open = [...accounts.values()]
  const gauge = (name: string, help: string, value: number): Metric => ({
    name,
    help,
    type: "gauge",
    samples: [{ value }]
  })
  return textOf([
    ...terms.map((term): Metric => {
      const samples = counts
        .filter((count) => count.term === term)
        .map(({ account, count }) => ({ labels: { account }, value: count }))
      const isGauge = term === "pending"
      const name = `parley_events_${term}${isGauge ? "" : "_total"}`
      return { name, help: helpOf[term], type: isGauge ? "gauge" : "counter", samples }
    }),
    ...(outbox === undefined
      ? []
      : [
          gauge("parley_outbox_due", "Replies that are not delivered yet.", outbox.due),
          gauge("parley_dead_letters_open", "Dead letters that nobody has looked after.", outbox.deadLetters)
        ]),
    {
      name: "parley_delivery_attempts_total",
      help: "Sends by result, since the start.",
      type: "counter",
      samples: open.flatMap(({ delivery, id }) =>
        [...delivery.stats().results].map(([result, value]) => ({ labels: { account: id, result }, value }))
      )
    },
    gauge(
      "parley_conversations_live",
      "Conversations in memory.",
      sum(open, ({ conversations }) => conversations.live())
    ),
    ...(yield* modelMetrics(models)),
    ...(journal.stats === undefined ? [] : writerMetrics(journal.stats)),
    ...processMetrics(loopDelays)
  ])
})

const helpOf: Readonly<Record<(typeof terms)[number], string>> = {
  accepted: "Events that were acknowledged: the sum of all that follow.",
  answered: "Events that a turn answered.",
  ignored: "Events that a named rule ignores.",
  superseded: "Events that a later one made void.",
  shed: "Events that were refused in words.",
  dead: "Events that are dead letters.",
  pending: "Events that have no fate yet."
}

function sum<A>(all: ReadonlyArray<A>, countOf: (one: A) => number): number {
  return all.reduce((total, one) => total + countOf(one), 0)
}
