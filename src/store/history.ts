/** What was said in a conversation, for those who show it. Not on the way of a message. */
import * as Effect from "effect/Effect"
import type { Database, ResultRow } from "./database.ts"
import type { MessageRow, Unavailable } from "./journal.ts"

export interface HistoryMessage extends Pick<MessageRow, "role" | "text" | "turn"> {
  /** 1, 2, 3, … within its conversation. */
  readonly seq: number
  /** Milliseconds since the epoch. */
  readonly atMs: number
  /** The key of the event that a person's message came with. */
  readonly eventKey?: string
}

export interface History {
  /** The `seq` of the newest message; 0 when there is none. */
  readonly seq: number
  /** In order. */
  readonly messages: ReadonlyArray<HistoryMessage>
}

const columns = `m.seq, m.role, m.text, m.turn, m.at_ms,
  (select i.event_key from inbound i where i.position = m.position) as event_key`

const newest = `select c.message_seq, m.* from conversation c left join lateral (
    select ${columns} from message m where m.conversation = c.id order by m.seq desc limit $2) m on true
  where c.id = $1`

const after = `select c.message_seq, m.* from conversation c left join lateral (
    select ${columns} from message m where m.conversation = c.id and m.seq > $3 order by m.seq limit $2) m on true
  where c.id = $1`

/** The first `max` messages after `since`; without it the newest ones. Empty for a conversation that never was. */
export function readHistory(
  database: Database["Service"],
  conversation: string,
  since: number | undefined,
  max: number
): Effect.Effect<History, Unavailable> {
  const statement =
    since === undefined
      ? { name: "history-newest", text: newest, values: [conversation, max] }
      : { name: "history-after", text: after, values: [conversation, max, since] }
  return Effect.map(database.read(statement), (rows) => ({
    seq: (rows[0]?.["message_seq"] as number | undefined) ?? 0,
    messages: rows
      .filter((row) => row["seq"] !== null)
      .map(messageOf)
      .toSorted((a, b) => a.seq - b.seq)
  }))
}

function messageOf(row: ResultRow): HistoryMessage {
  const eventKey = row["event_key"] as string | null
  return {
    seq: row["seq"] as number,
    role: row["role"] as HistoryMessage["role"],
    text: row["text"] as string,
    turn: row["turn"] as number,
    atMs: row["at_ms"] as number,
    ...(eventKey === null ? {} : { eventKey })
  }
}
