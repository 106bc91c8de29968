/** What the operator is shown, read from the running parts. */
import * as Effect from "effect/Effect"
import type { Account } from "../actors/account.ts"
import type { InferenceScheduler } from "../inference/scheduler.ts"
import { census, outboxCensus, terms } from "../store/census.ts"
import type { Database } from "../store/database.ts"
import type { Health } from "./health.ts"
import { type Metric, textOf } from "./metrics.ts"
import { stepMetrics } from "./step-metrics.ts"

export interface Observed {
  readonly database: Database["Service"]
  readonly scheduler: InferenceScheduler["Service"]
  /** The accounts that are open now. */
  readonly accounts: ReadonlyMap<string, Account>
  /** The accounts that are configured. */
  readonly configured: ReadonlyArray<string>
  readonly durability: "strict" | "relaxed"
}

export const healthOf = Effect.fn("healthOf")(function* (observed: Observed): Effect.fn.Return<Health> {
  const { accounts, configured, database, durability, scheduler } = observed
  const trouble = yield* database.trouble
  const { ready, trouble: modelTrouble } = yield* scheduler.stats
  const closed = configured.filter((id) => !accounts.has(id))
  const parts = {
    database: trouble ?? "up",
    // It may have become ready between the two questions.
    model: ready ? "up" : modelTrouble || "it is not ready",
    ...Object.fromEntries(configured.map((id) => [id, accounts.has(id) ? "up" : "it is being opened"]))
  }
  return { ready: trouble === undefined && ready && closed.length === 0, durability, parts }
})

/** Without a database there are no counts: the gauges of this process are shown alone. */
export const metricsOf = Effect.fn("metricsOf")(function* ({ accounts, database, scheduler }: Observed) {
  const counts = yield* Effect.orElseSucceed(census(database), () => [])
  const outbox = yield* Effect.orElseSucceed(outboxCensus(database), () => undefined)
  const stats = yield* scheduler.stats
  const open = [...accounts.values()]
  const gauge = (name: string, help: string, value: number): Metric => ({
    name,
    help,
    type: "gauge",
    samples: [{ value }]
  })
  const counter = (name: string, help: string, value: number): Metric => ({
    name,
    help,
    type: "counter",
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
    gauge("parley_turns_running", "Turns that have a slot of the model.", stats.running),
    labelled("gauge", "parley_turns_waiting", "Turns that wait for a slot.", "class", stats.waitingOf),
    labelled("counter", "parley_turns_refused_total", "Turns that the queue refused.", "reason", stats.refused),
    labelled("counter", "parley_turns_ended_total", "Turns that were admitted, by their end.", "end", stats.ended),
    counter("parley_turns_preempted_total", "Attempts that made way for others, since the start.", stats.preempted),
    gauge("parley_tokens_waiting", "Tokens of the turns that wait.", stats.waitingTokens),
    gauge("parley_tokens_reserved", "Tokens of the cache that are reserved for running turns.", stats.reservedTokens),
    labelled("gauge", "parley_service_spread", serviceSpread, "class", stats.spreadOf),
    counter("parley_turn_restarts_total", "Attempts begun again, since the start.", stats.restarts),
    ...stepMetrics(stats.steps === undefined ? [] : [{ model: stats.model, steps: stats.steps }])
  ])
})

const serviceSpread = "Weighted tokens between the users who wait that were served most and least."

function labelled(
  type: Metric["type"],
  name: string,
  help: string,
  label: string,
  values: Readonly<Record<string, number>>
): Metric {
  const samples = Object.entries(values).map(([key, value]) => ({ labels: { [label]: key }, value }))
  return { name, help, type, samples }
}

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
