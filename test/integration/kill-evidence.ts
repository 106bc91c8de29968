/** All that is known when a kill test has come to rest: what the outside saw, what /metrics say, and the rows. */
import { Effect } from "effect"
import pg from "pg"
import { terms } from "../../src/store/census.ts"
import type { Delivery } from "./callback-server.ts"
import { type Autopsy, NoRows } from "./kill-columns.ts"
import type { Sent } from "./kill-load.ts"
import { account } from "./kill-world.ts"
import type { Acknowledgement } from "./sender.ts"

export interface Evidence {
  /** In the order in which they were first sent. */
  readonly sent: ReadonlyArray<Sent>
  readonly acknowledgements: ReadonlyArray<Acknowledgement>
  /** In the order of arrival. */
  readonly deliveries: ReadonlyArray<Delivery>
  readonly autopsies: ReadonlyArray<Autopsy>
  readonly metrics: Readonly<Record<string, number>>
  readonly rows: Rows
  /** Answers are `echo: ` and the texts they answer. */
  readonly isEcho: boolean
}

export interface Rows {
  readonly inbound: ReadonlyArray<{ readonly event_key: string; readonly conversation: string; readonly fate: string }>
  readonly outbound: ReadonlyArray<{ readonly key: string; readonly state: string }>
  readonly attempts: ReadonlyArray<{ readonly key: string; readonly n: number; readonly result: string | null }>
  /** Turns with more than one answer on record. */
  readonly answeredTwice: ReadonlyArray<{ readonly conversation: string; readonly turn: number }>
  /** Conversations whose entries are not numbered 1, 2, 3, … */
  readonly gaps: ReadonlyArray<{ readonly conversation: string }>
}

const queries = {
  inbound: "select event_key, conversation, coalesce(fate, 'pending') as fate from inbound order by position",
  outbound: "select key, state from outbound",
  attempts: "select outbound as key, n, result from attempt",
  answeredTwice: `select conversation, turn from message where role = 'assistant'
    group by conversation, turn having count(*) > 1`,
  gaps: "select conversation from event group by conversation having max(seq) <> count(*)"
} satisfies Record<keyof Rows, string>

export const readRows = (connectionString: string) =>
  Effect.tryPromise({
    try: async (): Promise<Rows> => {
      const client = new pg.Client({ connectionString, ssl: false, connectionTimeoutMillis: 10_000 })
      client.on("error", () => {})
      await client.connect()
      try {
        const rows: Partial<Record<keyof Rows, unknown>> = {}
        for (const name of Object.keys(queries) as Array<keyof Rows>) {
          rows[name] = (await client.query(queries[name])).rows
        }
        return rows as unknown as Rows
      } finally {
        await client.end()
      }
    },
    catch: (error) => new NoRows({ reason: String(error) })
  })

/** The terms of conservation, `due` and what else a kill test asks for, as /metrics tell them. */
export const readMetrics = (address: string) =>
  Effect.tryPromise({
    try: async (signal) => {
      const response = await fetch(`${address}/metrics`, { signal })
      const text = await response.text()
      if (!response.ok) throw new Error(`${response.status} ${text}`)
      const value = (name: string, isRequired: boolean) => {
        const found = new RegExp(`^${name}(?:\\{[^}]*\\})? (\\d+)$`, "m").exec(text)?.[1]
        if (found === undefined && isRequired) throw new Error(`no ${name}`)
        return Number(found ?? 0)
      }
      // A term that counts nothing has no sample.
      const counted = terms.map((term) => {
        const name = `parley_events_${term}${term === "pending" ? "" : "_total"}`
        return [term, value(`${name}`, false)] as const
      })
      return { ...Object.fromEntries(counted), due: value("parley_outbox_due", true) } as Readonly<
        Record<string, number>
      >
    },
    catch: (error) => new NoRows({ reason: String(error) })
  })

/** The thread of a conversation's id. */
export const threadOf = (conversation: string) => conversation.slice(`webhook/${account}/`.length)
