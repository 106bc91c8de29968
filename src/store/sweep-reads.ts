/** Who has to be woken: read page by page, off the way of a message. */
import type * as Effect from "effect/Effect"
import { sql } from "kysely"
import { type Count, census } from "./census.ts"
import type { Database } from "./database.ts"
import type { Unavailable } from "./journal.ts"

/** All that the sweeper asks of the store. */
export interface SweepReads {
  readonly withPending: Page
  readonly open: Page
  readonly withDue: Page
  readonly withTimers: (
    after: DueTimer,
    dueByMs: number,
    idsMax: number
  ) => Effect.Effect<ReadonlyArray<DueTimer>, Unavailable>
  readonly forgetSettled: (beforeMs: number, rowsMax: number) => Effect.Effect<number, Unavailable>
  readonly census: Effect.Effect<ReadonlyArray<Count>, Unavailable>
}

/** The ids of conversations behind `after`, in the order of their ids. */
export type Page = (after: string, idsMax: number) => Effect.Effect<ReadonlyArray<string>, Unavailable>

export function sweepReadsOf(database: Database["Service"]): SweepReads {
  return {
    withPending: withPending(database),
    open: open(database),
    withDue: withDue(database),
    withTimers: withTimers(database),
    forgetSettled: forgetSettled(database),
    census: census(database)
  }
}

type PageOf = (database: Database["Service"]) => Page

/** Those with events that have no fate. */
const withPending: PageOf =
  ({ query }) =>
  (after, idsMax) =>
    query(async (db) => {
      // A loose index scan: one probe an id, however many events each has.
      const { rows } = await sql<{ conversation: string }>`
      with recursive ids as (
        (select conversation from inbound where fate is null and conversation > ${after} order by conversation limit 1)
        union all
        select (select i.conversation from inbound i where i.fate is null and i.conversation > ids.conversation
          order by i.conversation limit 1) from ids where ids.conversation is not null)
      select conversation from ids where conversation is not null limit ${idsMax}`.execute(db)
      return rows.map(({ conversation }) => conversation)
    })

/** Those that owe something which only a live actor can do. */
const open: PageOf =
  ({ query }) =>
  (after, idsMax) =>
    query(async (db) => {
      const ids = db.selectFrom("conversation").select("id").where("open", "=", true).where("id", ">", after)
      return (await ids.orderBy("id").limit(idsMax).execute()).map(({ id }) => id)
    })

/** Those with undelivered messages. */
const withDue: PageOf =
  ({ query }) =>
  (after, idsMax) =>
    query(async (db) => {
      const ids = db.selectFrom("outbound").select("conversation").distinct().where("state", "=", "due")
      const page = await ids.where("conversation", ">", after).orderBy("conversation").limit(idsMax).execute()
      return page.map(({ conversation }) => conversation)
    })

export interface DueTimer {
  readonly id: string
  readonly wakeAtMs: number
}

/** Those behind `after` with a timer due by then, the longest overdue first. */
const withTimers =
  ({ query }: Database["Service"]): SweepReads["withTimers"] =>
  (after, dueByMs, idsMax) =>
    query(async (db) => {
      const { rows } = await sql<DueTimer>`
      select id, wake_at_ms as "wakeAtMs" from conversation
      where wake_at_ms <= ${dueByMs} and (wake_at_ms, id) > (${after.wakeAtMs}, ${after.id})
      order by wake_at_ms, id limit ${idsMax}`.execute(db)
      return rows
    })

/** Forgets dedup keys, and with them settled events, older than `beforeMs`; at most `rowsMax` at a time. */
const forgetSettled =
  ({ query }: Database["Service"]): SweepReads["forgetSettled"] =>
  (beforeMs, rowsMax) =>
    query(async (db) => {
      const old = db
        .selectFrom("inbound")
        .select("position")
        .where("fate", "is not", null)
        .where("at_ms", "<", beforeMs)
        .orderBy("position")
        .limit(rowsMax)
      const { numDeletedRows } = await db.deleteFrom("inbound").where("position", "in", old).executeTakeFirst()
      return Number(numDeletedRows)
    })
