/**
 * The connections to PostgreSQL: one for the writer, whose lost answers must be told from refusals, and a pool for
 * reads. Both come back by themselves after the server does.
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { Kysely, PostgresDialect } from "kysely"
import { Migrator } from "kysely/migration"
import pg from "pg"
import { migrations } from "../../schema/migrations.ts"
import type { Tables } from "../../schema/tables.ts"
import { randomId } from "../domain/random-id.ts"
import { DatabaseTrouble } from "./database-trouble.ts"
import { Unavailable } from "./journal.ts"

export interface Statement {
  /** Prepared once per connection under this name. */
  readonly name: string
  readonly text: string
  readonly values: ReadonlyArray<unknown>
}

export type ResultRow = Readonly<Record<string, unknown>>

/** The server refused the statement: nothing of it was written. */
export class StatementFailed extends Data.TaggedError("StatementFailed")<{
  /** https://www.postgresql.org/docs/18/errcodes-appendix.html */
  readonly sqlState: string
  readonly reason: string
}> {}

/** The answer was lost. When `wasSent`, the statement may have been carried out or not. */
export class ConnectionLost extends Data.TaggedError("ConnectionLost")<{
  readonly wasSent: boolean
  readonly reason: string
}> {}

export class Database extends Context.Service<
  Database,
  {
    /** Runs one statement as one transaction on the writer's connection. One at a time. */
    readonly write: (statement: Statement) => Effect.Effect<ReadonlyArray<ResultRow>, StatementFailed | ConnectionLost>
    readonly read: (statement: Statement) => Effect.Effect<ReadonlyArray<ResultRow>, Unavailable>
    /** For queries that are not on the way of a message. */
    readonly query: <A>(run: (db: Kysely<Tables>) => Promise<A>) => Effect.Effect<A, Unavailable>
    /** What keeps it from answering, in words; undefined when it answers. */
    readonly trouble: Effect.Effect<string | undefined>
  }
>()("parley/store/Database") {}

export interface DatabaseOptions {
  readonly url: Redacted.Redacted
  readonly readersMax: number
  readonly connectMaxMs: number
  /** A server that is silent for so long is given up, and its connection closed. */
  readonly statementMaxMs: number
}

/** Connects, refuses a database that may lose what it acknowledged, and brings its schema up to date. */
export const layer = (options: DatabaseOptions, durability: "strict" | "relaxed") =>
  Layer.effect(
    Database,
    Effect.gen(function* () {
      const database = yield* open(options)
      yield* checkDurability(database, durability)
      yield* migrate(database)
      return database
    })
  )

/** BIGINT comes as a number: positions and times stay far below 2^53. */
const types: pg.CustomTypesConfig = {
  getTypeParser: (id, format) => (id === pg.types.builtins.INT8 ? Number : pg.types.getTypeParser(id, format))
}

/** How we connect to a server, whoever it belongs to. */
export function configOf({ connectMaxMs, url }: Pick<DatabaseOptions, "url" | "connectMaxMs">) {
  return {
    connectionString: Redacted.value(url),
    connectionTimeoutMillis: connectMaxMs,
    keepAlive: true,
    types,
    application_name: "parley"
  } satisfies pg.ClientConfig
}

