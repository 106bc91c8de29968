/**
 * Forgets a conversation: every row that belongs to it goes.
 *
 * What stays names nobody. Its events lose text, user and conversation and keep their key until the end of their
 * retention, so that a platform that repeats one is not answered anew; those without a fate are `ignored` by the rule
 * `forgotten`. Its last numbers stay under a hash of its id: idempotency keys are made of them, and a receiver that has
 * seen a key would drop the first answers of a conversation that begins again.
 */
import { createHash } from "node:crypto"
import * as Effect from "effect/Effect"
import { sql, type Transaction } from "kysely"
import type { Tables } from "../../schema/tables.ts"
import { accountOf } from "../domain/ids.ts"
import { audit, type Operator } from "./audit.ts"
import type { Database } from "./database.ts"
import type { Unavailable } from "./journal.ts"

export interface Forgotten {
  /** Rows that are gone. */
  readonly messages: number
  readonly replies: number
  readonly deadLetters: number
  /** Rows that name nobody any more. */
  readonly events: number
}

export interface ForgetDeed {
  readonly conversation: string
  readonly operator: Operator
  readonly atMs: number
}

/** Forgetting takes longer the more was said; nobody waits for it but the operator. */
const forgetMaxMs = 25_000

/** The name that is left of a conversation. */
export function hashOf(conversation: string): string {
  return createHash("sha256").update(conversation).digest("hex")
}

/** In one transaction, while nobody writes to the conversation. Undefined when there is nothing of it. */
export const forget = Effect.fn("forget")(function* (
  { query }: Database["Service"],
  deed: ForgetDeed
): Effect.fn.Return<Forgotten | undefined, Unavailable> {
  const { atMs, conversation, operator } = deed
  return yield* query((db) =>
    db.transaction().execute(async (tx) => {
      await sql`set local statement_timeout = ${sql.raw(String(forgetMaxMs))}`.execute(tx)
      const name = hashOf(conversation)
      await keepNumbers(tx, deed, name)
      const events = await anonymise(tx, conversation)
      await tx
        .deleteFrom("attempt")
        .where("outbound", "in", (of) =>
          of.selectFrom("outbound").select("key").where("conversation", "=", conversation)
        )
        .execute()
      const gone = {
        replies: await removed(tx, "outbound", conversation),
        messages: await removed(tx, "message", conversation),
        deadLetters: await removed(tx, "dead_letter", conversation)
      }
      const entries = await removed(tx, "event", conversation)
      await tx.deleteFrom("conversation").where("id", "=", conversation).execute()
      if (events + entries + gone.messages + gone.replies + gone.deadLetters === 0) return undefined
      await tx.updateTable("audit").set({ conversation: name }).where("conversation", "=", conversation).execute()
      await audit(tx, { operator, action: "forget", conversation: name, subject: "", atMs })
      return { ...gone, events }
    })
  )
})

async function keepNumbers(tx: Transaction<Tables>, { atMs, conversation }: ForgetDeed, name: string): Promise<void> {
  await tx
    .insertInto("forgotten")
    .columns(["conversation", "seq", "message_seq", "at_ms"])
    .expression((of) =>
      of
        .selectFrom("conversation")
        .select([sql<string>`${name}`.as("name"), "seq", "message_seq", sql<number>`${atMs}::bigint`.as("at_ms")])
        .where("id", "=", conversation)
    )
    .onConflict((on) =>
      on.column("conversation").doUpdateSet(({ ref }) => ({
        seq: ref("excluded.seq"),
        message_seq: ref("excluded.message_seq"),
        at_ms: ref("excluded.at_ms")
      }))
    )
    .execute()
}

async function removed(
  tx: Transaction<Tables>,
  table: "outbound" | "message" | "dead_letter" | "event",
  conversation: string
): Promise<number> {
  const { numDeletedRows } = await tx.deleteFrom(table).where("conversation", "=", conversation).executeTakeFirst()
  return Number(numDeletedRows)
}

/** Events without a fate get one, and are counted as the others are. How many there were. */
async function anonymise(tx: Transaction<Tables>, conversation: string): Promise<number> {
  const account = accountOf(conversation)
  const nobody = { conversation: `${account}/`, user_id: "", user_name: null, text: "", reply: null }
  const settled = await tx
    .updateTable("inbound")
    .set(nobody)
    .where("conversation", "=", conversation)
    .where("fate", "is not", null)
    .executeTakeFirst()
  const pending = await tx
    .updateTable("inbound")
    .set({ ...nobody, fate: "ignored", rule: "forgotten" })
    .where("conversation", "=", conversation)
    .where("fate", "is", null)
    .executeTakeFirst()
  if (pending.numUpdatedRows > 0n) {
    await tx
      .insertInto("tally")
      .values({ account, term: "ignored", count: Number(pending.numUpdatedRows) })
      .onConflict((on) => on.columns(["account", "term"]).doUpdateSet({ count: sql`tally.count + excluded.count` }))
      .execute()
  }
  return Number(settled.numUpdatedRows + pending.numUpdatedRows)
}
