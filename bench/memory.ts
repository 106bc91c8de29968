/**
 * What live conversations weigh, and what it takes to wake one that sleeps.
 *
 *   node bench/memory.ts [--short]
 *
 * In this process: the registry, the interpreter and the journal of the server, PostgreSQL, and a scheduler whose model
 * answers at once. Each conversation has done one turn when it is weighed; the floor of its weight is a fiber of
 * Effect that waits on a bounded queue. A conversation is awake when it commits the event that woke it; the floor of
 * that are a read and a durable insert, one after the other, over the same connections.
 */
import { setTimeout as wait } from "node:timers/promises"
import { parseArgs } from "node:util"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { Context, Effect, Exit, Layer, Queue, Redacted, Scope, Stream } from "effect"
import { type ConversationOptions, conversationBehaviour } from "../src/actors/conversation.ts"
import { type Conversations, makeConversations } from "../src/actors/conversations.ts"
import type { InferenceScheduler, Signal } from "../src/inference/scheduler.ts"
import { Database, layer as layerDatabase } from "../src/store/database.ts"
import { Journal } from "../src/store/journal.ts"
import { layer as layerJournal } from "../src/store/journal-postgres.ts"
import { answerText } from "./counterpart.ts"
import { atMost, type Figure, print, quantile, tableOf } from "./figures.ts"
import { nowMs } from "./load.ts"
import { printPlace } from "./place.ts"
import { openFolder, openPostgres } from "./world.ts"

const { short } = parseArgs({ options: { short: { type: "boolean", default: false } } }).values
const repetitions = short ? 1 : 5
const count = short ? 1_000 : 10_000
const together = 500
const woken = short ? 100 : 1_000

setFlagsFromString("--expose-gc")
const collect = runInNewContext("gc") as () => void

const options: ConversationOptions = {
  policy: "collect",
  settleMs: 0,
  turnMaxMs: 300_000,
  mailboxMax: 64,
  systemPrompt: "You are a helpful assistant.",
  answerTokensMax: 512,
  sampling: { temperature: 0.7 }
}

const scheduler: InferenceScheduler["Service"] = {
  infer: ({ firstAttempt: attempt }) =>
    Stream.fromArray<Signal>([
      { type: "started", attempt },
      { type: "text", attempt, text: answerText },
      { type: "finished", attempt, reason: "stop", usage: { promptTokens: 32, answerTokens: 32 } }
    ]),
  waitOf: () => Effect.undefined,
  stats: Effect.die("nobody asks")
}

interface Store {
  readonly database: Database["Service"]
  readonly journal: Journal["Service"]
  /** Since it was last set. */
  reads: number
  /** When the newest entry was given to the journal. */
  committedMs: number
}

async function openStore(url: string, scope: Scope.Scope): Promise<Store> {
  const limits = { readersMax: 8, connectMaxMs: 5_000, statementMaxMs: 30_000 }
  const opened = layerDatabase({ url: Redacted.make(url), ...limits }, "strict")
  const counting = Layer.effect(
    Database,
    Effect.map(Database, (database) => ({
      ...database,
      read: (statement) => {
        store.reads++
        return database.read(statement)
      }
    }))
  ).pipe(Layer.provide(opened))
  const layers = layerJournal({ owner: "c".repeat(32), limits: { batchMax: 256, queueMax: 20_000 } }).pipe(
    Layer.provideMerge(counting)
  )
  const context = await Effect.runPromise(Effect.provideService(Layer.build(layers), Scope.Scope, scope))
  const journal = Context.get(context, Journal)
  const commit: typeof journal.commit = (entry) => {
    if (entry.event.type === "user.message") store.committedMs = nowMs()
    return journal.commit(entry)
  }
  const store: Store = {
    database: Context.get(context, Database),
    journal: { ...journal, commit },
    reads: 0,
    committedMs: 0
  }
  return store
}

async function registry({ journal }: Store, scope: Scope.Scope): Promise<Conversations> {
  const making = makeConversations({
    behaviourOf: (id) => conversationBehaviour(id, options, { journal, scheduler, show: () => {} }),
    journal,
    deliver: () => {},
    mayOwe: () => {},
    liveMax: 50_000,
    idleMs: 3_600_000,
    intensity: { restartsMax: 0, withinMs: 60_000, delayMinMs: 100, delayMaxMs: 100 }
  })
  return Effect.runPromise(Effect.provideService(making, Scope.Scope, scope))
}

/** Has each of the conversations asked once, and waits until all are answered. */
async function turnEach({ journal }: Store, conversations: Conversations, names: ReadonlyArray<string>, n: number) {
  const ask = (thread: string) => {
    const inbound = {
      channel: "webhook",
      account: "bench",
      eventKey: `evt_${thread}_${n}`,
      thread,
      user: { id: `u-${thread}` }
    }
    const text = "How do I bring a washing machine to the second floor without taking it apart?"
    return journal.accept({ ...inbound, text }, ({ conversation, position }) =>
      conversations.ring({ conversation, position, eventKey: inbound.eventKey, user: inbound.user, text })
    )
  }
  for (let first = 0; first < names.length; first += together) {
    const some = names.slice(first, first + together)
    await Effect.runPromise(Effect.forEach(some, ask, { concurrency: 128, discard: true }))
    while (conversations.busy() > 0) await wait(5)
  }
}

