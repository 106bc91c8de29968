/** What a kill interrupted, read from the rows that were there when it came. */
import { Data, Effect } from "effect"
import pg from "pg"

export const columns = ["accepted-unstarted", "awaiting-model", "streaming", "committed-unsent", "ambiguous"] as const
export type Column = (typeof columns)[number]

/** The record at the moment of a kill. */
export interface Autopsy {
  /** What was killed, and when. */
  readonly kill: string
  /** The server is dead: what it was about to do will never be done by it. */
  readonly isDead: boolean
  /** Accepted events that no turn asked about, turns by whether their model spoke, replies by whether a send began. */
  readonly counts: Readonly<Record<Column, number>>
  /** Sends that had begun and of which nobody knows whether they were taken. */
  readonly ambiguous: ReadonlyArray<{ readonly key: string; readonly n: number }>
  /** Rows of attempts, by key. */
  readonly attempts: ReadonlyMap<string, number>
  /** How often each key had arrived, counted before the rows were read. */
  readonly arrivals: ReadonlyMap<string, number>
}

/** A conversation, by its thread, in which a turn waits for its end. */
export interface OpenTurn {
  readonly conversation: string
  readonly thread: string
  readonly turn: number
  readonly attempt: number
}

export class NoRows extends Data.TaggedError("NoRows")<{ readonly reason: string }> {}

/** All of one snapshot. */
const question = `select
  (select count(*) from inbound i left join conversation c on c.id = i.conversation
    where i.fate is null and i.position > coalesce((c.context ->> 'asked')::bigint, 0))::integer as unstarted,
  (select coalesce(json_agg(json_build_object('conversation', id, 'thread', split_part(id, '/', 3),
      'turn', context -> 'turn', 'attempt', context -> 'attempt')), '[]')
    from conversation where jsonb_typeof(value) = 'object') as open,
  (select count(*) from outbound o
    where state = 'due' and not exists (select from attempt where outbound = o.key))::integer as unsent,
  (select coalesce(json_agg(json_build_object('key', outbound, 'n', n)), '[]')
    from attempt a join outbound o on o.key = a.outbound where a.result is null and o.state = 'due') as ambiguous,
  (select coalesce(json_object_agg(outbound, n), '{}')
    from (select outbound, count(*) as n from attempt group by outbound) t) as attempts`

interface Answer {
  readonly unstarted: number
  readonly open: ReadonlyArray<OpenTurn>
  readonly unsent: number
  readonly ambiguous: Autopsy["ambiguous"]
  readonly attempts: Readonly<Record<string, number>>
}

export interface Scene {
  readonly kill: string
  readonly databaseUrl: string
  readonly arrivals: Autopsy["arrivals"]
  readonly isStreaming: (turn: OpenTurn) => boolean
}

/** Waits, where the server is dead, until what it had sent to PostgreSQL is done or undone. */
export const examine = Effect.fn("examine")(function* (scene: Scene, isDead: boolean) {
  const { arrivals, databaseUrl, isStreaming, kill } = scene
  const answer = yield* ask(databaseUrl, isDead)
  const streaming = answer.open.filter(isStreaming).length
  const counts = {
    "accepted-unstarted": answer.unstarted,
    "awaiting-model": answer.open.length - streaming,
    streaming,
    "committed-unsent": answer.unsent,
    ambiguous: answer.ambiguous.length
  }
  const attempts = new Map(Object.entries(answer.attempts))
  return { kill, isDead, counts, ambiguous: answer.ambiguous, attempts, arrivals } satisfies Autopsy
})

const others = `select count(*)::integer as count from pg_stat_activity
  where datname = current_database() and application_name like 'parley%'`

const ask = (connectionString: string, isDead: boolean) =>
  Effect.tryPromise({
    try: async () => {
      const client = new pg.Client({ connectionString, ssl: false, connectionTimeoutMillis: 10_000 })
      client.on("error", () => {})
      await client.connect()
      try {
        if (isDead) while ((await client.query(others)).rows[0].count > 0);
        return (await client.query<Answer>(question)).rows[0]!
      } finally {
        await client.end()
      }
    },
    catch: (error) => new NoRows({ reason: String(error) })
  })

export function totalsOf(autopsies: ReadonlyArray<Autopsy>): Readonly<Record<Column, number>> {
  const total = (column: Column) => autopsies.reduce((sum, { counts }) => sum + counts[column], 0)
  return Object.fromEntries(columns.map((column) => [column, total(column)])) as Record<Column, number>
}

/** The columns, of those that are asked for, that no kill has hit. */
export function missedBy(
  autopsies: ReadonlyArray<Autopsy>,
  among: ReadonlyArray<Column> = columns
): ReadonlyArray<Column> {
  const totals = totalsOf(autopsies)
  return among.filter((column) => totals[column] === 0)
}

export function tableOf(autopsies: ReadonlyArray<Autopsy>): string {
  const wide = Math.max(4, ...autopsies.map(({ kill }) => kill.length))
  const row = (name: string, cells: ReadonlyArray<string | number>) =>
    [name.padEnd(wide), ...cells.map((cell, index) => String(cell).padStart(columns[index]!.length))].join("  ")
  const totals = totalsOf(autopsies)
  return [
    row("kill", columns),
    ...autopsies.map(({ counts, kill }) =>
      row(
        kill,
        columns.map((column) => counts[column])
      )
    ),
    row(
      "all",
      columns.map((column) => totals[column])
    )
  ].join("\n")
}