const open = Effect.fn("Database.open")(function* (
  options: DatabaseOptions
): Effect.fn.Return<Database["Service"], never, Scope.Scope> {
  const { readersMax, statementMaxMs } = options
  const connection = configOf(options)
  const pool = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const opened = new pg.Pool({ ...connection, max: readersMax, query_timeout: statementMaxMs })
      opened.on("error", () => {}) // an idle connection broke; the next read opens another
      // One that breaks between two queries of a transaction: pg tells the next query, and would also end the process.
      opened.on("connect", (client) => client.on("error", () => {}))
      return opened
    }),
    (opened) => Effect.promise(() => opened.end())
  )
  // Whoever waits for a connection waits here: the pool would count the wait as a failure to connect.
  const turnstile = yield* Semaphore.make(readersMax)
  const kysely = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
  const writer = yield* Effect.acquireRelease(
    Effect.sync(() => new Writer({ ...connection, application_name: writerPrefix + randomId() }, statementMaxMs)),
    (opened) => Effect.promise(() => opened.end())
  )
  const query = <A>(run: (db: Kysely<Tables>) => Promise<A>) =>
    turnstile.withPermit(
      Effect.tryPromise({ try: () => run(kysely), catch: (cause) => new Unavailable({ reason: reasonOf(cause) }) })
    )
  return {
    write: (statement) => writer.write(statement),
    read: ({ name, text, values }) =>
      turnstile.withPermit(
        Effect.tryPromise({
          try: async () => (await pool.query({ name, text, values: [...values] })).rows as ReadonlyArray<ResultRow>,
          catch: (cause) => new Unavailable({ reason: reasonOf(cause) })
        })
      ),
    query,
    trouble: Effect.match(Effect.tryPromise({ try: () => pool.query("select 1"), catch: reasonOf }), {
      onFailure: (reason) => reason,
      onSuccess: () => undefined
    })
  }
})

/**
 * A server goes on with a statement whose client is gone, and its rows may appear behind those of the next connection:
 * positions would be out of order, and what was read back as absent would be there after all. So nothing is written
 * before our own earlier connection is ended, and before the last statement of a Parley that was killed is done.
 */
const writerPrefix = "parley writer "
const endOwnEarlier = `select pg_terminate_backend(pid, 5000) from pg_stat_activity
  where application_name = $1 and usename = current_user and pid <> pg_backend_pid()`
const othersAtWork = `select 1 from pg_stat_activity
  where application_name like '${writerPrefix}%' and application_name <> $1 and datname = current_database()
    and state = 'active'`
/**
 * A batch's rows come from JSON, of which the planner believes that there are a hundred: until a table has tens of
 * thousands of rows it would rather read all of it than look those up. Every statement of the writer looks up by key.
 */
const lookUps = ["hashjoin", "mergejoin", "seqscan"].map((name) => `set enable_${name} = off`).join("; ")
const othersPollMs = 50
const othersMaxMs = 5_000

/** Holds one connection, opened when it is first needed and again after it broke. */
class Writer {
  readonly #config: pg.ClientConfig
  readonly #statementMaxMs: number
  #client: pg.Client | undefined

  constructor(config: pg.ClientConfig, statementMaxMs: number) {
    this.#config = config
    this.#statementMaxMs = statementMaxMs
  }

