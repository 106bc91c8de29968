/**
 * The journal in PostgreSQL: every write goes through one group commit.
 *
 *   J1. A write succeeds only after the transaction with its rows is flushed.
 *   J2. An entry or attempt whose key another owner wrote is fenced off; one of our own is done.
 *   J3. A write whose answer was lost is read back by its entry id before its caller is told anything.
 *   J4. A row that PostgreSQL will never take is refused alone; a database that takes nothing is unavailable to all.
 *   J5. `onAccepted` is called for every event that was written, in the order of positions, also where its own caller
 *       was told that nobody knows.
 *   J6. Whoever waits for `drained` knows what became of every write that was begun before.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type { Accepted } from "../domain/inbound.ts"
import { type ConnectionLost, Database, type ResultRow, type StatementFailed } from "./database.ts"
import * as GroupCommit from "./group-commit.ts"
import { FencedOff, Journal, Refused, Unavailable } from "./journal.ts"
import { dueOf, loadedOf, messageOf, reads } from "./journal-reads.ts"
import { acceptedOf, type Found, owedBy, readBack, readOwed } from "./read-back.ts"
import { statementOf, type Write } from "./write-batch.ts"

type Queued = Write & { readonly onAccepted?: (accepted: IsPending) => void }
type IsPending = Accepted & { readonly pending: boolean }
type Failure = FencedOff | Refused | Unavailable

export interface JournalOptions {
  /** Drawn at random for each process: it makes entry ids unique. 32 hexadecimal digits. */
  readonly owner: string
  readonly limits: GroupCommit.Limits
}

export const layer = ({ limits, owner }: JournalOptions) =>
  Layer.effect(
    Journal,
    Effect.gen(function* () {
      const database = yield* Database
      const doubts: Array<Queued> = []
      const stats = GroupCommit.emptyWriterStats()
      const put = yield* GroupCommit.make<Queued, unknown, Failure>({
        limits,
        write: (writes) => writeInOrder(database, doubts, writes),
        isFaultOfOneRow: ({ _tag }) => _tag !== "Unavailable",
        ownerOf: ownerOf,
        onWritten: tellAccepted,
        stats
      })
      const entry = uuids(owner)
      const write = Effect.fnUntraced(function* (queued: Queued) {
        return yield* Effect.catchTag(put(queued), "WriterFull", ({ queueMax }) =>
          Effect.fail(new Unavailable({ reason: `${queueMax} writes are waiting for PostgreSQL` }))
        )
      })
      return Journal.of({
        stats,
        accept: Effect.fnUntraced(function* (inbound, onAccepted) {
          const atMs = yield* Clock.currentTimeMillis
          const accepted = yield* write({ kind: "accept", entry: entry(), inbound, atMs, onAccepted }).pipe(
            Effect.catchTag("FencedOff", Effect.die)
          )
          return accepted as IsPending
        }),
        commit: (body) => write({ kind: "entry", entry: entry(), body }) as ReturnType<Journal["Service"]["commit"]>,
        begin: (body) => Effect.asVoid(write({ kind: "begin", entry: entry(), body })),
        end: (body) =>
          Effect.asVoid(write({ kind: "end", entry: entry(), body })).pipe(Effect.catchTag("FencedOff", Effect.die)),
        drained: Effect.suspend(() => Effect.asVoid(write({ kind: "mark", entry: entry() }))).pipe(
          Effect.catchTags({ FencedOff: Effect.die, Refused: Effect.die })
        ),
        load: (conversation, pendingMax) =>
          Effect.map(database.read({ ...reads.load, values: [conversation, pendingMax] }), loadedOf),
        due: (conversation, dueMax) =>
          Effect.map(database.read({ ...reads.due, values: [conversation, dueMax] }), (rows) => rows.map(dueOf)),
        messages: (conversation, turn, messagesMax) =>
          Effect.map(database.read({ ...reads.messages, values: [conversation, turn, messagesMax] }), (rows) =>
            rows.map(messageOf).toReversed()
          )
      })
    })
  )

/** A conversation's row can be written once in a statement. */
function ownerOf(write: Queued): string | undefined {
  return write.kind === "entry" ? write.body.conversation : undefined
}

function tellAccepted(write: Queued, result: unknown): void {
  write.onAccepted?.(result as IsPending)
}

type Exits = ReadonlyArray<Exit.Exit<unknown, Failure>>

