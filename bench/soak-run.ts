/**
 * A Parley that is at work for long, with its own PostgreSQL: turns at a steady rate, in conversations that come, have
 * a few turns, and go to sleep; and what it has of everything, again and again.
 */
import { join } from "node:path"
import { setTimeout as wait } from "node:timers/promises"
import { Effect } from "effect"
import { peek } from "../src/store/embedded-peek.ts"
import { type Counterparts, openCounterparts } from "./counterpart.ts"
import { instrumentFlags, liveHeapOf } from "./instrument.ts"
import { LeanClient } from "./lean-http.ts"
import { arrivals, type Message, nowMs, requestOf, sendAtTheirTimes } from "./load.ts"
import { query } from "./place.ts"
import { residentMbOf } from "./process-stat.ts"
import { counterpartsConfig, openFolder, type Parley, startParley } from "./world.ts"

export interface SoakOptions {
  readonly perSecond: number
  readonly warmUpSeconds: number
  readonly seconds: number
  /** What a conversation has before it is heard of no more. */
  readonly turnsEach: number
  readonly told?: (sample: Sample) => void
}

/** While it works. */
export interface Sample {
  readonly atSeconds: number
  readonly residentMb: number
  readonly openFiles: number
  readonly handles: number
  readonly liveConversations: number
  /** Of all tables, as PostgreSQL counts them. */
  readonly deadRows: number
  readonly liveRows: number
}

/** When everything that was sent is answered, and what is idle is put away. */
export interface Rest {
  readonly heapMb: number
  readonly externalMb: number
  readonly openFiles: number
  readonly handles: number
}

export interface Soaked {
  readonly turns: number
  readonly accepted: number
  readonly answered: number
  readonly warm: Rest
  readonly end: Rest
  /** From the end of the warm-up on. */
  readonly samples: ReadonlyArray<Sample>
  /** Rows that a VACUUM after the end could not remove: somebody may still see them. */
  readonly unremovable: number
  /** The longest time that a transaction of Parley's was open, in seconds, when it was looked. */
  readonly transactionSeconds: number
}

interface Soak {
  readonly options: SoakOptions
  readonly parley: Parley
  readonly counterparts: Counterparts
  readonly client: LeanClient
  readonly url: string
  next: number
  transactionSeconds: number
}

/** A signature is good for five minutes, so no more than this is signed beforehand. */
const segmentSeconds = 15
const idleMs = 5_000
/** Idle connections are closed by their pools within this. */
const restMaxMs = 120_000
const vacuumsMax = 30

export async function soak(options: SoakOptions): Promise<Soaked> {
  using folder = openFolder()
  using counterparts = await openCounterparts()
  const config = counterpartsConfig(counterparts.modelPort, counterparts.callbackPort)
  const home = join(folder.path, "parley")
  await using parley = await startParley({
    folder: home,
    config: `${config}limits: { idleMs: ${idleMs} }\n`,
    nodeFlags: instrumentFlags
  })
  const { cluster } = await Effect.runPromise(peek(join(home, ".parley")))
  if (cluster.state !== "running") throw new Error(`the database is ${cluster.state}`)
  const client = await LeanClient.open(parley.port, 16)
  const run: Soak = { options, parley, counterparts, client, url: cluster.url, next: 0, transactionSeconds: 0 }
  await work(run, options.warmUpSeconds)
  const warm = await atRest(run)
  const samples = await work(run, options.seconds)
  const end = await atRest(run)
  const unremovable = await vacuumed(cluster.url)
  const { accepted = 0, answered = 0 } = await metricsOf(parley)
  client.close()
  const { next: turns, transactionSeconds } = run
  return { turns, accepted, answered, warm, end, samples, unremovable, transactionSeconds }
}

