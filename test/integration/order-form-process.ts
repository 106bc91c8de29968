/**
 * A server that knows nothing but the order form: `node order-form-process.ts '<ProcessOptions as JSON>'`. What people
 * write comes as lines on stdin, what they are sent goes as lines to stdout, and it kills itself where it is told to.
 */
import { writeSync } from "node:fs"
import { flushCompileCache } from "node:module"
import { createInterface } from "node:readline"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { sql } from "kysely"
import { makeAccount } from "../../src/actors/account.ts"
import { runSweeper, type SweeperOptions, sweep } from "../../src/actors/sweeper.ts"
import type { Accept, Adapter } from "../../src/adapters/adapter.ts"
import { conversationId, outboundKey, partsOf } from "../../src/domain/ids.ts"
import { randomId } from "../../src/domain/random-id.ts"
import { Database, layer as layerDatabase } from "../../src/store/database.ts"
import { type Entry, Journal } from "../../src/store/journal.ts"
import { layer as layerJournal } from "../../src/store/journal-postgres.ts"
import { sweepReadsOf } from "../../src/store/sweep-reads.ts"
import { channel, orderFormBehaviour, type PlacedOrder, type Shop } from "./order-form.ts"

export interface ProcessOptions {
  readonly url: string
  readonly account: string
  readonly release: 1 | 2
  /** `silent` never answers, `broken` throws. */
  readonly shop: "open" | "silent" | "broken"
  readonly shopMaxMs: number
  /** Of conversations whose thread begins with `silent`; others are never reminded. */
  readonly silenceMs: number
  readonly idleMs: number
  /** By thread, where it dies next. */
  readonly deaths: Readonly<Record<string, Death>>
}

/** At which write of a conversation, and whether the write is durable then. */
export interface Death {
  readonly at: "accept" | "entry" | "begin" | "end"
  /** Of an accepted event the number in its key; of the others that of the entry. */
  readonly n: number
  readonly side: "before" | "after"
}

/** A line on stdin. Their order is that of the events. */
export interface Said {
  readonly thread: string
  readonly key: string
  readonly text: string
}

/** A line on stdout; others are log lines. */
export type Told =
  | { readonly accepted: string }
  | { readonly sent: { readonly thread: string; readonly key: string; readonly text: string } }
  | { readonly spawned: string }
  /** Nothing goes on after this write: it dies by it, unless it dies sooner for somebody else. */
  | { readonly writes: string }
  | { readonly dies: string }
  /** It did something before what asked for it was durable. */
  | { readonly early: string }

const neverMs = 3_600_000
const settings = {
  database: { readersMax: 4, connectMaxMs: 5_000, statementMaxMs: 30_000 },
  writer: { batchMax: 256, queueMax: 1_000 },
  limits: { inboxMax: 1_000, conversationInboxMax: 100, liveMax: 1_000, linesMax: 1_000 },
  delivery: { attemptsMax: 100, ageMaxMs: neverMs, delayMinMs: 10, delayMaxMs: 100 }
}

/** In one synchronous write, so that it is out before the process dies. */
const tell = (told: Told) => void writeSync(1, JSON.stringify(told) + "\n")

const main = Effect.fnUntraced(function* (options: ProcessOptions) {
  const { account, idleMs, release, shopMaxMs, silenceMs } = options
  const database = yield* Database
  const journal = mortal(yield* Journal, options)
  const shop = shopIn(database, options.shop)
  const form = yield* makeAccount({
    adapter: adapterOf(account),
    journal,
    behaviourOf: (id) => {
      const { thread } = partsOf(id)
      tell({ spawned: thread })
      const ownMs = thread.startsWith("silent") ? silenceMs : neverMs
      const behaviour = orderFormBehaviour(id, { release, silenceMs: ownMs, shopMaxMs }, { journal, shop })
      const place = () => Effect.die(new Error("the shop is broken"))
      if (options.shop !== "broken") return behaviour
      return {
        ...behaviour,
        perform: (action, self) => (action.type === "order.place" ? place() : behaviour.perform(action, self))
      }
    },
    limits: { ...settings.limits, idleMs },
    delivery: settings.delivery,
    pending: () => 0
  })
  const sweeper: SweeperOptions = {
    reads: sweepReadsOf(database),
    accounts: () => new Map([[form.id, form]]),
    counted: () => {},
    dedupKeptMs: neverMs
  }
  yield* sweep(sweeper)
  yield* Effect.all([form.run, runSweeper(sweeper)], { concurrency: "unbounded", discard: true })
})

