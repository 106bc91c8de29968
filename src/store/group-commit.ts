/**
 * Many callers, one flush: whatever waits is written together, and each caller learns its own fate.
 *
 *   G1. A caller succeeds only after a write that held its row succeeded.
 *   G2. A row that cannot be written fails alone.
 *   G3. Rows are written in the order in which they were offered, but for those held back by G5.
 *   G4. A defect of `write`, or the end of the scope, fails whoever waits: nobody hangs.
 *   G5. Two rows of one owner are never in one batch.
 *   G6. Callers are told in the order of their rows, and `onWritten` is called in that order, waiting caller or not.
 */
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import { emptyHistogram, type Histogram, observe } from "../domain/histogram.ts"
import { drainUnsafe } from "./drain.ts"

export interface Limits {
  /** Beyond 256 rows one statement gains nothing more. */
  readonly batchMax: number
  readonly queueMax: number
}

export interface Target<Row, A, E> {
  readonly limits: Limits
  /** All rows or none, in one transaction, and what came of each. */
  readonly write: (rows: ReadonlyArray<Row>) => Effect.Effect<ReadonlyArray<Exit.Exit<A, E>>, E>
  /** Whether one row of the batch caused it. If not, the rows alone would fare no better. */
  readonly isFaultOfOneRow: (error: E) => boolean
  /** Rows of the same owner exclude each other from a batch; undefined excludes nothing. */
  readonly ownerOf: (row: Row) => string | undefined
  /** Called in the tick in which the write is known, before any caller goes on. Must not throw. */
  readonly onWritten: (row: Row, result: A) => void
  /** Changed in place. */
  readonly stats: WriterStats
}

/** Since the start; times in seconds. */
export interface WriterStats {
  /** From when a row is offered until it is known to be written. */
  readonly commit: Histogram
  /** Of one transaction, whatever came of it. */
  readonly flush: Histogram
  /** Rows of a transaction. */
  readonly rows: Histogram
  /** Rows that wait for their transaction, or for its end. */
  waiting: number
}

const secondBounds = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const rowBounds = [1, 2, 4, 8, 16, 32, 64, 128, 256]

export function emptyWriterStats(): WriterStats {
  const [commit, flush] = [emptyHistogram(secondBounds), emptyHistogram(secondBounds)]
  return { commit, flush, rows: emptyHistogram(rowBounds), waiting: 0 }
}

/** As many rows wait as may. */
export class WriterFull extends Data.TaggedError("WriterFull")<{ readonly queueMax: number }> {}

interface Waiting<Row, A, E> {
  readonly row: Row
  readonly written: Deferred.Deferred<A, E>
  readonly sinceNs: bigint
}

/**
 * A function that writes one row. It does not wait for room, and it is interrupted when the scope closes, after what
 * is being written is known. Interrupting a caller takes back neither its row nor its place.
 */
