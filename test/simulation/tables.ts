/**
 * What PostgreSQL does with Parley's statements, in memory: each is one transaction, all of its parts see the rows as
 * they were before it, and a key that is taken refuses all of it. journal.property.ts holds it to the same answers as
 * the real one.
 */
import { createHash } from "node:crypto"
import type { ResultRow, Statement } from "../../src/store/database.ts"

export interface InboundRow {
  readonly position: number
  readonly entry: string
  readonly account: string
  readonly conversation: string
  readonly event_key: string
  readonly user_id: string
  readonly user_name: string | null
  readonly text: string
  readonly at_ms: number
  fate: string | null
  reply: string | null
}

export interface OutboundRow {
  readonly key: string
  readonly conversation: string
  readonly in_reply_to: ReadonlyArray<string>
  readonly at_ms: number
  state: "due" | "delivered" | "dead"
  due_at_ms: number
}

export interface AttemptRow {
  readonly outbound: string
  readonly n: number
  readonly entry: string
  result: string | null
}

/** The statement is refused, and nothing of it is written. */
export class Violation extends Error {
  readonly sqlState: string

  constructor(sqlState: string, message: string) {
    super(message)
    this.sqlState = sqlState
  }
}

/** The parts of a batch, in the order of the bits in its name. */
const parts = ["accepted", "entries", "messages", "settled", "owed", "begun", "ended", "buried"] as const
type Part = (typeof parts)[number]
export type Batch = Readonly<Record<Part, ReadonlyArray<ResultRow>>>

export function batchOf({ name, values }: Statement): Batch {
  const bits = name.slice("batch-".length)
  let nth = 0
  const rows = parts.map((part, index) => {
    const json = bits[index] === "1" ? (values[nth++] as string) : "[]"
    if (/\\u0000|\\ud[89a-f]/i.test(json)) throw new Violation("22P05", "unsupported Unicode escape sequence")
    return [part, JSON.parse(json)]
  })
  return Object.fromEntries(rows)
}

export class Tables {
  readonly inbound = new Map<number, InboundRow>()
  readonly outbound = new Map<string, OutboundRow & ResultRow>()
  readonly attempts = new Map<string, Array<AttemptRow>>()
  readonly letters: Array<ResultRow> = []
  readonly tally = new Map<string, { readonly account: string; readonly term: string; count: number }>()
  readonly conversations = new Map<string, ResultRow>()
  readonly #byEventKey = new Map<string, InboundRow>()
  readonly #byConversation = new Map<string, Array<InboundRow>>()
  readonly #events = new Map<string, string>()
  readonly #messages = new Map<string, Array<ResultRow>>()
  readonly #owed = new Map<string, Array<OutboundRow & ResultRow>>()

