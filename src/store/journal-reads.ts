/** The reads on the way of a message, and what their rows mean. */
import { partsOf } from "../domain/ids.ts"
import type { Outcome } from "../domain/outbound.ts"
import type { ResultRow } from "./database.ts"
import type { Due, Loaded, PendingInbound, StoredMessage, StoredTimer } from "./journal.ts"

const load = `select c.machine, c.version, c.value, c.context, c.seq, c.message_seq, c.handled, c.timers, c.defects,
    c.at_ms,
    f.seq as forgotten_seq, f.message_seq as forgotten_message_seq,
    (select json_agg(p order by p.position) from (
      select i.position, i.event_key, i.user_id, i.user_name, i.text from inbound i
      where i.conversation = r.id and i.fate is null and i.position > coalesce(c.handled, 0)
      order by i.position limit $2) p) as pending,
    r.id
  from (select $1::text as id) r left join conversation c on c.id = r.id
    left join forgotten f on c.id is null and f.conversation = encode(sha256(convert_to(r.id, 'UTF8')), 'hex')`

const due = `select o.key, o.conversation, o.turn, o.text, o.outcome, o.in_reply_to, o.due_at_ms,
    coalesce(o.renewed_at_ms, o.at_ms) as at_ms, o.attempts_before,
    coalesce(a.n, 0) as attempts, a.n is not null and a.result is null as was_sending
  from outbound o
  left join lateral (select n, result from attempt where outbound = o.key order by n desc limit 1) a on true
  where o.conversation = $1 and o.state = 'due' order by o.seq, o.index limit $2`

const messages = `select m.role, m.text, m.turn, m.position,
    case when m.turn = $2 then
      (select array[i.user_id, i.event_key] from inbound i where i.position = m.position) end as origin
  from message m where m.conversation = $1 and m.turn <= $2 and m.role <> 'notice' order by m.seq desc limit $3`

export const reads = {
  load: { name: "load", text: load },
  due: { name: "due", text: due },
  messages: { name: "messages", text: messages }
} as const

export function loadedOf([row]: ReadonlyArray<ResultRow>): Loaded {
  const conversation = row?.["id"] as string
  const pending = ((row?.["pending"] ?? []) as ReadonlyArray<ResultRow>).map((one) => pendingOf(conversation, one))
  if (row === undefined || row["machine"] === null) {
    const seq = row?.["forgotten_seq"] as number | null | undefined
    const forgotten = { seq: seq ?? 0, messageSeq: (row?.["forgotten_message_seq"] as number | null) ?? 0 }
    return { stored: undefined, pending, ...(typeof seq === "number" && { forgotten }) }
  }
  const { at_ms, context, defects, handled, machine, message_seq, seq, timers, value, version } = row
  const stored = {
    seq: seq as number,
    atMs: at_ms as number,
    snapshot: { machine: machine as string, version: version as number, value, context },
    timers: timers as ReadonlyArray<StoredTimer>,
    handled: handled as number,
    defects: defects as number,
    messageSeq: message_seq as number
  }
  return { stored, pending }
}

function pendingOf(conversation: string, row: ResultRow): PendingInbound {
  const name = row["user_name"] as string | null
  return {
    conversation,
    position: row["position"] as number,
    eventKey: row["event_key"] as string,
    user: { id: row["user_id"] as string, ...(name === null ? {} : { name }) },
    text: row["text"] as string
  }
}

export function messageOf(row: ResultRow): StoredMessage {
  const [userId = null, eventKey = null] = (row["origin"] ?? []) as ReadonlyArray<string | null>
  return {
    role: row["role"] as StoredMessage["role"],
    text: row["text"] as string,
    turn: row["turn"] as number,
    ...(userId === null ? {} : { userId }),
    ...(eventKey === null ? {} : { eventKey })
  }
}

export function dueOf(row: ResultRow): Due {
  const conversation = row["conversation"] as string
  return {
    outbound: {
      key: row["key"] as string,
      conversation,
      thread: partsOf(conversation).thread,
      turn: row["turn"] as number,
      text: row["text"] as string,
      outcome: row["outcome"] as Outcome,
      inReplyTo: row["in_reply_to"] as ReadonlyArray<string>
    },
    attempts: row["attempts"] as number,
    attemptsBefore: row["attempts_before"] as number,
    wasSending: row["was_sending"] as boolean,
    dueAtMs: row["due_at_ms"] as number,
    atMs: row["at_ms"] as number
  }
}