async function heapBytes(): Promise<number> {
  for (let times = 0; times < 3; times++) {
    collect()
    await wait(20)
  }
  return process.memoryUsage().heapUsed
}

async function within<A>(work: (scope: Scope.Scope) => Promise<A>): Promise<A> {
  const scope = Scope.makeUnsafe()
  try {
    return await work(scope)
  } finally {
    await Effect.runPromise(Scope.close(scope, Exit.void))
  }
}

const namesOf = (prefix: string, length: number) => Array.from({ length }, (_, index) => `${prefix}-${index}`)

async function weigh(store: Store, prefix: string): Promise<number> {
  const names = namesOf(prefix, count)
  return within(async (scope) => {
    const conversations = await registry(store, scope)
    const before = await heapBytes()
    await turnEach(store, conversations, names, 1)
    if (conversations.live() !== count) throw new Error(`${conversations.live()} are live`)
    return ((await heapBytes()) - before) / count / 1000
  })
}

async function weighFloor(): Promise<number> {
  return within(async (scope) => {
    const before = await heapBytes()
    for (let made = 0; made < count; made++) {
      const queue = Effect.runSync(Queue.bounded<number>(64))
      await Effect.runPromise(Effect.provideService(Effect.forkScoped(Queue.take(queue)), Scope.Scope, scope))
    }
    return ((await heapBytes()) - before) / count / 1000
  })
}

interface Waking {
  readonly reads: number
  readonly p50: number
  readonly p99: number
}

/** One after the other; all that is left of each is its row. */
async function wake(store: Store, prefix: string): Promise<Waking> {
  const took: Array<number> = []
  let reads = 0
  await within(async (scope) => {
    const conversations = await registry(store, scope)
    for (const name of namesOf(prefix, woken)) {
      const id = `webhook/bench/${name}`
      const inbound = {
        channel: "webhook",
        account: "bench",
        eventKey: `evt_${name}_2`,
        thread: name,
        user: { id: "u" }
      }
      const { position } = await Effect.runPromise(store.journal.accept({ ...inbound, text: "And then?" }, () => {}))
      store.reads = store.committedMs = 0
      const startMs = nowMs()
      conversations.ring({
        conversation: id,
        position,
        eventKey: inbound.eventKey,
        user: inbound.user,
        text: "And then?"
      })
      while (store.committedMs === 0) await new Promise(setImmediate)
      took.push(store.committedMs - startMs)
      reads += store.reads
      while (conversations.busy() > 0) await new Promise(setImmediate)
    }
  })
  return { reads: reads / woken, p50: quantile(took, 0.5), p99: quantile(took, 0.99) }
}

async function readFloor({ database }: Store): Promise<number> {
  const took: Array<number> = []
  for (let times = 0; times < woken; times++) {
    const startMs = nowMs()
    await Effect.runPromise(database.read({ name: "floor", text: "select $1::text as id", values: [`c-${times}`] }))
    took.push(nowMs() - startMs)
  }
  return quantile(took, 0.5)
}

async function main(): Promise<void> {
  using folder = openFolder()
  await using postgres = await openPostgres(folder.path)
  await printPlace(`memory: ${repetitions} repetitions with ${count} conversations`, postgres.url)
  const seen = { heap: [], heapFloor: [], reads: [], p50: [], p99: [], readFloor: [] } as Record<string, Array<number>>
  await within(async (scope) => {
    const store = await openStore(postgres.url, scope)
    await weigh(store, "warm-up")
    await weighFloor()
    for (let repetition = 1; repetition <= repetitions; repetition++) {
      seen["heap"]!.push(await weigh(store, `m${repetition}`))
      seen["heapFloor"]!.push(await weighFloor())
      const { p50, p99, reads } = await wake(store, `m${repetition}`)
      seen["reads"]!.push(reads)
      seen["p50"]!.push(p50)
      seen["p99"]!.push(p99)
      seen["readFloor"]!.push(await readFloor(store))
    }
  })
  const lines: ReadonlyArray<Figure> = [
    {
      name: "heap of a live conversation (floor: a fiber and a queue)",
      unit: "kB",
      values: seen["heap"]!,
      floor: seen["heapFloor"]!,
      target: atMost(12)
    },
    { name: "reads to wake a sleeping one", unit: "", values: seen["reads"]!, target: atMost(1) },
    {
      name: "time to wake it, p50 (floor: the least read)",
      unit: "ms",
      values: seen["p50"]!,
      floor: seen["readFloor"]!,
      target: atMost(5)
    },
    { name: "time to wake it, p99", unit: "ms", values: seen["p99"]!, target: atMost(5) }
  ]
  print(tableOf(lines))
}

await main()