export const make = Effect.fn("GroupCommit.make")(function* <Row, A, E>(target: Target<Row, A, E>) {
  const { isFaultOfOneRow, limits, ownerOf, stats } = target
  const clock = yield* Clock.Clock
  type Batch = ReadonlyArray<Waiting<Row, A, E>>
  const queue = yield* Queue.bounded<Waiting<Row, A, E>>(limits.queueMax)
  let heldBack: Batch = []

  const settle = (batch: Batch, exits: (index: number) => Exit.Exit<A, E>) =>
    Effect.sync(() => tell(target, clock, batch, exits))

  const writeTogether = (batch: Batch): Effect.Effect<void> =>
    Effect.suspend(() =>
      timedWrite(
        target,
        clock,
        batch.map(({ row }) => row)
      )
    ).pipe(
      Effect.exit,
      Effect.flatMap((exit) => {
        if (Exit.isSuccess(exit)) return settle(batch, (index) => exit.value[index]!)
        return batch.length > 1 && isOneRows(exit)
          ? writeHalves(batch)
          : settle(batch, () => Exit.failCause(exit.cause))
      }),
      Effect.onInterrupt(() => settle(batch, () => Exit.interrupt()))
    )

  const writeHalves = (batch: Batch) => {
    const middle = batch.length >> 1
    return Effect.andThen(writeTogether(batch.slice(0, middle)), writeTogether(batch.slice(middle)))
  }

  const isOneRows = (exit: Exit.Exit<unknown, E>) => {
    const error = Exit.findErrorOption(exit)
    return error._tag === "Some" && isFaultOfOneRow(error.value)
  }

  const choose = (candidates: Batch): Batch => {
    const [batch, rest] = split(candidates, ({ row }) => ownerOf(row), limits.batchMax)
    heldBack = rest
    return batch
  }

  const nextBatch = Effect.suspend(() =>
    heldBack.length === 0
      ? Effect.map(Queue.takeBetween(queue, 1, limits.batchMax), choose)
      : Effect.sync(() => choose([...heldBack, ...takeUnsafe(queue, limits.batchMax - heldBack.length)]))
  )

  yield* nextBatch.pipe(
    Effect.flatMap((batch) => Effect.uninterruptible(writeTogether(batch))),
    Effect.forever,
    Effect.onExit(() => Effect.suspend(() => settle([...heldBack, ...drainUnsafe(queue)], () => Exit.interrupt()))),
    // Begun at once: interrupted before its beginning it would leave the queue open, and whoever comes then would hang.
    Effect.forkScoped({ startImmediately: true })
  )

  return Effect.fnUntraced(function* (row: Row) {
    const written = Deferred.makeUnsafe<A, E>()
    stats.waiting++
    if (Queue.offerUnsafe(queue, { row, written, sinceNs: clock.monotonicTimeNanosUnsafe() })) {
      return yield* Deferred.await(written)
    }
    stats.waiting--
    return yield* new WriterFull({ queueMax: limits.queueMax })
  })
})

function tell<Row, A, E>(
  { onWritten, stats }: Target<Row, A, E>,
  clock: Clock.Clock,
  batch: ReadonlyArray<Waiting<Row, A, E>>,
  exits: (index: number) => Exit.Exit<A, E>
): void {
  stats.waiting -= batch.length
  for (const [index, { row, sinceNs }] of batch.entries()) {
    const exit = exits(index)
    if (Exit.isFailure(exit)) continue
    observe(stats.commit, secondsSince(clock, sinceNs))
    onWritten(row, exit.value)
  }
  for (const [index, { written }] of batch.entries()) Deferred.doneUnsafe(written, exits(index))
}

function timedWrite<Row, A, E>({ stats, write }: Target<Row, A, E>, clock: Clock.Clock, rows: ReadonlyArray<Row>) {
  const beganNs = clock.monotonicTimeNanosUnsafe()
  return Effect.onExit(write(rows), () =>
    Effect.sync(() => {
      observe(stats.flush, secondsSince(clock, beganNs))
      observe(stats.rows, rows.length)
    })
  )
}

function secondsSince(clock: Clock.Clock, ns: bigint): number {
  return Number(clock.monotonicTimeNanosUnsafe() - ns) / 1e9
}

function takeUnsafe<A>(queue: Queue.Queue<A>, max: number): ReadonlyArray<A> {
  const taken: Array<A> = []
  while (taken.length < max) {
    const next = Queue.takeUnsafe(queue)
    if (next === undefined || Exit.isFailure(next)) break
    taken.push(next.value)
  }
  return taken
}

/** The next batch, and what must wait for the one after it: it comes first there. */
function split<A>(candidates: ReadonlyArray<A>, ownerOf: (one: A) => string | undefined, batchMax: number) {
  const owners = new Set<string>()
  const batch: Array<A> = []
  const rest: Array<A> = []
  for (const one of candidates) {
    const owner = ownerOf(one)
    if (batch.length < batchMax && (owner === undefined || !owners.has(owner))) batch.push(one)
    else rest.push(one)
    if (owner !== undefined) owners.add(owner)
  }
  return [batch, rest] as const
}
