/** Conservation, counted (DESIGN.md, I4): each term from its own rows, by account. */
import * as Effect from "effect/Effect"
import type { Database } from "./database.ts"

export const terms = ["accepted", "answered", "ignored", "superseded", "shed", "dead", "pending"] as const
export type Term = (typeof terms)[number]

export interface Count {
  /** `channel/account` */
  readonly account: string
  readonly term: Term
  readonly count: number
}

/** `pending` is counted from the events without a fate, all others from what their transactions tallied. */
export const census = Effect.fn("census")(function* ({ query }: Database["Service"]) {
  return yield* query((db) =>
    db
      .transaction()
      .setIsolationLevel("repeatable read")
      .execute(async (tx) => {
        const tallied = await tx.selectFrom("tally").selectAll().execute()
        const pending = await tx
          .selectFrom("inbound")
          .select(["account", ({ fn }) => fn.countAll<number>().as("count")])
          .where("fate", "is", null)
          .groupBy("account")
          .execute()
        return [
          ...tallied.map(({ account, count, term }): Count => ({ account, term: term as Term, count })),
          ...pending.map(({ account, count }): Count => ({ account, term: "pending", count }))
        ]
      })
  )
})

/** Outbound messages by state, and open dead letters. */
export const outboxCensus = Effect.fn("outboxCensus")(function* ({ query }: Database["Service"]) {
  return yield* query(async (db) => {
    const due = await db
      .selectFrom("outbound")
      .select(({ fn }) => fn.countAll<number>().as("count"))
      .where("state", "=", "due")
      .executeTakeFirst()
    const letters = await db
      .selectFrom("dead_letter")
      .select(({ fn }) => fn.countAll<number>().as("count"))
      .where("state", "=", "open")
      .executeTakeFirst()
    return { due: due?.count ?? 0, deadLetters: letters?.count ?? 0 }
  })
})
