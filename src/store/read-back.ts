/** What became of writes whose answer was lost, or whose key was taken: read by primary key, told apart by entry id. */
import * as Effect from "effect/Effect"
import { accountId, conversationId, partsOf } from "../domain/ids.ts"
import type { Outbound } from "../domain/outbound.ts"
import type { Database, ResultRow } from "./database.ts"
import type { Entry, Unavailable } from "./journal.ts"
import type { Write } from "./write-batch.ts"

export type Found =
  /** This very write is durable. */
  | { readonly is: "mine"; readonly row: ResultRow }
  /** Another write has its key. */
  | { readonly is: "others"; readonly row: ResultRow }
  | { readonly is: "absent" }

const absent: Found = { is: "absent" }

const accepts = `select i.n, t.entry::text as entry, t.position, t.conversation, t.fate is null as pending
  from json_to_recordset($1::json) as i(n integer, account text, key text)
  join inbound t on t.account = i.account and t.event_key = i.key`

const entries = `select i.n, t.entry::text as entry
  from json_to_recordset($1::json) as i(n integer, conversation text, seq bigint)
  join event t on t.conversation = i.conversation and t.seq = i.seq`

const attempts = `select i.n, t.entry::text as entry, t.result
  from json_to_recordset($1::json) as i(n integer, key text, attempt integer)
  join attempt t on t.outbound = i.key and t.n = i.attempt`

const owed = "select key, in_reply_to from outbound where key = any($1::text[])"

/** One answer for each write, in their order. */
export const readBack = Effect.fn("readBack")(function* (
  { read }: Database["Service"],
  writes: ReadonlyArray<Write>
): Effect.fn.Return<ReadonlyArray<Found>, Unavailable> {
  const found: Array<Found> = writes.map(() => absent)
  const ask = Effect.fnUntraced(function* (name: string, text: string, rows: ReadonlyArray<object>) {
    if (rows.length === 0) return
    for (const row of yield* read({ name, text, values: [JSON.stringify(rows)] })) {
      const n = row["n"] as number
      found[n] = { is: isMine(writes[n]!, row) ? "mine" : "others", row }
    }
  })
  const keys = writes.map((write, n) => ({ n, ...keyOf(write) }))
  yield* ask(
    "back-accepts",
    accepts,
    keys.filter((key) => "account" in key)
  )
  yield* ask(
    "back-entries",
    entries,
    keys.filter((key) => "seq" in key)
  )
  yield* ask(
    "back-attempts",
    attempts,
    keys.filter((key) => "attempt" in key)
  )
  return found.map((one, n) => (writes[n]!.kind === "end" && one.is === "others" ? absent : one))
})

/** The messages that an entry owes, as they were written. */
export const readOwed = Effect.fn("readOwed")(function* (
  { read }: Database["Service"],
  entry: Entry
): Effect.fn.Return<ReadonlyArray<Outbound>, Unavailable> {
  if (entry.outbound.length === 0) return []
  const rows = yield* read({ name: "back-owed", text: owed, values: [entry.outbound.map(({ key }) => key)] })
  return owedBy(entry, new Map(rows.map((row) => [row["key"] as string, row["in_reply_to"] as ReadonlyArray<string>])))
})

export function owedBy(entry: Entry, inReplyTo: ReadonlyMap<string, ReadonlyArray<string>>): ReadonlyArray<Outbound> {
  const { conversation } = entry
  const { thread } = partsOf(conversation)
  return entry.outbound.map((row) => ({ ...row, conversation, thread, inReplyTo: inReplyTo.get(row.key) ?? [] }))
}

function keyOf(write: Write): object {
  if (write.kind === "accept") {
    const { account, channel, eventKey } = write.inbound
    return { account: accountId(channel, account), key: eventKey }
  }
  if (write.kind === "entry") return { conversation: write.body.conversation, seq: write.body.seq }
  if (write.kind === "mark") return {}
  return { key: write.body.key, attempt: write.body.n }
}

/** The end of an attempt has no id of its own: it is written when there is a result. */
function isMine(write: Write, row: ResultRow): boolean {
  if (write.kind === "end") return row["result"] !== null
  return row["entry"] === write.entry
}

export function acceptedOf({ inbound }: Extract<Write, { kind: "accept" }>, row: ResultRow, duplicate: boolean) {
  const conversation = conversationId(inbound.channel, inbound.account, inbound.thread)
  return {
    conversation: (row["conversation"] as string | undefined) ?? conversation,
    position: row["position"] as number,
    duplicate,
    pending: (row["pending"] as boolean | undefined) ?? true
  }
}
