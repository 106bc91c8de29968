/** Who has to be woken: read page by page, off the way of a message. */
import type * as Effect from "effect/Effect"
import { sql } from "kysely"
import type { Database } from "./database.ts"
import type { Unavailable } from "./journal.ts"

/** The ids of conversations behind `after`, in the order of their ids. */
export type Page = (
  database: Database["Service"],
  after: string,
  idsMax: number
) => Effect.Effect<ReadonlyArray<string>, Unavailable>

/** Those with events that have no fate. */
export const withPending: Page = ({ query }, after, idsMax) =>
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
export const open: Page = ({ query }, after, idsMax) =>
  query(async (db) => {
    const ids = db.selectFrom("conversation").select("id").where("open", "=", true).where("id", ">", after)
    return (await ids.orderBy("id").limit(idsMax).execute()).map(({ id }) => id)
  })

/** Those with undelivered messages. */
export const withDue: Page = ({ query }, after, idsMax) =>
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
export const withTimers = ({ query }: Database["Service"], after: DueTimer, dueByMs: number, idsMax: number) =>
  query(async (db) => {
    const { rows } = await sql<DueTimer>`
      select id, wake_at_ms as "wakeAtMs" from conversation
      where wake_at_ms <= ${dueByMs} and (wake_at_ms, id) > (${after.wakeAtMs}, ${after.id})
      order by wake_at_ms, id limit ${idsMax}`.execute(db)
    return rows
  })

/** Forgets dedup keys, and with them settled events, older than `beforeMs`; at most `rowsMax` at a time. */
export const forgetSettled = ({ query }: Database["Service"], beforeMs: number, rowsMax: number) =>
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
