/**
 * A simulated PostgreSQL: statements take time, are flushed, and are answered. What a power cut, a torn write or a
 * failing fsync leaves of a transaction is decided by its log record alone: it is there whole, or it never was.
 */
import type { ResultRow, Statement } from "../../src/store/database.ts"
import type { Dice } from "./dice.ts"
import type { Fault } from "./failpoints.ts"
import { type Batch, batchOf, Tables, Violation } from "./tables.ts"
import type { Timeline } from "./timeline.ts"

export type Answer =
  | { readonly is: "rows"; readonly rows: ReadonlyArray<ResultRow> }
  | { readonly is: "refused"; readonly sqlState: string; readonly reason: string }
  | { readonly is: "lost"; readonly wasSent: boolean; readonly reason: string }

export interface Session {
  readonly id: string
  readonly meet: Meet
  /** The client has closed it, or lost it; the server may still be at work for it. */
  isCut: boolean
}

interface Transaction {
  readonly session: Session
  readonly statement: Statement
  readonly answer: Tell
  batch: Batch
  positions: ReadonlyArray<number>
  /** Its record is on its way to the disk. */
  isFlushing: boolean
}

/** What it is made of; each is a property of a right one that a planted bug takes away. */
export interface Craft {
  /** Answers only what is flushed. */
  readonly flushesFirst: boolean
  /** Of a torn record nothing counts. */
  readonly isAtomic: boolean
}

/** What a statement meets on its way. */
export type Meet = (statement: Statement, step: "flushing" | "written") => Fault | undefined

/** `fault` is what the answer meets on its way back. */
export type Tell = (answer: Answer, fault?: Fault) => void

const connectionLost = "Connection terminated unexpectedly"

export class Postgres {
  readonly #timeline: Timeline
  readonly #dice: Dice
  readonly #craft: Craft
  readonly #tell: (words: string) => void
  /** What was written, to write it again without the end. */
  readonly #log: Array<readonly [Batch, ReadonlyArray<number>]> = []
  readonly #active = new Set<Transaction>()
  readonly #sessions = new Set<Session>()
  tables = new Tables()
  isUp = true
  /** Of the last ones, how many are not on the disk. */
  #unflushed = 0
  #positions = 0
  #fullUntilMs = 0

  constructor(timeline: Timeline, dice: Dice, craft: Craft, tell: (words: string) => void) {
    this.#timeline = timeline
    this.#dice = dice
    this.#craft = craft
    this.#tell = tell
  }

  open(id: string, meet: Meet): Session {
    const session = { id, meet, isCut: false }
    this.#sessions.add(session)
    return session
  }

  /** A statement of its own or of others is still at work. */
  isAtWork(isMeant: (session: Session) => boolean): boolean {
    return this.#active.values().some(({ session }) => isMeant(session))
  }

  write(session: Session, statement: Statement, answer: Tell): void {
    if (!this.isUp || session.isCut) answer({ is: "lost", wasSent: true, reason: connectionLost })
    else if (this.#fullUntilMs > this.#timeline.nowMs) answer(refused("53100", "No space left on device"))
    else this.#begin(session, statement, answer)
  }

  #begin(session: Session, statement: Statement, answer: Tell): void {
    try {
      const batch = batchOf(statement)
      const positions = batch.accepted.map(() => ++this.#positions)
      const transaction = { session, statement, answer, batch, positions, isFlushing: false }
      this.#active.add(transaction)
      this.#timeline.after(this.#dice.int(1, 3), () => this.#flush(transaction))
    } catch (error) {
      if (!(error instanceof Violation)) throw error
      answer(refused(error.sqlState, error.message))
    }
  }

  read(statement: Statement): ReadonlyArray<ResultRow> {
    return this.tables.read(statement)
  }

  /** No statement finds room until then. */
  fillDisk(forMs: number): void {
    this.#fullUntilMs = this.#timeline.nowMs + forMs
  }

  freeDisk(): void {
    this.#fullUntilMs = 0
  }

  /** It is gone, with what is in its memory; it is back after `downMs`. */
  fail(fault: Fault, downMs: number): void {
    if (!this.isUp) return
    this.isUp = false
    for (const transaction of [...this.#active]) {
      this.#active.delete(transaction)
      // Its record may have reached the disk, whole or in part.
      const isWhole = transaction.isFlushing && fault !== "torn-write" && this.#dice.chance(0.5)
      if (isWhole) this.#commit(transaction)
      else if (transaction.isFlushing && !this.#craft.isAtomic) this.#commitHalf(transaction)
      transaction.answer({ is: "lost", wasSent: true, reason: connectionLost })
    }
    const losesMemory = fault === "power-cut" || fault === "torn-write" || fault === "fsync-error"
    if (losesMemory && !this.#craft.flushesFirst) this.#forget()
    for (const session of this.#sessions) session.isCut = true
    this.#sessions.clear()
    this.#tell(`PostgreSQL is gone for ${downMs} ms (${fault})`)
    this.#timeline.after(downMs, () => {
      this.isUp = true
      this.#tell("PostgreSQL is back")
    })
  }

  #flush(transaction: Transaction): void {
    if (!this.#active.has(transaction)) return
    transaction.isFlushing = true
    const fault = transaction.session.meet(transaction.statement, "flushing")
    if (fault !== undefined) this.fail(fault, this.#dice.int(500, 6_000))
    else this.#timeline.after(this.#dice.int(1, 4), () => this.#end(transaction))
  }

  #end(transaction: Transaction): void {
    if (!this.#active.delete(transaction)) return
    const { answer, session, statement } = transaction
    const rows = this.#commit(transaction)
    if (rows instanceof Violation) {
      answer(refused(rows.sqlState, rows.message))
      return
    }
    const fault = session.meet(statement, "written")
    if (fault === "connection-cut") session.isCut = true
    answer(session.isCut ? { is: "lost", wasSent: true, reason: connectionLost } : { is: "rows", rows }, fault)
  }

  #commit({ batch, positions }: Transaction): ReadonlyArray<ResultRow> | Violation {
    try {
      const rows = this.tables.write(batch, positions)
      this.#remember(batch, positions)
      return rows
    } catch (error) {
      if (error instanceof Violation) return error
      throw error
    }
  }

  /** Without what an entry owes, and without what became of its events. */
  #commitHalf({ batch, positions }: Transaction): void {
    const half = { ...batch, owed: [], buried: [], messages: [] }
    try {
      this.tables.write(half, positions)
      this.#remember(half, positions)
    } catch (error) {
      if (!(error instanceof Violation)) throw error
    }
  }

  #remember(batch: Batch, positions: ReadonlyArray<number>): void {
    if (this.#craft.flushesFirst) return
    this.#log.push([batch, positions])
    this.#unflushed = (this.#unflushed + 1) % 10
  }

  #forget(): void {
    this.#log.splice(this.#log.length - this.#unflushed)
    this.#unflushed = 0
    this.tables = new Tables()
    for (const [batch, positions] of this.#log) this.tables.write(structuredClone(batch), positions)
  }
}

function refused(sqlState: string, reason: string): Answer {
  return { is: "refused", sqlState, reason }
}