async function work(run: Soak, seconds: number): Promise<ReadonlyArray<Sample>> {
  const { client, counterparts, options } = run
  const samples: Array<Sample> = []
  for (let done = 0; done < seconds; done += segmentSeconds) {
    const count = Math.round(Math.min(segmentSeconds, seconds - done) * options.perSecond)
    const messages = Array.from({ length: count }, () => messageOf(run.next++, options))
    await counterparts.seen(true)
    await sendAtTheirTimes(client, messages.map(requestOf), arrivals(`soak-${run.next}`, options.perSecond, count))
    const sample = await sampleOf(run, done + segmentSeconds)
    samples.push(sample)
    options.told?.(sample)
  }
  return samples
}

/** As many conversations at a time as there are turns in two seconds; each has its turns and is followed by another. */
function messageOf(number: number, { perSecond, turnsEach }: SoakOptions): Message {
  const together = 2 * perSecond
  const generation = Math.floor(number / (together * turnsEach))
  return { number, thread: `g${generation}-${number % together}` }
}

interface Counts {
  readonly pending: number
  readonly due: number
  readonly live: number
  readonly openFiles: number
  readonly handles: number
  readonly accepted: number
  readonly answered: number
}

async function metricsOf({ port }: Parley): Promise<Counts> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  const sum = (name: string) =>
    [...text.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, "gm"))].reduce(
      (all, [, value]) => all + Number(value),
      0
    )
  return {
    pending: sum("parley_events_pending"),
    due: sum("parley_outbox_due"),
    live: sum("parley_conversations_live"),
    openFiles: sum("process_open_fds"),
    handles: sum("parley_active_resources"),
    accepted: sum("parley_events_accepted_total"),
    answered: sum("parley_events_answered_total")
  }
}

async function sampleOf(run: Soak, atSeconds: number): Promise<Sample> {
  const { parley, url } = run
  const { handles, live, openFiles } = await metricsOf(parley)
  const [rows] = await query(
    url,
    "select sum(n_dead_tup)::float8 as dead, sum(n_live_tup)::float8 as live from pg_stat_user_tables"
  )
  const [open] = await query(
    url,
    `select coalesce(max(extract(epoch from now() - xact_start)), 0)::float8 as seconds from pg_stat_activity
      where application_name like 'parley%' and xact_start is not null`
  )
  run.transactionSeconds = Math.max(run.transactionSeconds, Number(open?.["seconds"]))
  return {
    atSeconds,
    residentMb: residentMbOf(parley.pid).all,
    openFiles,
    handles,
    liveConversations: live,
    deadRows: Number(rows?.["dead"]),
    liveRows: Number(rows?.["live"])
  }
}

/** Waits until all is answered and delivered, conversations sleep, and pools have closed what they do not use. */
async function atRest({ parley }: Soak): Promise<Rest> {
  const giveUpMs = nowMs() + restMaxMs
  let last = await metricsOf(parley)
  for (let sameFor = 0; sameFor < 5; ) {
    await wait(2_000)
    const now = await metricsOf(parley)
    const isQuiet = now.pending + now.due + now.live === 0 && now.openFiles >= last.openFiles
    sameFor = isQuiet && now.openFiles === last.openFiles ? sameFor + 1 : 0
    last = now
    if (nowMs() > giveUpMs) break
  }
  if (last.pending + last.due > 0) throw new Error(`${last.pending} events and ${last.due} replies are left`)
  const { external, heap } = await liveHeapOf(parley.child)
  return { heapMb: heap / 1e6, externalMb: external / 1e6, openFiles: last.openFiles, handles: last.handles }
}

/** Somebody else's snapshot, such as autovacuum's own, holds rows back for a moment; a leaked one for ever. */
async function vacuumed(url: string): Promise<number> {
  for (let times = 0; ; times++) {
    await query(url, "vacuum")
    // Its figures are there once its backend has ended.
    await wait(1_000)
    const [row] = await query(url, "select sum(n_dead_tup)::float8 as dead from pg_stat_user_tables")
    const dead = Number(row?.["dead"])
    if (dead === 0 || times === vacuumsMax) return dead
  }
}
