/** What was given up, for the operator who looks after it. Not on the way of a message. */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { type Kysely, sql } from "kysely"
import type { Tables } from "../../schema/tables.ts"
import { audit, type Operator } from "./audit.ts"
import type { Database } from "./database.ts"
import type { Unavailable } from "./journal.ts"

export type LetterState = "open" | "replayed" | "discarded"
export type LetterKind = "inbound" | "turn" | "outbound"

export interface LetterRow {
  readonly id: number
  readonly kind: LetterKind
  readonly conversation: string
  /** The position of an event, the number of a turn, or the key of a message. */
  readonly reference: string
  readonly reason: string
  readonly state: LetterState
  readonly atMs: number
}

export interface LetterQuery {
  /** All where it is left out. */
  readonly state?: LetterState | undefined
  readonly kind?: LetterKind | undefined
  readonly conversation?: string | undefined
  /** Those with lower ids. */
  readonly before?: number | undefined
  readonly max: number
}

/** A message that could not be delivered, and the sends of it. */
export interface Letter extends LetterRow {
  readonly message?: LetterMessage
  readonly attempts: ReadonlyArray<AttemptRow>
  readonly audit: ReadonlyArray<AuditRow>
}

export interface LetterMessage {
  readonly key: string
  readonly turn: number
  readonly outcome: string
  readonly inReplyTo: ReadonlyArray<string>
  readonly characters: number
  /** Null unless it was asked for. */
  readonly text: string | null
  readonly state: string
  readonly atMs: number
}

export interface AttemptRow {
  readonly n: number
  readonly atMs: number
  /** Null while it is sent, and when the server died of it. */
  readonly result: string | null
  readonly reason: string | null
}

export interface AuditRow {
  readonly atMs: number
  readonly operator: string
  readonly address: string
  readonly action: string
  readonly subject: string
}

/** What was asked of a dead letter cannot be done; `reason` is a sentence with the mend. */
export class LetterRefused extends Data.TaggedError("LetterRefused")<{
  readonly code: "not_found" | "not_open" | "not_replayable"
  readonly reason: string
}> {}

const attemptsMax = 20
const auditMax = 20
const columns = ["id", "kind", "conversation", "reference", "reason", "state", "at_ms as atMs"] as const

/** The newest first. */
export const letters = ({ query }: Database["Service"], asked: LetterQuery) => query((db) => lettersOf(db, asked))

export async function lettersOf(db: Kysely<Tables>, asked: LetterQuery): Promise<ReadonlyArray<LetterRow>> {
  const { before, conversation, kind, max, state } = asked
  let rows = db.selectFrom("dead_letter").select(columns).orderBy("id", "desc").limit(max)
  if (state !== undefined) rows = rows.where("state", "=", state)
  if (kind !== undefined) rows = rows.where("kind", "=", kind)
  if (conversation !== undefined) rows = rows.where("conversation", "=", conversation)
  if (before !== undefined) rows = rows.where("id", "<", before)
  return (await rows.execute()) as unknown as ReadonlyArray<LetterRow>
}

export const letter = Effect.fn("letter")(function* (
  { query }: Database["Service"],
  id: number,
  withTexts: boolean
): Effect.fn.Return<Letter, LetterRefused | Unavailable> {
  const found = yield* query(async (db) => {
    const row = (await db.selectFrom("dead_letter").select(columns).where("id", "=", id).executeTakeFirst()) as
      | LetterRow
      | undefined
    if (row === undefined) return undefined
    const deeds = db
      .selectFrom("audit")
      .select(["at_ms as atMs", "operator", "address", "action", "subject"])
      .where("conversation", "=", row.conversation)
      .where("subject", "=", String(id))
    const audited = await deeds.orderBy("id", "desc").limit(auditMax).execute()
    if (row.kind !== "outbound") return { ...row, attempts: [], audit: audited }
    const message = await db
      .selectFrom("outbound")
      .select(["key", "turn", "outcome", "in_reply_to as inReplyTo", "state", "at_ms as atMs"])
      .select([
        sql<number>`char_length(text)`.as("characters"),
        sql<string | null>`${withTexts ? sql`text` : sql`null::text`}`.as("text")
      ])
      .where("key", "=", row.reference)
      .executeTakeFirst()
    const attempts = await db
      .selectFrom("attempt")
      .select(["n", "at_ms as atMs", "result", "reason"])
      .where("outbound", "=", row.reference)
      .orderBy("n", "desc")
      .limit(attemptsMax)
      .execute()
    return { ...row, ...(message && { message }), attempts: attempts.toReversed(), audit: audited }
  })
  return found ?? (yield* unknownLetter(id))
})

