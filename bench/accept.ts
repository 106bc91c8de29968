/**
 * How long an accept takes: from when a request is due until its 202, which says that its event is on disk.
 *
 *   node bench/accept.ts [--short]
 *
 * The floor is floor-accept.ts, on the same database, with the same requests at the same times. While Parley accepts it
 * also answers, which writes four times a turn: meanwhile background-turns.ts writes the same to another database of
 * the same server, at the same rate. That both did the same is shown as bytes of WAL and flushes a message. Parley is
 * stopped (SIGSTOP) while the floor is measured.
 */
import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { setTimeout as wait } from "node:timers/promises"
import { parseArgs } from "node:util"
import type { Told } from "./background-turns.ts"
import { type Counterparts, openCounterparts } from "./counterpart.ts"
import { type Figure, print, quantile, ratioAtMost, tableOf } from "./figures.ts"
import { LeanClient } from "./lean-http.ts"
import { arrivals, messagesOf, nowMs, requestOf, type Sent, secret, sendAll, sendAtTheirTimes } from "./load.ts"
import { printPlace, query } from "./place.ts"
import { counterpartsConfig, openFolder, openPostgres, type Parley, startParley } from "./world.ts"

const { short } = parseArgs({ options: { short: { type: "boolean", default: false } } }).values
const repetitions = short ? 1 : 5
const seconds = short ? 3 : 10
const rates = [50, 500]
const conversations = 500
const connections = 64
/** Statistics of PostgreSQL are a second old. */
const statisticsMs = 1_100

interface Side {
  readonly p50: Array<number>
  readonly p99: Array<number>
  readonly lateness: Array<number>
  readonly walBytes: Array<number>
  readonly flushes: Array<number>
}

const side = (): Side => ({ p50: [], p99: [], lateness: [], walBytes: [], flushes: [] })

interface Bench {
  readonly url: string
  readonly parley: Parley
  readonly counterparts: Counterparts
  readonly background: ChildProcess
  readonly toParley: LeanClient
  readonly toFloor: LeanClient
  next: number
}

async function written(url: string): Promise<{ readonly walBytes: number; readonly flushes: number }> {
  await wait(statisticsMs)
  const [row] = await query(
    url,
    `select pg_current_wal_lsn() - '0/0' as bytes, (select sum(fsyncs) from pg_stat_io where object = 'wal') as flushes`
  )
  return { walBytes: Number(row?.["bytes"]), flushes: Number(row?.["flushes"]) }
}

async function measured(bench: Bench, seen: Side, count: number, send: () => Promise<Sent>): Promise<void> {
  const before = await written(bench.url)
  const { latencyMs, latenessMs } = await send()
  const after = await written(bench.url)
  seen.p50.push(quantile(latencyMs, 0.5))
  seen.p99.push(quantile(latencyMs, 0.99))
  seen.lateness.push(quantile(latenessMs, 0.99))
  seen.walBytes.push((after.walBytes - before.walBytes) / count)
  seen.flushes.push((after.flushes - before.flushes) / count)
}

async function delivered({ counterparts }: Bench, count: number): Promise<void> {
  const giveUpMs = nowMs() + 30_000
  while ((await counterparts.seen()).delivered < count) {
    if (nowMs() > giveUpMs) throw new Error("replies did not come")
    await wait(20)
  }
}

async function ofParley(bench: Bench, seen: Side, rate: number, seed: string): Promise<void> {
  const { counterparts, parley, toParley } = bench
  parley.child.kill("SIGCONT")
  await counterparts.seen(true)
  const first = messagesOf(seed, conversations, conversations, bench.next)
  await sendAll(toParley, first.map(requestOf), 32)
  await delivered(bench, conversations)
  const count = rate * seconds
  const requests = messagesOf(seed, count, conversations, bench.next + conversations).map(requestOf)
  bench.next += conversations + count
  await measured(bench, seen, count, async () => {
    const sent = await sendAtTheirTimes(toParley, requests, arrivals(seed, rate, count))
    await delivered(bench, conversations + count)
    return sent
  })
  parley.child.kill("SIGSTOP")
}

async function ofFloor(bench: Bench, seen: Side, rate: number, seed: string): Promise<void> {
  const { background, toFloor } = bench
  const count = rate * seconds
  const isReady = once(background, "message")
  background.send({ perSecond: rate, count, conversations, seed: `${seed} background` } satisfies Told)
  const requests = messagesOf(seed, count, conversations, bench.next).map(requestOf)
  bench.next += count
  await isReady
  await measured(bench, seen, count, async () => {
    const isDone = once(background, "message")
    background.send("go")
    const sent = await sendAtTheirTimes(toFloor, requests, arrivals(seed, rate, count))
    await isDone
    return sent
  })
}

function figures(rate: number, parley: Side, floor: Side): ReadonlyArray<Figure> {
  const at = `at ${rate} msg/s`
  const target = ratioAtMost(2)
  return [
    { name: `due to 202, p50, ${at}`, unit: "ms", values: parley.p50, floor: floor.p50, target },
    { name: `due to 202, p99, ${at}`, unit: "ms", values: parley.p99, floor: floor.p99, target },
    { name: `of it the client's own lateness, p99, ${at}`, unit: "ms", values: parley.lateness, floor: floor.lateness },
    { name: `WAL a message, ${at}`, unit: "bytes", values: parley.walBytes, floor: floor.walBytes },
    { name: `flushes a message, ${at}`, unit: "", values: parley.flushes, floor: floor.flushes }
  ]
}

async function main(): Promise<void> {
  using folder = openFolder()
  await using postgres = await openPostgres(folder.path)
  using stack = new DisposableStack()
  const child = (program: string, ...words: ReadonlyArray<string>) =>
    stack.adopt(fork(join(import.meta.dirname, program), words, { stdio: "inherit" }), (it) => void it.kill("SIGKILL"))
  using counterparts = await openCounterparts()
  await using parley = await startParley({
    folder: join(folder.path, "parley"),
    config: counterpartsConfig(counterparts.modelPort, counterparts.callbackPort),
    databaseUrl: postgres.url
  })
  const floorProcess = child("floor-accept.ts", postgres.url, secret)
  const [{ port }] = (await once(floorProcess, "message")) as [{ readonly port: number }]
  const background = child("background-turns.ts", await postgres.another("background"))
  await once(background, "message")
  const toParley = await LeanClient.open(parley.port, connections)
  const toFloor = await LeanClient.open(port, connections)
  const bench: Bench = { url: postgres.url, parley, counterparts, background, toParley, toFloor, next: 1 }

  await printPlace(`accept: ${repetitions} repetitions of ${seconds} s, ${conversations} conversations`, postgres.url)
  for (const rate of rates) {
    const [ofIt, floor] = [side(), side()]
    for (let repetition = 1; repetition <= repetitions; repetition++) {
      const seed = `r${rate}-${repetition}`
      const turns = [() => ofParley(bench, ofIt, rate, seed), () => ofFloor(bench, floor, rate, seed)]
      for (const turn of repetition % 2 === 1 ? turns : turns.reverse()) await turn()
    }
    print(tableOf(figures(rate, ofIt, floor)))
  }
  toParley.close()
  toFloor.close()
}

await main()
