/**
 * The way from one process to the simulated PostgreSQL: what `store/database.ts` is to the real one, with its rule that
 * nothing is written before earlier writers are done, and the reads of the sweeper.
 */
import { Effect } from "effect"
import type { Count } from "../../src/store/census.ts"
import { ConnectionLost, type Database, type Statement, StatementFailed } from "../../src/store/database.ts"
import { Unavailable } from "../../src/store/journal.ts"
import type { SweepReads } from "../../src/store/sweep-reads.ts"
import type { Dice } from "./dice.ts"
import type { Fault, Point } from "./failpoints.ts"
import type { Answer, Postgres, Session, Tell } from "./postgres.ts"
import type { SimulatedProcess } from "./simulated-process.ts"
import type { Timeline } from "./timeline.ts"

export interface Wire {
  readonly process: SimulatedProcess
  readonly postgres: Postgres
  readonly timeline: Timeline
  readonly dice: Dice
  readonly pass: (point: Point) => Fault | undefined
  /** The failpoints of what a statement writes. */
  readonly points: (statement: Statement, step: "asked" | "flushing" | "written") => ReadonlyArray<Point>
  readonly trace: (words: string) => void
}

const othersPollMs = 50
const othersMaxMs = 5_000
const stallMs = 8_000

export class PostgresClient {
  readonly #wire: Wire
  #writer: Session | undefined
  #count = 0

  constructor(wire: Wire) {
    this.#wire = wire
  }

