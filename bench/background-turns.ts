/**
 * Writes what Parley writes for a turn, but for its accept, into tables of its own: through the same journal, so with
 * the same statements, rows, batches and flushes, at the rate at which it is told. A turn is entry, read of the
 * messages, entry, attempt, end of the attempt. `node bench/background-turns.ts URL`, with an IPC channel.
 */
import { setTimeout as wait } from "node:timers/promises"
import { Context, Effect, Layer, Redacted, Scope } from "effect"
import { outboundKey } from "../src/domain/ids.ts"
import { layer as layerDatabase } from "../src/store/database.ts"
import { type Entry, Journal, type Rows } from "../src/store/journal.ts"
import { layer as layerJournal } from "../src/store/journal-postgres.ts"
import { answerText } from "./counterpart.ts"
import { arrivals, nowMs } from "./load.ts"

export interface Told {
  readonly perSecond: number
  readonly count: number
  readonly conversations: number
  readonly seed: string
}

const database = {
  url: Redacted.make(process.argv[2] ?? ""),
  readersMax: 8,
  connectMaxMs: 5_000,
  statementMaxMs: 30_000
}
const limits = { batchMax: 256, queueMax: 20_000 }
const layers = layerJournal({ owner: "b".repeat(32), limits }).pipe(Layer.provide(layerDatabase(database, "strict")))
const journal = Context.get(
  await Effect.runPromise(Effect.provideService(Layer.build(layers), Scope.Scope, Scope.makeUnsafe())),
  Journal
)

interface Place {
  readonly id: string
  readonly user: string
  turn: number
  position: number
}

let phase = 0

const accept = (place: Place, text: string) =>
  Effect.map(
    journal.accept(
      {
        channel: "webhook",
        account: "bench",
        eventKey: `evt_${place.id}_${place.turn}`,
        thread: place.id.slice("webhook/bench/".length),
        user: { id: place.user },
        text
      },
      () => undefined
    ),
    ({ position }) => position
  )

function entryOf({ id, position, turn }: Place, isEnd: boolean, rows: Partial<Rows>): Entry {
  const context = {
    policy: "collect",
    settleMs: 0,
    turnMaxMs: 300_000,
    turn,
    attempt: 1,
    asked: position,
    kept: position
  }
  const value = isEnd ? "done" : { answering: "awaiting-model" }
  const timer = { id: "xstate.after.turnDeadline.conversation.answering", armed: turn, dueAtMs: Date.now() + 300_000 }
  return {
    conversation: id,
    seq: 2 * turn - (isEnd ? 0 : 1),
    atMs: Date.now(),
    event: isEnd ? ({ type: "inference.finished", turn, attempt: 1 } as Entry["event"]) : { type: "user.message" },
    snapshot: { machine: "conversation", version: 1, value, context },
    timers: isEnd ? [] : [{ ...timer, event: timer.id }],
    handled: position,
    open: !isEnd,
    defects: 0,
    messageSeq: 2 * turn - (isEnd ? 0 : 1),
    messages: [],
    outbound: [],
    settle: [],
    deadLetters: [],
    deliveryVersion: 1,
    ...rows
  }
}

const turnOf = (place: Place, text: string) =>
  Effect.gen(function* () {
    const { id, position, turn } = place
    yield* journal.commit(entryOf(place, false, { messages: [{ role: "user", text, turn, position }] }))
    yield* journal.messages(id, turn, 64)
    const key = outboundKey(id, 2 * turn, 0)
    yield* journal.commit(
      entryOf(place, true, {
        messages: [{ role: "assistant", text: answerText, turn }],
        outbound: [{ key, turn, text: answerText, outcome: "answered" }],
        settle: [{ after: 0, upTo: position, fate: "answered", turn, key }]
      })
    )
    const attempt = { conversation: id, key, n: 1, atMs: Date.now() }
    yield* journal.begin(attempt)
    const end = { ...attempt, reason: "", receipt: "", dueAtMs: attempt.atMs }
    yield* journal.end({ ...end, result: "delivered", state: "delivered" })
  })

const text = "How do I bring a washing machine to the second floor without taking it apart? #1234567#"

async function run({ conversations, count, perSecond, seed }: Told): Promise<void> {
  phase++
  const places = Array.from({ length: conversations }, (_, index): Place => {
    const user = `u-b${phase}-${index}`
    return { id: `webhook/bench/b${phase}-${index}`, user, turn: 0, position: 0 }
  })
  const offsetsMs = arrivals(seed, perSecond, count)
  // Turns end events that are there: these are not part of what is measured.
  const pending: Array<{ readonly place: Place; readonly turn: number; position: number }> = []
  for (let index = 0; index < count; index++) {
    const place = places[index % conversations]!
    pending.push({ place, turn: Math.floor(index / conversations) + 1, position: 0 })
  }
  const accepting = Effect.forEach(
    pending,
    (one) =>
      Effect.map(accept({ ...one.place, turn: one.turn }, text), (position) => {
        one.position = position
      }),
    { concurrency: 64, discard: true }
  )
  await Effect.runPromise(accepting)
  process.send?.("ready")
  await new Promise((resolve) => process.once("message", resolve))
  const startMs = nowMs() + 200
  const running: Array<Promise<void>> = []
  for (const [index, offset] of offsetsMs.entries()) {
    const leftMs = startMs + offset - nowMs()
    if (leftMs > 1) await wait(leftMs)
    const { place, position, turn } = pending[index]!
    running.push(Effect.runPromise(turnOf({ ...place, turn, position }, text)))
  }
  await Promise.all(running)
  process.send?.("done")
}

process.on("message", (told: Told | "go") => {
  if (told !== "go") void run(told)
})
process.on("disconnect", () => process.exit())
process.send?.("open")
