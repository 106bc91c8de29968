/** What comes into the mailbox of an actor, and what is decided about it. */
import type { AnyStateMachine, EventFromLogic } from "xstate"
import { storable } from "../domain/inbound.ts"
import type { Decision, Situation, Timer } from "../machines/decide.ts"
import type { PendingInbound, Rows } from "../store/journal.ts"
import { noRows } from "./entry.ts"

export type Letter<M extends AnyStateMachine> =
  | { readonly inbound: PendingInbound }
  | { readonly timer: Timer }
  | { readonly event: EventFromLogic<M> }
  /** Look into the journal. */
  | { readonly wake: true }

/** One that a machine is told of. */
export type Told<M extends AnyStateMachine> = Exclude<Letter<M>, { readonly wake: true }>

export interface Decided<M extends AnyStateMachine> {
  readonly event: { readonly type: string }
  readonly after: Situation<M>
  readonly actions: Decision<M>[1]
  readonly rows: Rows
}

/** An event that a machine has no use for has its fate too. */
export function withoutEffect({ position }: PendingInbound): Rows {
  return { ...noRows, settle: [{ after: position - 1, upTo: position, fate: "ignored", rule: "no-effect" }] }
}

const reasonMax = 500

export function inBounds(reason: string): string {
  return storable(reason.slice(0, reasonMax))
}