  /** `positions` were drawn when the statement began; a conflict wastes one, as in PostgreSQL. */
  write(batch: Batch, positions: ReadonlyArray<number>): ReadonlyArray<ResultRow> {
    this.#refuse(batch)
    const settled = this.#settle(batch.settled)
    const accepted = batch.accepted.flatMap((row, index) => this.#accept(row, positions[index]!))
    for (const row of batch.entries) {
      this.#events.set(`${row["conversation"]} ${row["seq"]}`, row["entry"] as string)
      this.conversations.set(row["conversation"] as string, row)
    }
    for (const row of batch.messages) listOf(this.#messages, row["conversation"] as string).push(row)
    for (const row of batch.ended) this.#end(row)
    for (const row of batch.begun) {
      const { entry, n, outbound } = row as unknown as AttemptRow
      listOf(this.attempts, outbound).push({ outbound, n, entry, result: null })
    }
    const owed = batch.owed.map((row) => this.#owe(row, settled))
    this.letters.push(...batch.buried)
    return [...accepted, ...owed]
  }

  read({ name, values }: Statement): ReadonlyArray<ResultRow> {
    const [first, second, third] = values as readonly [string, number, number]
    switch (name) {
      case "load":
        return [this.#load(first, second)]
      case "due":
        return this.#due(first, second)
      case "messages":
        return this.#spoken(first, second, third)
      case "back-accepts":
        return asked(first).flatMap(({ account, key, n }) => {
          const row = this.#byEventKey.get(`${account} ${key}`)
          if (row === undefined) return []
          const { conversation, entry, fate, position } = row
          return [{ n, entry, position, conversation, pending: fate === null }]
        })
      case "back-entries":
        return asked(first).flatMap(({ conversation, n, seq }) => {
          const entry = this.#events.get(`${conversation} ${seq}`)
          return entry === undefined ? [] : [{ n, entry }]
        })
      case "back-attempts":
        return asked(first).flatMap(({ attempt, key, n }) => {
          const row = this.attempts.get(key as string)?.find((one) => one.n === attempt)
          return row === undefined ? [] : [{ n, entry: row.entry, result: row.result }]
        })
      case "back-owed":
        return (values[0] as ReadonlyArray<string>).flatMap((key) => {
          const row = this.outbound.get(key)
          return row === undefined ? [] : [{ key, in_reply_to: row.in_reply_to }]
        })
      default:
        throw new Error(`the simulated PostgreSQL does not know the statement ${name}`)
    }
  }

  isPending(conversation: string): boolean {
    return this.#byConversation.get(conversation)?.some(({ fate }) => fate === null) ?? false
  }

  isDue(conversation: string): boolean {
    return this.#owed.get(conversation)?.some(({ state }) => state === "due") ?? false
  }

  forgetSettled(beforeMs: number, rowsMax: number): number {
    const old = this.inbound.values().filter(({ at_ms, fate }) => fate !== null && at_ms < beforeMs)
    const gone = [...old.take(rowsMax)]
    for (const row of gone) {
      this.inbound.delete(row.position)
      this.#byEventKey.delete(`${row.account} ${row.event_key}`)
      const rows = this.#byConversation.get(row.conversation)!
      rows.splice(rows.indexOf(row), 1)
    }
    return gone.length
  }

  #refuse({ begun, entries, owed }: Batch): void {
    const taken = new Set<string>()
    const once = (key: string, isThere: boolean) => {
      if (isThere || taken.has(key)) throw new Violation("23505", `duplicate key value: ${key}`)
      taken.add(key)
    }
    for (const { conversation, seq } of entries)
      once(`event ${conversation} ${seq}`, this.#events.has(`${conversation} ${seq}`))
    for (const { key } of owed) once(`outbound ${key}`, this.outbound.has(key as string))
    for (const { n, outbound } of begun) {
      const known = this.attempts.get(outbound as string)
      once(`attempt ${outbound} ${n}`, known?.some((one) => one.n === n) ?? false)
    }
  }

  #accept(row: ResultRow, position: number): ReadonlyArray<ResultRow> {
    const key = `${row["account"]} ${row["event_key"]}`
    if (this.#byEventKey.has(key)) return []
    const accepted = { user_name: null, ...row, position, fate: null, reply: null } as unknown as InboundRow
    this.#byEventKey.set(key, accepted)
    this.inbound.set(position, accepted)
    const rows = listOf(this.#byConversation, accepted.conversation)
    // Of two owners the one that began first may be written last.
    const at = rows.findLastIndex((one) => one.position < position) + 1
    rows.splice(at, 0, accepted)
    this.#count(accepted.account, "accepted")
    return [{ id: accepted.entry, position, keys: null }]
  }

  #settle(rows: ReadonlyArray<ResultRow>): ReadonlyArray<InboundRow> {
    const settled = rows.flatMap(({ after, conversation, fate, key = null, up_to }) =>
      (this.#byConversation.get(conversation as string) ?? []).filter((one) => {
        const isMeant = one.position > (after as number) && one.position <= (up_to as number) && one.fate === null
        if (isMeant) Object.assign(one, { fate, reply: key })
        return isMeant
      })
    )
    for (const { account, fate } of settled) this.#count(account, fate!)
    return settled
  }

  #owe(row: ResultRow, settled: ReadonlyArray<InboundRow>): ResultRow {
    const { at_ms, conversation, key } = row as { key: string; conversation: string; at_ms: number }
    const in_reply_to = settled.filter(({ reply }) => reply === key).map(({ event_key }) => event_key)
    const owed = { ...row, key, conversation, at_ms, in_reply_to, state: "due" as const, due_at_ms: at_ms }
    this.outbound.set(key, owed)
    listOf(this.#owed, conversation).push(owed)
    return { id: key, position: null, keys: in_reply_to }
  }

  #end({ due_at_ms, n, outbound, result, state }: ResultRow): void {
    const attempt = this.attempts.get(outbound as string)?.find((one) => one.n === n)
    if (attempt === undefined || attempt.result !== null) return
    attempt.result = result as string
    const row = this.outbound.get(outbound as string)
    if (row !== undefined) Object.assign(row, { state, due_at_ms })
  }

  #count(account: string, term: string): void {
    const key = `${account} ${term}`
    const row = this.tally.get(key)
    if (row === undefined) this.tally.set(key, { account, term, count: 1 })
    else row.count++
  }

  #load(id: string, pendingMax: number): ResultRow {
    const row = this.conversations.get(id)
    const handled = (row?.["handled"] as number | undefined) ?? 0
    const isMeant = ({ fate, position }: InboundRow) => fate === null && position > handled
    const pending = (this.#byConversation.get(id) ?? []).filter(isMeant).slice(0, pendingMax)
    return { machine: null, forgotten_seq: null, forgotten_message_seq: null, ...row, pending, id }
  }

  #due(conversation: string, dueMax: number): ReadonlyArray<ResultRow> {
    const due = (this.#owed.get(conversation) ?? []).filter(({ state }) => state === "due")
    return due.slice(0, dueMax).map((row) => {
      const attempts = this.attempts.get(row.key) ?? []
      const last = attempts.at(-1)
      const was_sending = last !== undefined && last.result === null
      return { ...row, attempts: last?.n ?? 0, attempts_before: 0, was_sending }
    })
  }

  #spoken(conversation: string, turn: number, messagesMax: number): ReadonlyArray<ResultRow> {
    const isMeant = (row: ResultRow) => (row["turn"] as number) <= turn && row["role"] !== "notice"
    const rows = (this.#messages.get(conversation) ?? []).filter(isMeant).slice(-messagesMax)
    return rows.toReversed().map((row) => {
      const inbound = row["turn"] === turn ? this.inbound.get(row["position"] as number) : undefined
      return { ...row, origin: inbound === undefined ? null : [inbound.user_id, inbound.event_key] }
    })
  }
}

function asked(json: string): ReadonlyArray<ResultRow> {
  return JSON.parse(json)
}

function listOf<A>(lists: Map<string, Array<A>>, key: string): Array<A> {
  const known = lists.get(key)
  if (known !== undefined) return known
  const list: Array<A> = []
  lists.set(key, list)
  return list
}

/** Short enough to compare the traces of two runs by. */
export function digestOf(lines: ReadonlyArray<string>): string {
  const hash = createHash("sha256")
  for (const line of lines) hash.update(line).update("\n")
  return hash.digest("hex").slice(0, 16)
}