  get database(): Database["Service"] {
    return {
      write: (statement) => this.#write(statement),
      read: (statement) => this.#read(statement),
      query: () => Effect.die("the simulated PostgreSQL answers statements only"),
      trouble: Effect.sync(() => (this.#wire.postgres.isUp ? undefined : "it is gone"))
    }
  }

  get sweepReads(): SweepReads {
    const { postgres } = this.#wire
    const page = (point: Point, isMeant: (id: string) => boolean, ids: () => Iterable<string>) => {
      return (after: string, idsMax: number) =>
        this.#ask(point, point, () =>
          [...ids()]
            .filter((id) => id > after && isMeant(id))
            .toSorted()
            .slice(0, idsMax)
        )
    }
    const written = () => new Set(postgres.tables.inbound.values().map(({ conversation }) => conversation))
    const known = () => postgres.tables.conversations.keys()
    return {
      withPending: page("sweep.pending", (id) => postgres.tables.isPending(id), written),
      open: page("sweep.open", (id) => postgres.tables.conversations.get(id)?.["open"] === true, known),
      withDue: page("sweep.due", (id) => postgres.tables.isDue(id), known),
      withTimers: (after, dueByMs, idsMax) =>
        this.#ask("sweep.timers", "sweep.timers", () => {
          const rows = [...postgres.tables.conversations].flatMap(([id, { wake_at_ms: wakeAtMs }]) =>
            typeof wakeAtMs === "number" && wakeAtMs <= dueByMs ? [{ id, wakeAtMs }] : []
          )
          const sorted = rows.toSorted((a, b) => a.wakeAtMs - b.wakeAtMs || (a.id < b.id ? -1 : 1))
          const isBehind = (one: typeof after) =>
            one.wakeAtMs > after.wakeAtMs || (one.wakeAtMs === after.wakeAtMs && one.id > after.id)
          return sorted.filter(isBehind).slice(0, idsMax)
        }),
      forgetSettled: (beforeMs, rowsMax) =>
        this.#ask(undefined, undefined, () => postgres.tables.forgetSettled(beforeMs, rowsMax)),
      census: this.#ask("sweep.census", "sweep.census", () => censusOf(postgres))
    }
  }

  #write(
    statement: Statement
  ): Effect.Effect<ReadonlyArray<Record<string, unknown>>, StatementFailed | ConnectionLost> {
    return Effect.suspend(() => (this.#writer?.isCut === false ? Effect.void : this.#connect())).pipe(
      Effect.andThen(Effect.suspend(() => this.#send(this.#writer!, statement)))
    )
  }

  #connect(): Effect.Effect<void, ConnectionLost> {
    const { pass, postgres, process, timeline } = this.#wire
    const lost = (reason: string) => new ConnectionLost({ wasSent: false, reason })
    const id = `writer of ${process.name}`
    const ready = (resume: (effect: Effect.Effect<void, ConnectionLost>) => void, waitedMs: number) => {
      if (!postgres.isUp) return resume(Effect.fail(lost("connect ECONNREFUSED")))
      // Its own earlier one is ended; of others the last statement may end by itself.
      const isInTheWay = (session: Session) => session.id === id || waitedMs < othersMaxMs
      if (postgres.isAtWork(isInTheWay)) {
        timeline.after(othersPollMs, () => process.hear(() => ready(resume, waitedMs + othersPollMs)))
        return
      }
      this.#writer = postgres.open(id, (statement, step) => this.#meet(statement, step))
      resume(Effect.void)
    }
    return Effect.callback<void, ConnectionLost>((resume) => {
      if (!process.isAlive) return
      const fault = pass("connect.asked")
      if (fault === "crash") return process.crash()
      if (fault === "error") return resume(Effect.fail(lost("connect ECONNREFUSED")))
      const delayMs = fault === "stall" ? stallMs : this.#wire.dice.int(1, 4)
      timeline.after(delayMs, () => process.hear(() => ready(resume, 0)))
    })
  }

  #send(session: Session, statement: Statement) {
    const { dice, postgres, process, timeline, trace } = this.#wire
    return Effect.callback<ReadonlyArray<Record<string, unknown>>, StatementFailed | ConnectionLost>((resume) => {
      if (!process.isAlive) return
      trace(`${process.name} writes ${statement.name} ${statement.values.join(" ")}`)
      const fault = this.#meet(statement, "asked")
      if (fault === "crash") return process.crash()
      const answer: Tell = (given, late) => {
        if (late === "crash") return process.crash()
        const delayMs = late === "stall" ? stallMs : dice.int(0, 2)
        timeline.after(delayMs, () => process.hear(() => resume(effectOf(given))))
      }
      if (fault === "error" || fault === "connection-cut") {
        session.isCut = true
        // The server may have it all the same, and goes on with it.
        if (fault === "connection-cut" && dice.chance(0.5))
          postgres.write({ ...session, isCut: false }, statement, () => {})
        return answer({ is: "lost", wasSent: true, reason: "read ECONNRESET" })
      }
      if (fault === "disk-full") postgres.fillDisk(dice.int(500, 5_000))
      const delayMs = fault === "stall" ? stallMs : dice.int(0, 2)
      timeline.after(delayMs, () => postgres.write(session, statement, answer))
    })
  }

  /** What the statement meets, at one of the points of what it writes. */
  #meet(statement: Statement, step: "asked" | "flushing" | "written"): Fault | undefined {
    for (const point of this.#wire.points(statement, step)) {
      const fault = this.#wire.pass(point)
      if (fault !== undefined) return fault
    }
    return undefined
  }

  #read(statement: Statement) {
    const name = statement.name.startsWith("back-") ? "back" : statement.name
    const point = (step: "asked" | "read") => `${name}.${step}` as Point
    return this.#ask(point("asked"), point("read"), () => this.#wire.postgres.read(statement))
  }

  #ask<A>(asked: Point | undefined, read: Point | undefined, answer: () => A): Effect.Effect<A, Unavailable> {
    const { dice, pass, postgres, process, timeline, trace } = this.#wire
    return Effect.callback<A, Unavailable>((resume) => {
      if (!process.isAlive) return
      const later = (delayMs: number, act: () => void) => timeline.after(delayMs, act)
      const fail = (reason: string) => resume(Effect.fail(new Unavailable({ reason })))
      const fault = asked === undefined ? undefined : pass(asked)
      if (fault === "crash") return process.crash()
      if (fault === "error") return void later(1, () => process.hear(() => fail("read ECONNRESET")))
      later(fault === "stall" ? stallMs : dice.int(0, 2), () => {
        if (!postgres.isUp) return process.hear(() => fail("connect ECONNREFUSED"))
        const found = answer()
        const isOneStep = read === asked
        const after = read === undefined || isOneStep ? undefined : pass(read)
        if (after === "crash") return process.crash()
        if (asked !== undefined && !isOneStep) trace(`${process.name} ${asked} ${++this.#count}`)
        later(after === "stall" ? stallMs : dice.int(0, 2), () =>
          process.hear(() => (after === "error" ? fail("read ECONNRESET") : resume(Effect.succeed(found))))
        )
      })
    })
  }
}

function effectOf(answer: Answer) {
  if (answer.is === "rows") return Effect.succeed(answer.rows)
  if (answer.is === "refused") return Effect.fail(new StatementFailed(answer))
  return Effect.fail(new ConnectionLost(answer))
}

function censusOf({ tables }: Postgres): ReadonlyArray<Count> {
  const pending = Map.groupBy(
    tables.inbound.values().filter(({ fate }) => fate === null),
    ({ account }) => account
  )
  return [
    ...tables.tally.values(),
    ...[...pending].map(([account, { length: count }]) => ({ account, term: "pending", count }))
  ] as ReadonlyArray<Count>
}
