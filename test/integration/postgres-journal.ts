/** Journals of two owners on one real PostgreSQL; the first one's connections go through a proxy that cuts them. */
import { Context, Effect, Layer, Redacted } from "effect"
import { randomId } from "../../src/domain/random-id.ts"
import { Database, layer as layerDatabase } from "../../src/store/database.ts"
import { Journal } from "../../src/store/journal.ts"
import { layer as layerJournal } from "../../src/store/journal-postgres.ts"
import { openCuttingProxy } from "./cutting-proxy.ts"
import { withDatabase } from "./postgres.ts"

const databaseLimits = { readersMax: 4, connectMaxMs: 5_000, statementMaxMs: 30_000 }
/** Small batches, so that many are cut, bisected and held back. */
const writerLimits = { batchMax: 6, queueMax: 1_000 }

export const openPostgresJournal = Effect.fn("openPostgresJournal")(function* (url: string) {
  const layers = layerJournal({ owner: randomId(), limits: writerLimits }).pipe(
    Layer.provideMerge(layerDatabase({ url: Redacted.make(url), ...databaseLimits }, "strict"))
  )
  const context = yield* Layer.build(layers)
  return { journal: Context.get(context, Journal), database: Context.get(context, Database) }
})

export const openTwoOwners = Effect.gen(function* () {
  const url = yield* withDatabase
  // Its migrations come first: both of them at once would wait for each other.
  const second = yield* openPostgresJournal(url)
  const proxy = yield* openCuttingProxy(url)
  const first = yield* openPostgresJournal(proxy.url)
  return { first, second, proxy }
})
