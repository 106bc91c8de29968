/** What operators did, kept in the transaction that did it. */
import type { Transaction } from "kysely"
import type { Tables } from "../../schema/tables.ts"

export interface Operator {
  /** In their own words. */
  readonly name: string
  /** The network address that they asked from. */
  readonly address: string
}

export interface Deed {
  readonly operator: Operator
  readonly action: "replay" | "discard" | "forget"
  readonly conversation: string
  /** A dead letter's id; empty where the deed is of the whole conversation. */
  readonly subject: string
  readonly atMs: number
}

export async function audit(tx: Transaction<Tables>, deed: Deed): Promise<void> {
  const { action, atMs, conversation, operator, subject } = deed
  const { address, name } = operator
  await tx.insertInto("audit").values({ at_ms: atMs, operator: name, address, action, conversation, subject }).execute()
}