/** Of one that is forgotten the platform's own repetition tells. */
const doubtsMax = 4_096

/** `doubts` are events whose callers were told that nobody knows: if they were written, then before `writes`. */
const writeInOrder = (
  database: Database["Service"],
  doubts: Array<Queued>,
  writes: ReadonlyArray<Queued>
): Effect.Effect<Exits, Failure> => {
  const doubt = (doubtful: ReadonlyArray<Queued>) => {
    doubts.push(...doubtful.filter(({ kind }) => kind === "accept"))
    doubts.splice(0, doubts.length - doubtsMax)
  }
  return writeBatch(database, writes).pipe(
    // After a write, for only then has the server ended what it still did for a connection that was lost.
    Effect.tap(() => Effect.mapError(resolve(database, doubts), unknown)),
    Effect.tap((exits) => Effect.sync(() => doubt(writes.filter((_, index) => isUnknown(exits[index]!))))),
    Effect.tapError((failure) => Effect.sync(() => isUnknown(Exit.fail(failure)) && doubt(writes)))
  )
}

const resolve = Effect.fnUntraced(function* (database: Database["Service"], doubts: Array<Queued>) {
  if (doubts.length === 0) return
  const found = yield* readBack(database, doubts)
  for (const [index, write] of doubts.splice(0).entries()) {
    const one = found[index]!
    if (one.is !== "mine" || write.kind !== "accept") continue
    const accepted = acceptedOf(write, one.row, false)
    if (accepted.pending) tellAccepted(write, accepted)
  }
})

function isUnknown(exit: Exit.Exit<unknown, Failure>): boolean {
  const failure = Exit.findErrorOption(exit)
  return failure._tag === "Some" && failure.value._tag === "Unavailable" && failure.value.mayBeWritten === true
}

const writeBatch = (database: Database["Service"], writes: ReadonlyArray<Queued>): Effect.Effect<Exits, Failure> =>
  database.write(statementOf(writes)).pipe(
    Effect.matchEffect({
      onSuccess: (rows) => exitsOf(database, writes, rows),
      onFailure: (error) =>
        error._tag === "ConnectionLost" ? afterLoss(database, writes, error) : afterRefusal(database, writes, error)
    })
  )

const exitsOf = Effect.fnUntraced(function* (
  database: Database["Service"],
  writes: ReadonlyArray<Queued>,
  rows: ReadonlyArray<ResultRow>
): Effect.fn.Return<Exits, Failure> {
  const byId = new Map(rows.map((row) => [row["id"] as string, row]))
  const keys = new Map(rows.map((row) => [row["id"] as string, (row["keys"] ?? []) as ReadonlyArray<string>]))
  const known = writes.filter((write) => write.kind === "accept" && !byId.has(write.entry))
  const before = known.length === 0 ? [] : yield* Effect.mapError(readBack(database, known), unknown)
  return writes.map((write): Exit.Exit<unknown, Failure> => {
    if (write.kind === "entry") return Exit.succeed(owedBy(write.body, keys))
    if (write.kind !== "accept") return Exit.void
    const row = byId.get(write.entry)
    if (row !== undefined) return Exit.succeed(acceptedOf(write, row, false))
    const earlier = before[known.indexOf(write)]!
    if (earlier.is !== "absent") return Exit.succeed(acceptedOf(write, earlier.row, earlier.is === "others"))
    // Its dedup key was removed by retention in this very moment.
    return Exit.fail(new Unavailable({ reason: "the event met the end of its retention: send it again" }))
  })
})

const afterRefusal = Effect.fnUntraced(function* (
  database: Database["Service"],
  writes: ReadonlyArray<Queued>,
  { reason, sqlState }: StatementFailed
): Effect.fn.Return<Exits, Failure> {
  if (isTheServers(sqlState)) return yield* new Unavailable({ reason: `PostgreSQL: ${reason} (${sqlState})` })
  const [write] = writes
  if (writes.length === 1 && write !== undefined && sqlState === uniqueViolation) {
    // An entry that is there already has all its keys; PostgreSQL names whichever it met first.
    const [found] = yield* readBack(database, [write])
    if (found!.is !== "absent") return [yield* exitOfFound(database, write, found!)]
  }
  return yield* new Refused({ reason: `${reason} (${sqlState})` })
})

const uniqueViolation = "23505"