const unknownLetter = (id: number) =>
  new LetterRefused({ code: "not_found", reason: `There is no dead letter ${id}: parley deadletters list names them.` })

/** What is done to a letter, by whom and when. */
export interface LetterDeed {
  readonly id: number
  readonly operator: Operator
  readonly atMs: number
}

/**
 * Owes an undeliverable message again, with its key, as if it had never been sent; whoever delivers must be woken. One
 * that is sent already cannot be asked for twice, for then its letter is not open.
 */
export const replay = Effect.fn("replay")(function* (database: Database["Service"], deed: LetterDeed) {
  return yield* close(database, deed, "replayed")
})

/** Looks at it no more. What it tells of stays as it is. */
export const discard = Effect.fn("discard")(function* (database: Database["Service"], deed: LetterDeed) {
  return yield* close(database, deed, "discarded")
})

const close = Effect.fnUntraced(function* (
  { query }: Database["Service"],
  { atMs, id, operator }: LetterDeed,
  state: "replayed" | "discarded"
): Effect.fn.Return<LetterRow, LetterRefused | Unavailable> {
  const done = yield* query((db) =>
    db.transaction().execute(async (tx): Promise<LetterRow | LetterRefused> => {
      const row = (await tx
        .selectFrom("dead_letter")
        .select(columns)
        .where("id", "=", id)
        .forUpdate()
        .executeTakeFirst()) as LetterRow | undefined
      if (row === undefined) return unknownLetter(id)
      if (row.state !== "open") {
        return new LetterRefused({ code: "not_open", reason: `Dead letter ${id} is ${row.state} already.` })
      }
      if (state === "replayed") {
        if (row.kind !== "outbound") return notReplayable(row)
        const { numUpdatedRows } = await tx
          .updateTable("outbound")
          .set((of) => ({
            state: "due",
            due_at_ms: atMs,
            renewed_at_ms: atMs,
            attempts_before: of
              .selectFrom("attempt")
              .select(({ fn }) => fn.countAll<number>().as("count"))
              .where("outbound", "=", row.reference)
          }))
          .where("key", "=", row.reference)
          .where("state", "=", "dead")
          .executeTakeFirst()
        if (numUpdatedRows !== 1n) return gone(row)
      }
      await tx.updateTable("dead_letter").set({ state }).where("id", "=", id).execute()
      const action = state === "replayed" ? "replay" : "discard"
      await audit(tx, { operator, action, conversation: row.conversation, subject: String(id), atMs })
      return { ...row, state }
    })
  )
  return done instanceof LetterRefused ? yield* done : done
})

/** Their events have their fate, and the person has been told: a second end of them would break I4. */
function notReplayable({ id, kind }: LetterRow): LetterRefused {
  const what = kind === "turn" ? "a turn that was given up" : "an event that could not be handled"
  const reason = `Dead letter ${id} is ${what}, and its person was told so: it is not asked again. Discard it once it is looked into.`
  return new LetterRefused({ code: "not_replayable", reason })
}

function gone({ id }: LetterRow): LetterRefused {
  return new LetterRefused({ code: "not_replayable", reason: `The message of dead letter ${id} is not dead any more.` })
}
