/**
 * Whole turns: what one costs, how many there are a second, and how long a person waits for the model to be asked.
 *
 *   node bench/turns.ts [--short] [--deltas N]
 *
 * A turn is one event from its 202 to the 2xx of its callback, in one of 500 conversations that have had some turns
 * before. The client, the model, the callback server and PostgreSQL run beside Parley on the same cores. The floor of
 * the throughput are transactions that insert one row of a message's size: 16 connections, each waiting for its flush.
 */
import { join } from "node:path"
import { setTimeout as wait } from "node:timers/promises"
import { parseArgs } from "node:util"
import pg from "pg"
import { type Counterparts, openCounterparts } from "./counterpart.ts"
import { atLeast, atMost, type Figure, print, quantile, tableOf } from "./figures.ts"
import { instrumentFlags, loopDelayDuring } from "./instrument.ts"
import { LeanClient } from "./lean-http.ts"
import { arrivals, type Message, messagesOf, nowMs, requestOf, sendAll, sendAtTheirTimes } from "./load.ts"
import { printPlace, query } from "./place.ts"
import { cpuMsOf, familyCpuMsOf, residentMbOf } from "./process-stat.ts"
import { counterpartsConfig, openFolder, openPostgres, type Parley, type Postgres, startParley } from "./world.ts"

const { deltas, short } = parseArgs({
  options: { short: { type: "boolean", default: false }, deltas: { type: "string", default: "8" } }
}).values
const repetitions = short ? 1 : 5
const seconds = short ? 3 : 10
const conversations = 500
const perSecond = 200
const inFlight = 128
const floorConnections = 16

const seen = {
  parleyMs: [] as Array<number>,
  postgresMs: [] as Array<number>,
  entries: [] as Array<number>,
  askedP50: [] as Array<number>,
  askedP99: [] as Array<number>,
  askedDueP99: [] as Array<number>,
  acceptP50: [] as Array<number>,
  acceptP99: [] as Array<number>,
  latenessP99: [] as Array<number>,
  loopP99: [] as Array<number>,
  loopMost: [] as Array<number>,
  throughput: [] as Array<number>,
  fullParleyMs: [] as Array<number>,
  fullPostgresMs: [] as Array<number>,
  inserts: [] as Array<number>,
  rssMb: [] as Array<number>,
  ownMb: [] as Array<number>
}

interface Bench {
  readonly parley: Parley
  readonly postgres: Postgres
  readonly counterparts: Counterparts
  readonly client: LeanClient
  /** Numbers the messages of all phases. */
  next: number
}

async function delivered({ counterparts }: Bench, count: number): Promise<void> {
  const giveUpMs = nowMs() + 30_000
  for (;;) {
    const { delivered } = await counterparts.seen()
    if (delivered >= count) return
    if (nowMs() > giveUpMs) throw new Error(`${delivered} of ${count} replies came`)
    await wait(20)
  }
}

function take(bench: Bench, name: string, count: number): ReadonlyArray<Message> {
  const messages = messagesOf(name, count, conversations, bench.next)
  bench.next += count
  return messages
}

async function warmUp(bench: Bench, name: string): Promise<void> {
  await bench.counterparts.seen(true)
  await sendAll(bench.client, take(bench, name, conversations).map(requestOf), 32)
  await delivered(bench, conversations)
}

async function entriesOf({ url }: Postgres): Promise<number> {
  const [row] = await query(
    url,
    `select (select count(*) from inbound) + (select count(*) from event) + (select count(*) from attempt)
      + (select count(*) from attempt where result is not null) as entries`
  )
  return Number(row?.["entries"])
}

/** At a steady rate, from strangers. */
async function paced(bench: Bench, name: string, seed: string): Promise<void> {
  const { client, counterparts, parley, postgres } = bench
  const count = perSecond * seconds
  const messages = take(bench, name, count)
  const requests = messages.map(requestOf)
  await counterparts.seen(true)
  const entries = await entriesOf(postgres)
  const before = { parley: cpuMsOf(parley.pid), postgres: familyCpuMsOf(postgres.pid) }
  const sent = await sendAtTheirTimes(client, requests, arrivals(seed, perSecond, count))
  await delivered(bench, count)
  seen.parleyMs.push((cpuMsOf(parley.pid) - before.parley) / count)
  seen.postgresMs.push((familyCpuMsOf(postgres.pid) - before.postgres) / count)
  seen.entries.push(((await entriesOf(postgres)) - entries) / count)
  const { askedMs } = await counterparts.seen(true)
  const sinceAccepted: Array<number> = []
  const sinceDue: Array<number> = []
  for (const [index, { number }] of messages.entries()) {
    const at = askedMs.get(number)
    if (at === undefined) continue // it was collected with the one after it
    sinceAccepted.push(Math.max(0, at - sent.acceptedMs[index]!))
    sinceDue.push(at - sent.dueMs[index]!)
  }
  seen.askedP50.push(quantile(sinceAccepted, 0.5))
  seen.askedP99.push(quantile(sinceAccepted, 0.99))
  seen.askedDueP99.push(quantile(sinceDue, 0.99))
  seen.acceptP50.push(quantile(sent.latencyMs, 0.5))
  seen.acceptP99.push(quantile(sent.latencyMs, 0.99))
  seen.latenessP99.push(quantile(sent.latenessMs, 0.99))
}

async function watched(bench: Bench, name: string, seed: string): Promise<void> {
  const { child } = bench.parley
  const idle = await loopDelayDuring(child, () => wait(2_000))
  const count = (perSecond * seconds) / 2
  const requests = take(bench, name, count).map(requestOf)
  await bench.counterparts.seen(true)
  const busy = await loopDelayDuring(child, () =>
    sendAtTheirTimes(bench.client, requests, arrivals(seed, perSecond, count))
  )
  await delivered(bench, count)
  seen.loopP99.push(busy.p99Ms - idle.p99Ms)
  seen.loopMost.push(busy.mostMs)
}

