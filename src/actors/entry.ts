/** What an interpreter writes and reads: a situation as rows, and rows as a situation. */
import * as Effect from "effect/Effect"
import type { AnyMachineSnapshot, AnyStateMachine, SnapshotFrom } from "xstate"
import type { Situation } from "../machines/decide.ts"
import { version as deliveryVersion } from "../machines/delivery.ts"
import type { Entry, Rows, Stored } from "../store/journal.ts"
import { type Behaviour, Stopped } from "./actor.ts"

/** What an actor remembers of its last entry. */
export type Last = Pick<Stored, "seq" | "handled" | "defects" | "messageSeq">

export const lastOf = ({ defects, handled, messageSeq, seq }: Last): Last => ({ seq, handled, defects, messageSeq })

export const noRows: Rows = { messages: [], outbound: [], settle: [], deadLetters: [] }

export function merge(all: ReadonlyArray<Partial<Rows>>): Rows {
  return {
    messages: all.flatMap(({ messages = [] }) => messages),
    outbound: all.flatMap(({ outbound = [] }) => outbound),
    settle: all.flatMap(({ settle = [] }) => settle),
    deadLetters: all.flatMap(({ deadLetters = [] }) => deadLetters)
  }
}

export function hasRows(rows: Rows): boolean {
  return rows.messages.length + rows.outbound.length + rows.settle.length + rows.deadLetters.length > 0
}

export interface Written<M extends AnyStateMachine> {
  readonly conversation: string
  readonly event: { readonly type: string }
  readonly after: Situation<M>
  readonly rows: Rows
  readonly atMs: number
  readonly handled?: number | undefined
  readonly defects?: number
  readonly dead?: string
}

export function entryOf<M extends AnyStateMachine>(behaviour: Behaviour<M>, last: Last, written: Written<M>): Entry {
  const { after, atMs, conversation, dead, defects, event, handled, rows } = written
  const { context, value } = after.snapshot as AnyMachineSnapshot
  return {
    ...rows,
    conversation,
    seq: last.seq + 1,
    atMs,
    event,
    snapshot: { machine: behaviour.machine.id, version: behaviour.version, value, context },
    timers: [...after.timers.values()],
    handled: handled ?? last.handled,
    open: !behaviour.isAtRest(after.snapshot),
    defects: defects ?? last.defects,
    messageSeq: last.messageSeq + rows.messages.length,
    deliveryVersion,
    ...(dead === undefined ? {} : { dead })
  }
}

/**
 * The situation that the last entry left; fails when no migration leads from its version to today's. An entry from the
 * future shows that the clock was set back since: its timers are due by so much earlier.
 */
export const situationOf = Effect.fnUntraced(function* <M extends AnyStateMachine>(
  id: string,
  behaviour: Behaviour<M>,
  { atMs, snapshot: written, timers: stored }: Stored,
  nowMs: number
): Effect.fn.Return<Situation<M>, Stopped> {
  const { machine, migrations, version } = behaviour
  const aheadMs = Math.max(0, atMs - nowMs)
  const armed = aheadMs === 0 ? stored : stored.map((timer) => ({ ...timer, dueAtMs: timer.dueAtMs - aheadMs }))
  let current = { ...written, timers: armed }
  while (current.machine === machine.id && current.version < version && migrations[current.version] !== undefined) {
    current = { ...current, ...migrations[current.version]!(current), version: current.version + 1 }
  }
  if (current.machine !== machine.id || current.version !== version) {
    const reason = `it was written by ${written.machine} ${written.version}, and this is ${machine.id} ${version}: migrate it`
    return yield* new Stopped({ id, reason })
  }
  const { timers, value } = current
  const context = behaviour.refresh(current.context as SnapshotFrom<M>["context"])
  const snapshot = machine.resolveState({ value, context } as Parameters<typeof machine.resolveState>[0])
  return {
    snapshot: snapshot as SnapshotFrom<M>,
    timers: new Map(timers.map((timer) => [timer.id, timer])),
    armings: Math.max(0, ...timers.map(({ armed }) => armed))
  }
})
