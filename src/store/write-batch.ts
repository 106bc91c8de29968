/**
 * One statement, and so one transaction and one flush, for a whole batch: each part writes one table's rows from a JSON
 * array. A batch without rows for a part goes without that part, so there are a few dozen prepared statements.
 */

import { accountId, accountOf, conversationId } from "../domain/ids.ts"
import type { Inbound } from "../domain/inbound.ts"
import type { Statement } from "./database.ts"
import type { Attempt, AttemptEnd, Entry } from "./journal.ts"

export type Write =
  | { readonly kind: "accept"; readonly entry: string; readonly inbound: Inbound; readonly atMs: number }
  | { readonly kind: "entry"; readonly entry: string; readonly body: Entry }
  | { readonly kind: "begin"; readonly entry: string; readonly body: Attempt }
  | { readonly kind: "end"; readonly entry: string; readonly body: AttemptEnd }
  /** Has no rows: whoever waits for it knows of all that were written before. */
  | { readonly kind: "mark"; readonly entry: string }

interface Part {
  readonly name: string
  readonly sql: (parameter: string) => string
}

/** In the order of their bits in a statement's name; a later part may read what an earlier one returns. */
const parts: ReadonlyArray<Part> = [
  {
    name: "accepted",
    sql: (rows) => `accepted as (
      insert into inbound (entry, account, conversation, event_key, user_id, user_name, text, at_ms)
      select entry, account, conversation, event_key, user_id, user_name, text, at_ms
      from json_to_recordset(${rows}::json) as r(n integer, entry uuid, account text, conversation text, event_key text,
        user_id text, user_name text, text text, at_ms bigint) order by n
      on conflict (account, event_key) do nothing
      returning entry, position, account)`
  },
  {
    name: "entries",
    sql: (rows) => `entries as (
      select * from json_to_recordset(${rows}::json) as r(conversation text, account text, seq bigint, entry uuid,
        type text, payload jsonb, dead text, at_ms bigint, machine text, version integer, value jsonb, context jsonb,
        message_seq bigint, handled bigint, timers jsonb, wake_at_ms bigint, open boolean, defects integer)),
    events as (
      insert into event (conversation, seq, entry, type, payload, dead, at_ms)
      select conversation, seq, entry, type, payload, dead, at_ms from entries),
    conversations as (
      insert into conversation as c (id, account, machine, version, value, context, seq, message_seq, handled, timers,
        wake_at_ms, open, defects, at_ms)
      select conversation, account, machine, version, value, context, seq, message_seq, handled, timers,
        wake_at_ms, open, defects, at_ms from entries
      on conflict (id) do update set machine = excluded.machine, version = excluded.version, value = excluded.value,
        context = excluded.context, seq = excluded.seq, message_seq = excluded.message_seq, handled = excluded.handled,
        timers = excluded.timers, wake_at_ms = excluded.wake_at_ms, open = excluded.open, defects = excluded.defects,
        at_ms = excluded.at_ms)`
  },
  {
    name: "messages",
    sql: (rows) => `messages as (
      insert into message (conversation, seq, role, text, turn, position, at_ms)
      select * from json_to_recordset(${rows}::json) as r(conversation text, seq bigint, role text, text text,
        turn integer, position bigint, at_ms bigint))`
  },
  {
    name: "settled",
    sql: (rows) => `settled as (
      update inbound i set fate = r.fate, turn = r.turn, rule = r.rule, reply = r.key
      from json_to_recordset(${rows}::json) as r(conversation text, after bigint, up_to bigint, fate text,
        turn integer, rule text, key text)
      where i.conversation = r.conversation and i.position > r.after and i.position <= r.up_to and i.fate is null
      returning i.account, i.fate, i.reply, i.event_key, i.position)`
  },
  {
    name: "owed",
    sql: (rows) => `owed as (
      insert into outbound (key, conversation, seq, index, turn, text, outcome, in_reply_to, state, due_at_ms, at_ms,
        version)
      select key, conversation, seq, index, turn, text, outcome,
        array(select s.event_key from settled s where s.reply = r.key order by s.position),
        'due', at_ms, at_ms, version
      from json_to_recordset(${rows}::json) as r(key text, conversation text, seq bigint, index integer, turn integer,
        text text, outcome text, at_ms bigint, version integer)
      returning key, in_reply_to)`
  },
  {
    name: "begun",
    sql: (rows) => `begun as (
      insert into attempt (outbound, n, entry, at_ms)
      select * from json_to_recordset(${rows}::json) as r(outbound text, n integer, entry uuid, at_ms bigint))`
  },
  {
    // The first end of an attempt counts: another owner may have taken it up meanwhile, and be on with the next.
    name: "ended",
    sql: (rows) => `ends as (
      select * from json_to_recordset(${rows}::json) as r(outbound text, n integer, result text, reason text,
        receipt text, at_ms bigint, state text, due_at_ms bigint)),
    ended as (
      update attempt a set result = e.result, reason = e.reason, receipt = e.receipt, ended_at_ms = e.at_ms
      from ends e where a.outbound = e.outbound and a.n = e.n and a.result is null
      returning a.outbound),
    moved as (
      update outbound o set state = e.state, due_at_ms = e.due_at_ms
      from ends e join ended d on d.outbound = e.outbound where o.key = e.outbound)`
  },
  {
    name: "buried",
    sql: (rows) => `buried as (
      insert into dead_letter (kind, conversation, reference, reason, at_ms)
      select * from json_to_recordset(${rows}::json) as r(kind text, conversation text, reference text, reason text,
        at_ms bigint))`
  }
]

