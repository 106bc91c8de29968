/**
 * The journal in memory: the same port without a disk, for tests of what stands on it and for the journal's own laws.
 */
import { Effect } from "effect"
import { accountId, conversationId, partsOf } from "../../src/domain/ids.ts"
import { type Fate, type Inbound, storable } from "../../src/domain/inbound.ts"
import {
  type DeadLetter,
  type Due,
  type Entry,
  FencedOff,
  type Journal,
  type MessageRow,
  type PendingInbound,
  Refused,
  type Stored
} from "../../src/store/journal.ts"

interface InboundRow extends PendingInbound {
  readonly account: string
  fate?: Fate
}

interface OutboundRow extends Pick<Due, "outbound" | "atMs"> {
  readonly results: Array<string | undefined>
  state: "due" | "delivered" | "dead"
  dueAtMs: number
  attemptsBefore: number
}

/** What two owners share. Nothing is ever removed. */
export class Tables {
  readonly inbound: Array<InboundRow> = []
  readonly entries: Array<Entry> = []
  readonly messages: Array<MessageRow & { readonly conversation: string }> = []
  readonly outbound: Array<OutboundRow> = []
  readonly letters: Array<DeadLetter> = []
}

export function memoryJournal(tables: Tables): Journal["Service"] {
  const last = (id: string) => tables.entries.findLast(({ conversation }) => conversation === id)
  const rowOf = (key: string) => tables.outbound.find(({ outbound }) => outbound.key === key)!
  return {
    accept: (inbound, onAccepted) =>
      Effect.map(taken(inbound), () => {
        const { duplicate, row } = accept(tables, inbound)
        const { conversation, fate, position } = row
        const accepted = { conversation, position, duplicate, pending: fate === undefined }
        onAccepted(accepted)
        return accepted
      }),
    commit: (entry) =>
      Effect.flatMap(taken(entry), () => {
        const { conversation, seq } = entry
        if (seq <= (last(conversation)?.seq ?? 0)) return new FencedOff({ conversation, seq })
        return Effect.sync(() => commit(tables, entry))
      }),
    begin: ({ conversation, key, n }) =>
      Effect.suspend(() => {
        const { results } = rowOf(key)
        if (n <= results.length) return new FencedOff({ conversation, seq: n })
        return Effect.sync(() => void results.push(undefined))
      }),
    end: (end) =>
      Effect.map(taken(end), () => {
        const row = rowOf(end.key)
        if (row.results[end.n - 1] !== undefined) return
        row.results[end.n - 1] = end.result
        Object.assign(row, { state: end.state, dueAtMs: end.dueAtMs })
        if (end.state === "dead") tables.letters.push({ kind: "outbound", reference: end.key, reason: end.reason })
      }),
    drained: Effect.void,
    load: (conversation, pendingMax) =>
      Effect.sync(() => {
        const stored = last(conversation)
        const isPending = (row: InboundRow) => row.conversation === conversation && row.fate === undefined
        const pending = tables.inbound.filter((row) => isPending(row) && row.position > (stored?.handled ?? 0))
        return structuredClone({
          stored: stored && storedOf(stored),
          pending: pending.slice(0, pendingMax).map(({ account: _, fate: __, ...row }) => row)
        })
      }),
    due: (conversation, dueMax) =>
      Effect.sync(() => {
        const isDue = ({ outbound, state }: OutboundRow) => outbound.conversation === conversation && state === "due"
        return tables.outbound.filter(isDue).slice(0, dueMax).map(dueOf)
      }),
    messages: (conversation, turn, messagesMax) =>
      Effect.sync(() => {
        const ofTurn = tables.messages.flatMap(({ role, ...row }) =>
          row.conversation === conversation && row.turn <= turn && role !== "notice" ? [{ ...row, role }] : []
        )
        return ofTurn.slice(-messagesMax).map(({ position, role, text, turn: of }) => {
          const event = tables.inbound.find((row) => row.position === position)
          const origin = event && { userId: event.user.id, eventKey: event.eventKey }
          return { role, text, turn: of, ...(of === turn && origin) }
        })
      })
  }
}

/** As PostgreSQL does, it refuses texts that it cannot store. */
const taken = (row: object) =>
  Effect.suspend(() => {
    const texts: Array<string> = []
    JSON.stringify(row, (_, value) => (typeof value === "string" ? texts.push(value) : value))
    return texts.every((text) => storable(text) === text) ? Effect.void : new Refused({ reason: "no such text" })
  })

function accept({ inbound }: Tables, { account, channel, eventKey, text, thread, user }: Inbound) {
  const id = accountId(channel, account)
  const known = inbound.find((row) => row.account === id && row.eventKey === eventKey)
  if (known !== undefined) return { duplicate: true, row: known }
  const conversation = conversationId(channel, account, thread)
  const row: InboundRow = { account: id, conversation, eventKey, position: inbound.length + 1, text, user }
  inbound.push(row)
  return { duplicate: false, row }
}

function commit(tables: Tables, entry: Entry) {
  const { atMs, conversation, deadLetters, messages, outbound, settle } = structuredClone(entry)
  tables.entries.push(structuredClone(entry))
  tables.messages.push(...messages.map((row) => ({ ...row, conversation })))
  tables.letters.push(...deadLetters)
  const inReplyTo = new Map<string | undefined, Array<string>>()
  for (const { after, fate, key, upTo } of settle) {
    const isMeant = (row: InboundRow) =>
      row.conversation === conversation && row.position > after && row.position <= upTo
    for (const row of tables.inbound.filter((row) => isMeant(row) && row.fate === undefined)) {
      row.fate = fate
      inReplyTo.set(key, [...(inReplyTo.get(key) ?? []), row.eventKey])
    }
  }
  const { thread } = partsOf(conversation)
  const owed = outbound.map((row) => ({ ...row, conversation, thread, inReplyTo: inReplyTo.get(row.key) ?? [] }))
  tables.outbound.push(
    ...owed.map((row) => ({
      outbound: row,
      atMs,
      dueAtMs: atMs,
      attemptsBefore: 0,
      results: [],
      state: "due" as const
    }))
  )
  return owed
}

const storedOf = ({ atMs, defects, handled, messageSeq, seq, snapshot, timers }: Entry): Stored => {
  return { atMs, defects, handled, messageSeq, seq, snapshot, timers }
}

function dueOf({ atMs, attemptsBefore, dueAtMs, outbound, results }: OutboundRow): Due {
  const wasSending = results.length > 0 && results.at(-1) === undefined
  return { outbound, attempts: results.length, attemptsBefore, wasSending, dueAtMs, atMs }
}
