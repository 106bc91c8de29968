/** All that a database knows of a conversation, without what may differ: times, ids, and how often it was resumed. */
import pg from "pg"
import { channel } from "./order-form.ts"

type Row = Readonly<Record<string, unknown>>

export async function query(url: string, text: string, values: ReadonlyArray<unknown> = []): Promise<Array<Row>> {
  const client = new pg.Client({ connectionString: url, ssl: false })
  client.on("error", () => {})
  await client.connect()
  try {
    return (await client.query(text, [...values])).rows
  } finally {
    await client.end()
  }
}

/** The number of an event in its key, for its position. */
const nth = (position: string) =>
  `(select substring(k.event_key from '\\d+$')::integer from inbound k where k.position = ${position})`

const reads = {
  outbound: `select o.text, o.turn, o.outcome, o.state,
      array(select substring(k from '\\d+$')::integer from unnest(o.in_reply_to) as k) as "inReplyTo"
    from outbound o where o.conversation = $1 order by o.seq, o.index`,
  messages: `select m.role, m.text, m.turn, ${nth("m.position")} as nth
    from message m where m.conversation = $1 order by m.seq`,
  inbound: `select ${nth("i.position")} as nth, i.text, i.fate, i.turn, i.rule,
      (select o.text from outbound o where o.key = i.reply) as reply
    from inbound i where i.conversation = $1 order by i.position`,
  events: `select e.type, e.dead from event e where e.conversation = $1 and e.type <> 'actor.resumed' order by e.seq`,
  deadLetters: "select l.kind, l.reference, l.reason from dead_letter l where l.conversation = $1 order by l.id",
  orders: `select s.number, s.what, s.how_many, s.address from shop s where s.customer = $1 order by s.key`,
  state: `select c.machine, c.version, c.value,
      c.context - '{attempt,position,silenceMs,shopMaxMs}'::text[] as context,
      ${nth("(c.context ->> 'position')::bigint")} as last, ${nth("c.handled")} as handled,
      array(select t ->> 'id' from jsonb_array_elements(c.timers) as t) as timers, c.open, c.defects,
      c.message_seq = (select count(*) from message m where m.conversation = c.id) as "countsMessages",
      c.seq = (select count(*) from event e where e.conversation = c.id) as "countsEvents"
    from conversation c where c.id = $1`
}

export type Of = keyof typeof reads
export type RecordOf = Readonly<Record<Of, ReadonlyArray<Row>>>

export async function recordOf(url: string, account: string, thread: string): Promise<RecordOf> {
  const id = `${channel}/${account}/${thread}`
  const read = async ([of, text]: [string, string]) => [of, await query(url, text, [id])] as const
  return Object.fromEntries(await Promise.all(Object.entries(reads).map(read))) as unknown as RecordOf
}

export async function createShop(url: string): Promise<void> {
  await query(
    url,
    `create table shop (key text primary key, customer text not null, number integer not null, what text not null,
      how_many text not null, address text not null, calls integer not null)`
  )
}
