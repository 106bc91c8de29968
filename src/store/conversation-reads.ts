/** Conversations as an operator sees them. Not on the way of a message; every read has a limit. */
import { sql } from "kysely"
import type { Database } from "./database.ts"
import { type AuditRow, type LetterRow, lettersOf } from "./dead-letters.ts"
import type { StoredTimer } from "./journal.ts"

export interface ConversationRow {
  readonly id: string
  /** Of its machine, as it is stored. */
  readonly value: unknown
  readonly turn: number | null
  /** Of its last entry. */
  readonly atMs: number
  /** Events without a fate, undelivered messages, open dead letters. */
  readonly pending: number
  readonly due: number
  readonly dead: number
}

export interface ConversationQuery {
  readonly account?: string | undefined
  /** Something is owed that needs a live actor, or nothing is. */
  readonly isOpen?: boolean | undefined
  readonly hasDue?: boolean | undefined
  readonly hasDead?: boolean | undefined
  /** Those whose ids come after it. */
  readonly after: string
  readonly max: number
}

/** In the order of their ids. */
export const conversations = ({ query }: Database["Service"], asked: ConversationQuery) =>
  query(async (db) => {
    const { account, after, hasDead, hasDue, isOpen, max } = asked
    const conditions = [
      sql`c.id > ${after}`,
      ...(account === undefined ? [] : [sql`c.account = ${account}`]),
      ...(isOpen === undefined ? [] : [isOpen ? sql`c.open` : sql`not c.open`]),
      ...(hasDue ? [sql`c.id in (select conversation from outbound where state = 'due')`] : []),
      ...(hasDead ? [sql`c.id in (select conversation from dead_letter where state = 'open')`] : [])
    ]
    const { rows } = await sql<ConversationRow>`
      select c.id, c.value, (c.context->>'turn')::integer as turn, c.at_ms as "atMs", ${counts}
      from conversation c where ${sql.join(conditions, sql` and `)} order by c.id limit ${max}`.execute(db)
    return rows
  })

const counts = sql`
  (select count(*) from inbound i where i.conversation = c.id and i.fate is null) as pending,
  (select count(*) from outbound o where o.conversation = c.id and o.state = 'due') as due,
  (select count(*) from dead_letter d where d.conversation = c.id and d.state = 'open') as dead`

export interface Inspected extends ConversationRow {
  readonly account: string
  readonly machine: string
  readonly version: number
  readonly seq: number
  readonly context: unknown
  readonly timers: ReadonlyArray<StoredTimer>
  /** Performing its last event has failed so often. */
  readonly defects: number
}

export interface InspectedMessage {
  readonly key: string
  readonly turn: number
  readonly outcome: string
  readonly atMs: number
  readonly dueAtMs: number
  readonly attempts: number
  /** Of the last attempt; null while it is sent. */
  readonly result: string | null
  readonly reason: string | null
  readonly endedAtMs: number | null
}

export interface InspectedLine {
  readonly seq: number
  readonly role: string
  readonly turn: number
  readonly atMs: number
  readonly characters: number
  /** Null unless it was asked for. */
  readonly text: string | null
}

export interface Inspection {
  /** Undefined for one that has handled nothing yet. */
  readonly conversation: Inspected | undefined
  readonly pending: { readonly count: number; readonly oldestAtMs: number | null }
  readonly outbox: ReadonlyArray<InspectedMessage>
  /** The newest first. */
  readonly deadLetters: ReadonlyArray<LetterRow>
  /** The newest ones, in their order. */
  readonly messages: ReadonlyArray<InspectedLine>
  readonly audit: ReadonlyArray<AuditRow>
}

const outboxMax = 20
const lettersMax = 5
const auditMax = 5

/** Undefined when there is nothing of it. */
export const inspect = (database: Database["Service"], id: string, messagesMax: number, withTexts: boolean) =>
  database.query(async (db): Promise<Inspection | undefined> => {
    const found = await sql<Inspected>`
      select c.id, c.account, c.machine, c.version, c.seq, c.value, c.context, c.timers, c.defects,
        (c.context->>'turn')::integer as turn, c.at_ms as "atMs", ${counts}
      from conversation c where c.id = ${id}`.execute(db)
    const pending = await sql<Inspection["pending"]>`
      select count(*) as count, min(at_ms) as "oldestAtMs" from inbound
      where conversation = ${id} and fate is null`.execute(db)
    const outbox = await sql<InspectedMessage>`
      select o.key, o.turn, o.outcome, o.at_ms as "atMs", o.due_at_ms as "dueAtMs", coalesce(a.n, 0) as attempts,
        a.result, a.reason, a.ended_at_ms as "endedAtMs"
      from outbound o
      left join lateral (select * from attempt where outbound = o.key order by n desc limit 1) a on true
      where o.conversation = ${id} and o.state = 'due' order by o.seq, o.index limit ${outboxMax}`.execute(db)
    const messages = await sql<InspectedLine>`
      select seq, role, turn, at_ms as "atMs", char_length(text) as characters,
        ${withTexts ? sql`text` : sql`null::text`} as text
      from message where conversation = ${id} order by seq desc limit ${messagesMax}`.execute(db)
    const deadLetters = await lettersOf(db, { conversation: id, max: lettersMax })
    const audited = await db
      .selectFrom("audit")
      .select(["at_ms as atMs", "operator", "address", "action", "subject"])
      .where("conversation", "=", id)
      .orderBy("id", "desc")
      .limit(auditMax)
      .execute()
    const [conversation] = found.rows
    const waiting = pending.rows[0]!
    if (conversation === undefined && waiting.count === 0) return undefined
    return {
      conversation,
      pending: waiting,
      outbox: outbox.rows,
      deadLetters,
      messages: messages.rows.toReversed(),
      audit: audited
    }
  })