const adapterOf = (account: string): Adapter => ({
  channel,
  account,
  delivery: "idempotent",
  limits: { textMax: 4_000, textUnit: "utf16-units", sendMaxMs: 1_000 },
  capabilities: { edit: false, typing: false, attachments: false },
  listen: (accept) => Effect.andThen(Effect.forkScoped(lines(account, accept)), Effect.never),
  send: ({ key, text, thread }) =>
    Effect.as(
      Effect.sync(() => tell({ sent: { thread, key, text } })),
      ""
    )
})

/** Each line is accepted at once; whoever waits for an acknowledgement is the person. */
const lines = Effect.fnUntraced(function* (account: string, accept: Accept) {
  const run = Effect.runForkWith(yield* Effect.context<never>())
  const take = ({ key: eventKey, text, thread }: Said) =>
    accept({ channel, account, eventKey, thread, user: { id: thread }, text }).pipe(
      Effect.andThen(Effect.sync(() => tell({ accepted: eventKey }))),
      Effect.orDie
    )
  const input = createInterface({ input: process.stdin })
  input.on("line", (line) => run(take(JSON.parse(line))))
  input.on("close", () => process.exit()) // whoever started it is gone
})

/** The journal of a process that dies before or after a write, and notes what was durable in its life. */
function mortal(journal: Journal["Service"], { account, deaths }: ProcessOptions): Journal["Service"] {
  const last = new Map<string, Entry>()
  const isDeath = (at: Death["at"], thread: string, side: Death["side"], isIt: (n: number) => boolean) => {
    const death = deaths[thread]
    return death?.at === at && death.side === side && isIt(death.n)
  }
  const around = <A, E>(at: Death["at"], id: string, isIt: (n: number) => boolean, write: Effect.Effect<A, E>) => {
    const { thread } = partsOf(id)
    return Effect.suspend(() => {
      if (isDeath(at, thread, "before", isIt)) die(thread)
      if (!isDeath(at, thread, "after", isIt)) return write
      tell({ writes: thread })
      return Effect.tap(write, () => Effect.sync(() => die(thread)))
    })
  }
  const ofEntry = (conversation: string, key: string) => (n: number) => outboundKey(conversation, n, 0) === key
  return {
    ...journal,
    accept: (inbound, onAccepted) => {
      const { eventKey, thread } = inbound
      const isIt = (n: number) => eventKey === `${thread}-${n}`
      const written = journal.accept(inbound, (accepted) => {
        if (isDeath("accept", thread, "after", isIt)) die(thread)
        onAccepted(accepted)
      })
      return around("accept", conversationId(channel, account, thread), isIt, written)
    },
    commit: (entry) =>
      around(
        "entry",
        entry.conversation,
        (n) => n === entry.seq,
        Effect.tap(journal.commit(entry), () => Effect.sync(() => last.set(entry.conversation, entry)))
      ),
    begin: (attempt) =>
      around("begin", attempt.conversation, ofEntry(attempt.conversation, attempt.key), journal.begin(attempt)),
    end: (attempt) =>
      around("end", attempt.conversation, ofEntry(attempt.conversation, attempt.key), journal.end(attempt)),
    messages: (conversation, ...page) => {
      if (last.get(conversation)?.snapshot.value !== "placing") tell({ early: conversation })
      return journal.messages(conversation, ...page)
    }
  }
}

function die(thread: string) {
  tell({ dies: thread })
  process.kill(process.pid, "SIGKILL")
}

/** A shop whose numbers are those of each customer's orders; one that is placed again keeps its number. */
function shopIn({ query }: Database["Service"], manner: ProcessOptions["shop"]): Shop {
  const place = ({ address, customer, howMany, key, what }: PlacedOrder) =>
    query(async (db) => {
      const { rows } = await sql<{ number: number }>`
        insert into shop as s (key, customer, number, what, how_many, address, calls)
        values (${key}, ${customer}, (select count(*) + 1 from shop where customer = ${customer}), ${what}, ${howMany},
          ${address}, 1)
        on conflict (key) do update set calls = s.calls + 1 returning number`.execute(db)
      return rows[0]!.number
    }).pipe(Effect.orDie)
  return { place: (order) => (manner === "silent" ? Effect.never : place(order)) }
}

flushCompileCache() // a killed process leaves none behind
const options = JSON.parse(process.argv[2]!) as ProcessOptions
const layers = layerJournal({ owner: randomId(), limits: settings.writer }).pipe(
  Layer.provideMerge(layerDatabase({ url: Redacted.make(options.url), ...settings.database }, "strict"))
)
Effect.runFork(main(options).pipe(Effect.scoped, Effect.provide(layers)))
