/** How the server does, as one document: what is up, what waits, what was counted. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { ServedModel } from "../../inference/model-pool.ts"
import { census, outboxCensus, terms } from "../../store/census.ts"
import type { ModelHealth } from "../health.ts"
import { healthOf, type Observed } from "../observe.ts"

export interface StatusOptions extends Observed {
  readonly startedAtMs: number
}

export const statusOf = Effect.fn("statusOf")(function* (options: StatusOptions) {
  const { accounts, configured, database, models, startedAtMs } = options
  const health = yield* healthOf(options)
  const open = [...accounts.values()].map(({ conversations }) => conversations)
  // Without a database there are no counts; what is wrong with it stands in `parts`.
  const counts = yield* Effect.orElseSucceed(census(database), () => undefined)
  const outbox = yield* Effect.orElseSucceed(outboxCensus(database), () => undefined)
  return {
    nowMs: yield* Clock.currentTimeMillis,
    startedAtMs,
    ...health,
    models: yield* Effect.forEach(models, (model, nth) => withLoad(health.models[nth]!, model)),
    conversations: {
      live: open.reduce((sum, all) => sum + all.live(), 0),
      busy: open.reduce((sum, all) => sum + all.busy(), 0)
    },
    outbox: outbox ?? null,
    events: counts === undefined ? null : tableOf(counts, configured)
  }
})

const withLoad = Effect.fnUntraced(function* (health: ModelHealth, { scheduler }: ServedModel) {
  const { running, slotsMax, turnMs, waitingOf } = yield* scheduler.stats
  return { ...health, slots: slotsMax, running, ...waitingOf, turnMs }
})

/** By account, also of those that are not configured any more. */
function tableOf(counts: Effect.Success<ReturnType<typeof census>>, configured: ReadonlyArray<string>) {
  const ids = [...new Set([...configured, ...counts.map(({ account }) => account)])].sort()
  return ids.map((account) => ({
    account,
    ...Object.fromEntries(
      terms.map((term) => [term, counts.find((one) => one.account === account && one.term === term)?.count ?? 0])
    )
  }))
}