  write(statement: Statement): Effect.Effect<ReadonlyArray<ResultRow>, StatementFailed | ConnectionLost> {
    return this.#client === undefined
      ? Effect.flatMap(this.#connect(), (client) => this.#send(client, statement))
      : this.#send(this.#client, statement)
  }

  async end(): Promise<void> {
    await this.#client?.end().catch(() => {})
  }

  #connect(): Effect.Effect<pg.Client, ConnectionLost> {
    // Its own timer, for a race of fibers costs more than the rest of a statement. Silence fails as a lost answer.
    const client = new pg.Client({ ...this.#config, query_timeout: this.#statementMaxMs })
    client.on("error", () => this.#drop(client))
    client.on("end", () => this.#drop(client))
    const lost = (cause: unknown) => new ConnectionLost({ wasSent: false, reason: reasonOf(cause) })
    const ask = (text: string) =>
      Effect.tryPromise({ try: () => client.query(text, [this.#config.application_name]), catch: lost })
    return Effect.tryPromise({ try: () => client.connect(), catch: lost }).pipe(
      Effect.andThen(Effect.tryPromise({ try: () => client.query(lookUps), catch: lost })),
      Effect.andThen(ask(endOwnEarlier)),
      Effect.andThen(
        Effect.repeat(ask(othersAtWork), {
          until: ({ rowCount }) => rowCount === 0,
          schedule: Schedule.spaced(othersPollMs),
          times: othersMaxMs / othersPollMs
        })
      ),
      Effect.timeoutOrElse({
        duration: this.#statementMaxMs,
        orElse: () => Effect.fail(lost("PostgreSQL did not answer in time"))
      }),
      Effect.tapError(() => Effect.sync(() => this.#drop(client))),
      Effect.map(() => {
        this.#client = client
        return client
      })
    )
  }

  #send(client: pg.Client, { name, text, values }: Statement) {
    return Effect.callback<ReadonlyArray<ResultRow>, StatementFailed | ConnectionLost>((resume) => {
      client.query({ name, text, values: [...values] }, (error: Error | null, result: pg.QueryResult<ResultRow>) => {
        resume(error ? Effect.fail(this.#failureOf(client, error)) : Effect.succeed(result.rows))
      })
    })
  }

  #failureOf(client: pg.Client, error: Error): StatementFailed | ConnectionLost {
    if (error instanceof pg.DatabaseError && error.code !== undefined && !isShutdown(error.code)) {
      return new StatementFailed({ sqlState: error.code, reason: error.message })
    }
    this.#drop(client)
    return new ConnectionLost({ wasSent: true, reason: reasonOf(error) })
  }

  #drop(client: pg.Client): void {
    if (this.#client === client) this.#client = undefined
    // Its socket, for `end` would wait for a server that may be gone or stopped.
    const { connection } = client as unknown as { connection?: { stream?: { destroy(): void } } }
    connection?.stream?.destroy()
  }
}

/** The server is going down, or went down under the statement: its outcome is not known. */
function isShutdown(sqlState: string): boolean {
  return sqlState.startsWith("57P") || sqlState.startsWith("08")
}

function reasonOf(cause: unknown): string {
  if (cause instanceof AggregateError) return cause.errors.map(reasonOf).join("; ")
  return cause instanceof Error ? cause.message : String(cause)
}

const checkDurability = Effect.fn("Database.checkDurability")(function* (
  { query }: Database["Service"],
  durability: "strict" | "relaxed"
) {
  const settings = yield* query(async (db) => {
    const { sql } = await import("kysely")
    const { rows } = await sql<{ name: string; setting: string }>`
      select name, setting from pg_settings where name in ('fsync', 'full_page_writes', 'synchronous_commit')`.execute(
      db
    )
    return rows
  }).pipe(Effect.mapError(({ reason }) => new DatabaseTrouble({ reason: `PostgreSQL does not answer: ${reason}` })))
  const off = settings.filter(({ setting }) => setting === "off").map(({ name }) => name)
  if (off.length === 0) return
  const names = off.join(" and ")
  if (durability === "strict") {
    return yield* new DatabaseTrouble({
      reason:
        `PostgreSQL runs with ${names} off, so it may lose what Parley acknowledged. ` +
        `Switch ${names} on, or write \`durability: relaxed\` into parley.yaml to accept that.`
    })
  }
  yield* Effect.logWarning(`durability is relaxed: PostgreSQL runs with ${names} off and may lose acknowledged events`)
})

const migrate = Effect.fn("Database.migrate")(function* ({ query }: Database["Service"]) {
  const { error, results } = yield* query((db) =>
    new Migrator({ db, provider: { getMigrations: async () => ({ ...migrations }) } }).migrateToLatest()
  ).pipe(Effect.mapError(({ reason }) => new DatabaseTrouble({ reason: `PostgreSQL does not answer: ${reason}` })))
  if (error === undefined) return
  const failed = results?.find(({ status }) => status === "Error")?.migrationName ?? "the check before them"
  return yield* new DatabaseTrouble({
    reason: `The database's schema could not be brought up to date: ${failed}: ${reasonOf(error)}`
  })
})
