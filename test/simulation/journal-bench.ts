/** Two owners' journals on one simulated PostgreSQL, for callers in real time: virtual time runs when they wait. */
import { setImmediate } from "node:timers"
import { Context, Effect, Exit, Layer } from "effect"
import { Database } from "../../src/store/database.ts"
import { Journal } from "../../src/store/journal.ts"
import { layer as layerJournal } from "../../src/store/journal-postgres.ts"
import type { SweepReads } from "../../src/store/sweep-reads.ts"
import type { Cut } from "../integration/cutting-proxy.ts"
import { Dice } from "./dice.ts"
import type { Fault, Point } from "./failpoints.ts"
import { Postgres } from "./postgres.ts"
import { PostgresClient } from "./postgres-client.ts"
import { type Ground, SimulatedProcess } from "./simulated-process.ts"
import { pointsOf } from "./statement-points.ts"
import { Timeline } from "./timeline.ts"

export interface SimulatedBench {
  readonly owners: readonly [Journal["Service"], Journal["Service"]]
  readonly cut: (cut: Cut) => void
  readonly reads: SweepReads
}

const limits = { batchMax: 6, queueMax: 1_000 }

export function simulatedBench(seed: number): SimulatedBench {
  const timeline = new Timeline()
  const ready: Array<() => void> = []
  const ground: Ground = { timeline, ready, wallMs: 0, logLevel: "None", log: () => {} }
  const postgres = new Postgres(timeline, new Dice(`${seed}`), { flushesFirst: true, isAtomic: true }, () => {})
  let planned: Cut | undefined
  const meets = (point: Point): Fault | undefined => {
    if (planned === undefined || !point.endsWith(planned === "before" ? ".asked" : ".written")) return undefined
    planned = undefined
    return "connection-cut"
  }
  const [first, second] = [0, 1].map((nth) => {
    const process = new SimulatedProcess(`owner-${nth}`, ground, new Dice(`${seed} ${nth}`), () => {})
    const isStatement = (point: Point) => !/^(load|due|messages|back|sweep|connect)\./.test(point)
    const pass = (point: Point) => (nth === 0 && isStatement(point) ? meets(point) : undefined)
    const dice = new Dice(`${seed} wire ${nth}`)
    const wire = { process, postgres, timeline, dice, pass, points: pointsOf, trace: () => {} }
    const client = new PostgresClient(wire)
    const owner = `${nth}`.repeat(32)
    const journal = Layer.provide(layerJournal({ owner, limits }), Layer.succeed(Database, client.database))
    return { client, process, journal: openJournal(process, journal) }
  }) as [Owner, Owner]
  let isPumping = false
  const pump = () => {
    isPumping = false
    do {
      for (let i = 0; i < ready.length; i++) ready[i]!()
      ready.length = 0
    } while (timeline.step(Number.POSITIVE_INFINITY))
  }
  const outside =
    (process: SimulatedProcess) =>
    <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
      Effect.callback<A, E>((resume) => {
        process.run(effect).addObserver((exit) => resume(exit))
        if (!isPumping) setImmediate(pump)
        isPumping = true
      })
  const owners = [journalOutside(first, outside), journalOutside(second, outside)] as const
  const cut = (cut: Cut) => {
    planned = cut
  }
  return { owners, cut, reads: readsOutside(second, outside) }
}

interface Owner {
  readonly client: PostgresClient
  readonly process: SimulatedProcess
  readonly journal: Journal["Service"]
}

type Outside = (process: SimulatedProcess) => <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>

/** Its writer begins at once, so that it is there as soon as this returns. */
function openJournal(process: SimulatedProcess, layer: Layer.Layer<Journal>): Journal["Service"] {
  let opened: Journal["Service"] | undefined
  const open = Effect.flatMap(Layer.build(layer), (context) => {
    opened = Context.get(context, Journal)
    return Effect.never
  })
  const exit = process.run(Effect.scoped(open)).pollUnsafe()
  if (opened === undefined) throw new Error(`the journal did not open: ${exit && Exit.isFailure(exit) && exit.cause}`)
  return opened
}

function journalOutside({ journal, process }: Owner, outside: Outside): Journal["Service"] {
  const through = outside(process)
  return {
    accept: (inbound, onAccepted) => through(journal.accept(inbound, onAccepted)),
    commit: (entry) => through(journal.commit(entry)),
    begin: (attempt) => through(journal.begin(attempt)),
    end: (end) => through(journal.end(end)),
    drained: through(journal.drained),
    load: (conversation, max) => through(journal.load(conversation, max)),
    due: (conversation, max) => through(journal.due(conversation, max)),
    messages: (conversation, turn, max) => through(journal.messages(conversation, turn, max))
  }
}

function readsOutside({ client, process }: Owner, outside: Outside): SweepReads {
  const through = outside(process)
  const { census, forgetSettled, open, withDue, withPending, withTimers } = client.sweepReads
  return {
    withPending: (after, max) => through(withPending(after, max)),
    open: (after, max) => through(open(after, max)),
    withDue: (after, max) => through(withDue(after, max)),
    withTimers: (after, dueByMs, max) => through(withTimers(after, dueByMs, max)),
    forgetSettled: (beforeMs, max) => through(forgetSettled(beforeMs, max)),
    census: through(census)
  }
}
