/** What a database says of itself, and how long a commit takes on it. Nothing is written but marks in its log. */
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import pg from "pg"
import { migrations } from "../../schema/migrations.ts"
import { configOf } from "./database.ts"

export interface CheckUp {
  /** "18.4" */
  readonly version: string
  /** Of fsync, full_page_writes and synchronous_commit, those that are off. */
  readonly off: ReadonlyArray<string>
  readonly bytes: number
  /** Half of the commits took no longer. */
  readonly commitMs: number
  readonly commitMostMs: number
  /** Migrations of ours that are not done, and done ones that are not ours. */
  readonly schema: { readonly missing: ReadonlyArray<string>; readonly unknown: ReadonlyArray<string> }
  readonly isInRecovery: boolean
  /** The table with the most rows that are dead and not yet removed, as PostgreSQL counts them. */
  readonly bloated: { readonly table: string; readonly dead: number; readonly live: number } | undefined
}

/** `sqlState` where a server answered, if only to refuse. https://www.postgresql.org/docs/18/errcodes-appendix.html */
export class NoCheckUp extends Data.TaggedError("NoCheckUp")<{
  readonly sqlState: string | undefined
  readonly reason: string
}> {}

const connectMaxMs = 5_000
const queryMaxMs = 5_000
const commits = 15

export const checkUp = Effect.fn("checkUp")(function* (
  url: Redacted.Redacted
): Effect.fn.Return<CheckUp, NoCheckUp, Scope.Scope> {
  const client = yield* connect(url)
  const ask = (text: string) =>
    Effect.map(
      attempt(() => client.query<Record<string, string>>(text)),
      ({ rows }) => rows
    )
  const [about] = yield* ask(
    "select current_setting('server_version') as version, pg_database_size(current_database()) as bytes," +
      " pg_is_in_recovery()::text as recovery, to_regclass('kysely_migration')::text as migrated"
  )
  const off = yield* ask(
    "select name from pg_settings where setting = 'off'" +
      " and name in ('fsync', 'full_page_writes', 'synchronous_commit') order by name"
  )
  const [most] = yield* ask(
    "select relname as table, n_dead_tup as dead, n_live_tup as live from pg_stat_user_tables" +
      " order by n_dead_tup desc limit 1"
  )
  const isInRecovery = about?.["recovery"] === "true"
  const done = about?.["migrated"] ? yield* ask("select name from kysely_migration order by name") : []
  const names = done.map(({ name }) => name ?? "")
  const ours = Object.keys(migrations)
  const durations = isInRecovery ? [] : yield* commitsOf(ask)
  return {
    version: about?.["version"]?.split(" ")[0] ?? "",
    off: off.map(({ name }) => name ?? ""),
    bytes: Number(about?.["bytes"]),
    commitMs: durations[Math.floor(durations.length / 2)] ?? 0,
    commitMostMs: durations.at(-1) ?? 0,
    schema: {
      missing: ours.filter((name) => !names.includes(name)),
      unknown: names.filter((name) => !ours.includes(name))
    },
    isInRecovery,
    bloated: most && { table: most["table"] ?? "", dead: Number(most["dead"]), live: Number(most["live"]) }
  }
})

/** In order. A message in the log is what makes a transaction without rows flush it. */
const commitsOf = Effect.fnUntraced(function* <A>(ask: (text: string) => Effect.Effect<A, NoCheckUp>) {
  const durations: Array<number> = []
  for (let n = 0; n < commits; n++) {
    const began = yield* Clock.currentTimeNanos
    yield* ask("select pg_logical_emit_message(true, 'parley doctor', '')")
    durations.push(Number((yield* Clock.currentTimeNanos) - began) / 1e6)
  }
  return durations.toSorted((a, b) => a - b)
})

const connect = (url: Redacted.Redacted) =>
  Effect.acquireRelease(
    Effect.suspend(() => {
      const client = new pg.Client({
        ...configOf({ url, connectMaxMs }),
        application_name: "parley doctor",
        query_timeout: queryMaxMs
      })
      client.on("error", () => {})
      return Effect.as(
        Effect.onError(
          attempt(() => client.connect()),
          () => end(client)
        ),
        client
      )
    }),
    (client) => end(client)
  )

/** Does not wait: a server that hangs would not say goodbye. */
const end = (client: pg.Client) => Effect.sync(() => void client.end().catch(() => {}))

const attempt = <A>(ask: () => Promise<A>) =>
  Effect.tryPromise({
    try: ask,
    catch: (error) =>
      new NoCheckUp({ sqlState: error instanceof pg.DatabaseError ? error.code : undefined, reason: wordsOf(error) })
  })

function wordsOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(wordsOf).join("; ")
  return error instanceof Error ? error.message : String(error)
}