/** The statement that writes all of `writes`, in their order. */
export function statementOf(writes: ReadonlyArray<Write>): Statement {
  const rows = rowsOf(writes)
  const present = parts.map(({ name }) => rows[name as keyof BatchRows].length > 0)
  const name = `batch-${present.map(Number).join("")}`
  const values = parts.flatMap(({ name }, index) =>
    present[index] ? [JSON.stringify(rows[name as keyof BatchRows])] : []
  )
  return { name, text: textOf(name, present), values }
}

const texts = new Map<string, string>()

function textOf(name: string, present: ReadonlyArray<boolean>): string {
  const known = texts.get(name)
  if (known !== undefined) return known
  let parameters = 0
  const ctes = parts.flatMap(({ sql }, index) => (present[index] ? [sql(`$${++parameters}`)] : []))
  const has = (part: string) => present[parts.findIndex(({ name }) => name === part)]
  if (has("owed") && !has("settled")) ctes.unshift(noneSettled)
  const counted = [
    ...(has("accepted") ? ["select account, 'accepted' as term from accepted"] : []),
    ...(has("settled") ? ["select account, fate as term from settled"] : [])
  ]
  if (counted.length > 0) ctes.push(tally(counted.join(" union all ")))
  const results = [
    ...(has("accepted") ? ["select entry::text as id, position, null::text[] as keys from accepted"] : []),
    ...(has("owed") ? ["select key as id, null::bigint as position, in_reply_to as keys from owed"] : [])
  ]
  const head = ctes.length === 0 ? "" : `with ${ctes.join(",\n")}\n`
  const text = `${head}${results.length > 0 ? results.join(" union all ") : "select 1 where false"}`
  texts.set(name, text)
  return text
}

const noneSettled =
  "settled as (select null::text as reply, null::text as event_key, null::bigint as position where false)"

const tally = (counted: string) => `tallied as (
  insert into tally as t (account, term, count)
  select account, term, count(*) from (${counted}) as c group by account, term
  on conflict (account, term) do update set count = t.count + excluded.count)`

type Row = Readonly<Record<string, unknown>>
type BatchRows = Record<
  "accepted" | "entries" | "messages" | "settled" | "owed" | "begun" | "ended" | "buried",
  Array<Row>
>

function rowsOf(writes: ReadonlyArray<Write>): BatchRows {
  const rows: BatchRows = {
    accepted: [],
    entries: [],
    messages: [],
    settled: [],
    owed: [],
    begun: [],
    ended: [],
    buried: []
  }
  for (const write of writes) {
    switch (write.kind) {
      case "accept":
        rows.accepted.push(acceptedRow(write, rows.accepted.length))
        break
      case "entry":
        addEntry(rows, write.entry, write.body)
        break
      case "begin":
        rows.begun.push({ outbound: write.body.key, n: write.body.n, entry: write.entry, at_ms: write.body.atMs })
        break
      case "end":
        addEnd(rows, write.body)
    }
  }
  return rows
}

function acceptedRow({ atMs, entry, inbound }: Extract<Write, { kind: "accept" }>, n: number): Row {
  const { account, channel, eventKey, text, thread, user } = inbound
  return {
    n,
    entry,
    account: accountId(channel, account),
    conversation: conversationId(channel, account, thread),
    event_key: eventKey,
    user_id: user.id,
    user_name: user.name,
    text,
    at_ms: atMs
  }
}

function addEntry(rows: BatchRows, entry: string, body: Entry): void {
  const { atMs, conversation, deadLetters, event, messages, outbound, seq, settle, snapshot, timers } = body
  const { type, ...payload } = event
  rows.entries.push({
    conversation,
    account: accountOf(conversation),
    seq,
    entry,
    type,
    payload,
    dead: body.dead,
    at_ms: atMs,
    ...snapshot,
    message_seq: body.messageSeq,
    handled: body.handled,
    timers,
    wake_at_ms: timers.length === 0 ? null : Math.min(...timers.map(({ dueAtMs }) => dueAtMs)),
    open: body.open,
    defects: body.defects
  })
  for (const [index, message] of messages.entries()) {
    const messageSeq = body.messageSeq - messages.length + 1 + index
    rows.messages.push({ ...message, conversation, seq: messageSeq, at_ms: atMs })
  }
  for (const { after, fate, key, rule, turn, upTo } of settle) {
    rows.settled.push({ conversation, after, up_to: upTo, fate, turn, rule, key })
  }
  for (const [index, owed] of outbound.entries())
    rows.owed.push({ ...owed, conversation, seq, index, at_ms: atMs, version: body.deliveryVersion })
  for (const letter of deadLetters) rows.buried.push({ ...letter, conversation, at_ms: atMs })
}

function addEnd(
  rows: BatchRows,
  { atMs, conversation, dueAtMs, key, n, reason, receipt, result, state }: AttemptEnd
): void {
  rows.ended.push({ outbound: key, n, result, reason, receipt, at_ms: atMs, state, due_at_ms: dueAtMs })
  if (state === "dead") rows.buried.push({ kind: "outbound", conversation, reference: key, reason, at_ms: atMs })
}