/** As fast as it goes: whoever is answered makes room for the one who has waited longest. */
async function closedLoop(bench: Bench, name: string): Promise<void> {
  const { client, counterparts, parley, postgres } = bench
  const supply = new Map<string, Array<Buffer>>()
  for (const message of take(bench, name, conversations * 12)) {
    const requests = supply.get(message.thread) ?? []
    requests.push(requestOf(message))
    supply.set(message.thread, requests)
  }
  const resting = [...supply.keys()]
  let turns = 0
  let isOver = false
  const send = (thread: string) => {
    const request = supply.get(thread)?.pop() ?? requestOf({ number: bench.next++, thread })
    client.send(request, (status) => {
      if (status !== 202) throw new Error(`a message was answered ${status}`)
    })
  }
  counterparts.onDelivered((threads) => {
    for (const thread of threads) {
      turns++
      resting.push(thread)
      if (!isOver) send(resting.shift()!)
    }
  })
  for (let count = 0; count < inFlight; count++) send(resting.shift()!)
  await wait(1_000)
  const before = { turns, atMs: nowMs(), parley: cpuMsOf(parley.pid), postgres: familyCpuMsOf(postgres.pid) }
  await wait(seconds * 1_000)
  const count = turns - before.turns
  seen.throughput.push((count * 1_000) / (nowMs() - before.atMs))
  seen.fullParleyMs.push((cpuMsOf(parley.pid) - before.parley) / count)
  seen.fullPostgresMs.push((familyCpuMsOf(postgres.pid) - before.postgres) / count)
  isOver = true
  while (resting.length < conversations) await wait(20)
  counterparts.onDelivered(undefined)
}

async function inserts({ url }: Postgres): Promise<void> {
  await query(
    url,
    "create table if not exists floor_turns (id bigint generated always as identity primary key, text text)"
  )
  const text = "x".repeat(300)
  const untilMs = nowMs() + (seconds * 1_000) / 2
  const one = async () => {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    let count = 0
    for (; nowMs() < untilMs; count++) {
      await client.query({ name: "insert", text: "insert into floor_turns (text) values ($1)", values: [text] })
    }
    await client.end()
    return count
  }
  const startMs = nowMs()
  const counts = await Promise.all(Array.from({ length: floorConnections }, one))
  seen.inserts.push((counts.reduce((sum, count) => sum + count, 0) * 1_000) / (nowMs() - startMs))
}

function figures(): ReadonlyArray<Figure> {
  const line = (name: string, unit: string, values: ReadonlyArray<number>, more: Partial<Figure> = {}): Figure => ({
    name,
    unit,
    values,
    ...more
  })
  const at = `at ${perSecond} turns/s`
  return [
    line(`Parley's CPU a turn, ${at}`, "ms", seen.parleyMs, { target: atMost(1.5) }),
    line(`PostgreSQL's CPU a turn, ${at}`, "ms", seen.postgresMs, { target: atMost(0.5) }),
    line("journal entries a turn", "", seen.entries, { target: atMost(5) }),
    line(`202 to model request, p50, ${at}`, "ms", seen.askedP50),
    line(`202 to model request, p99, ${at}`, "ms", seen.askedP99, { target: atMost(50) }),
    line(`due to model request, p99, ${at}`, "ms", seen.askedDueP99),
    line(`due to 202, p50, ${at}`, "ms", seen.acceptP50),
    line(`due to 202, p99, ${at}`, "ms", seen.acceptP99),
    line("of it the client's own lateness, p99", "ms", seen.latenessP99),
    line(`event loop delay less idle, p99, ${at}`, "ms", seen.loopP99, { target: atMost(10) }),
    line("event loop delay, most", "ms", seen.loopMost),
    line(`turns/s, ${inFlight} in flight (floor: raw inserts/s)`, "/s", seen.throughput, {
      target: atLeast(400),
      floor: seen.inserts
    }),
    line("Parley's CPU a turn, flat out", "ms", seen.fullParleyMs),
    line("PostgreSQL's CPU a turn, flat out", "ms", seen.fullPostgresMs),
    line("resident memory after it", "MB", seen.rssMb, { target: atMost(150) }),
    line("of it without pages of files, such as of node itself", "MB", seen.ownMb)
  ]
}

async function main(): Promise<void> {
  using folder = openFolder()
  await using postgres = await openPostgres(folder.path)
  using counterparts = await openCounterparts(Number(deltas))
  await using parley = await startParley({
    folder: join(folder.path, "parley"),
    config: counterpartsConfig(counterparts.modelPort, counterparts.callbackPort),
    databaseUrl: postgres.url,
    nodeFlags: instrumentFlags
  })
  const client = await LeanClient.open(parley.port, 64)
  const bench: Bench = { parley, postgres, counterparts, client, next: 1 }
  await printPlace(`turns: ${repetitions} repetitions of ${seconds} s, answers in ${deltas} deltas`, postgres.url)
  for (let repetition = 1; repetition <= repetitions; repetition++) {
    const name = `c${repetition}`
    await warmUp(bench, name)
    await paced(bench, name, name)
    await watched(bench, name, name)
    await closedLoop(bench, name)
    const { all, own } = residentMbOf(parley.pid)
    seen.rssMb.push(all)
    seen.ownMb.push(own)
    await inserts(postgres)
  }
  client.close()
  print(tableOf(figures()))
}

await main()