/** Nothing in a row causes these: out of resources or disk, a failing system, a standby, too many connections. */
function isTheServers(sqlState: string): boolean {
  return /^(25006|40|53|55|57|58|F0|XX)/.test(sqlState)
}

/** How long the outcome of a lost COMMIT is asked for before its callers are told that nobody knows. */
const askMaxMs = 5_000
const askAgain = { schedule: Schedule.spaced("100 millis") }

const afterLoss = Effect.fnUntraced(function* (
  database: Database["Service"],
  writes: ReadonlyArray<Queued>,
  { reason, wasSent }: ConnectionLost
): Effect.fn.Return<Exits, Failure> {
  if (!wasSent) return yield* new Unavailable({ reason: `PostgreSQL is not reachable: ${reason}` })
  return yield* Effect.mapError(askedBack(database, writes), unknown)
})

const askedBack = Effect.fnUntraced(function* (
  database: Database["Service"],
  writes: ReadonlyArray<Queued>
): Effect.fn.Return<Exits, Failure> {
  const found = yield* Effect.retry(readBack(database, writes), askAgain).pipe(
    Effect.timeoutOrElse({
      duration: askMaxMs,
      orElse: () => Effect.fail(new Unavailable({ reason: "PostgreSQL did not say what became of a write" }))
    })
  )
  const missing = writes.filter((_, index) => found[index]!.is === "absent")
  const again = missing.length === 0 ? [] : yield* writeAgain(database, missing)
  return yield* Effect.forEach(writes, (write, index) => {
    const one = found[index]!
    return one.is === "absent" ? Effect.succeed(again[missing.indexOf(write)]!) : exitOfFound(database, write, one)
  })
})

/** Some of the batch may be written, whatever failed since. */
function unknown(failure: Failure): Failure {
  return failure._tag === "Unavailable" ? new Unavailable({ reason: failure.reason, mayBeWritten: true }) : failure
}

/** Once. Whoever loses the connection again must ask the journal themselves. */
const writeAgain = (database: Database["Service"], writes: ReadonlyArray<Queued>): Effect.Effect<Exits, Failure> =>
  database.write(statementOf(writes)).pipe(
    Effect.matchEffect({
      onSuccess: (rows) => exitsOf(database, writes, rows),
      onFailure: (error) =>
        error._tag === "ConnectionLost"
          ? Effect.fail(unknown(new Unavailable({ reason: `PostgreSQL went away twice: ${error.reason}` })))
          : writes.length === 1
            ? afterRefusal(database, writes, error)
            : writeEach(database, writes)
    })
  )

/** What comes behind one of which nobody knows is not begun: its caller would be told of it first. */
const writeEach = Effect.fnUntraced(function* (
  database: Database["Service"],
  writes: ReadonlyArray<Queued>
): Effect.fn.Return<Exits> {
  const exits: Array<Exit.Exit<unknown, Failure>> = []
  let isDoubtful = false
  for (const write of writes) {
    const exit: Exit.Exit<Exits, Failure> = isDoubtful
      ? Exit.fail(new Unavailable({ reason: "PostgreSQL went away twice" }))
      : yield* Effect.exit(writeAgain(database, [write]))
    exits.push(Exit.isSuccess(exit) ? exit.value[0]! : Exit.failCause(exit.cause))
    isDoubtful ||= isUnknown(exit)
  }
  return exits
})

const exitOfFound = Effect.fnUntraced(function* (
  database: Database["Service"],
  write: Queued,
  found: Found
): Effect.fn.Return<Exit.Exit<unknown, Failure>, Unavailable> {
  if (found.is === "absent") return Exit.fail(new Unavailable({ reason: "the row vanished while it was read back" }))
  if (write.kind === "accept") return Exit.succeed(acceptedOf(write, found.row, found.is === "others"))
  if (found.is === "others") {
    if (write.kind === "mark") return Exit.void
    const seq = write.kind === "entry" ? write.body.seq : write.body.n
    return Exit.fail(new FencedOff({ conversation: write.body.conversation, seq }))
  }
  return Exit.succeed(write.kind === "entry" ? yield* readOwed(database, write.body) : undefined)
})

function uuids(owner: string): () => string {
  const prefix = `${owner.slice(0, 8)}-${owner.slice(8, 12)}-${owner.slice(12, 16)}-`
  let count = 0
  return () => {
    const hex = (++count).toString(16).padStart(16, "0")
    return `${prefix}${hex.slice(0, 4)}-${hex.slice(4)}`
  }
}
