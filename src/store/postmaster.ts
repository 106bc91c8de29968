/**
 * One running PostgreSQL server: how it comes to be, how one sees that it is dead, how it is stopped.
 *
 * It is started as the leader of its own session, so Ctrl-C in a terminal reaches only Parley, and so that it
 * outlives a Parley that is killed. Of a server that an earlier Parley started no exit event comes: it is asked
 * instead.
 */
import { spawn } from "node:child_process"
import { closeSync, openSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Cluster } from "./cluster.ts"
import { DatabaseTrouble, inWords } from "./database-trouble.ts"
import type { Binaries } from "./embedded-binaries.ts"
import { plainEnv } from "./initdb.ts"
import { type Address, connect, type NoSession, query } from "./loopback.ts"
import { identify, isRunning, kill, type ProcessIdentity, processesIn, workingDirectory } from "./process-identity.ts"
import { lastWords, logSize, trimLog } from "./server-log.ts"
import { settings } from "./server-settings.ts"

export interface Postmaster {
  readonly process: ProcessIdentity
  readonly address: Address
  /** Why it ended; it never completes for one that was adopted. */
  readonly exited: Deferred.Deferred<string>
}

/** How often a server that is coming up is asked; it takes some 50 ms. */
const readyPollMs = 20
/** Recovery after a crash replays at most `max_wal_size` twice over. */
const readyMaxMs = 120_000
/** After a kill -9 of the server its children linger, and hold the shared memory, until they notice. */
const lingerMaxMs = 10_000
const lingerPollMs = 200
/** A server found running that does not answer: it may be stopping, or still starting. */
const silentMaxMs = 15_000
const probeEveryMs = 1_000
const failuresMax = 3
/** A fast shutdown writes a checkpoint: at most 64 MB of buffers. */
const fastStopMaxMs = 5_000
const immediateStopMaxMs = 2_000
const killMaxMs = 1_000

const cannotConnectNow = "57P03"
const noSuchDatabase = "3D000"
const wrongPassword = "28P01"

/** The server that already runs on the cluster; undefined when none does. */
export const adopt = Effect.fn("Postmaster.adopt")(function* (cluster: Cluster) {
  const sinceMs = yield* Clock.currentTimeMillis
  while (true) {
    const found = runningOn(cluster)
    if (found === undefined) return undefined
    const { address } = found
    const answer = yield* Effect.result(ask(address, cluster))
    if (Result.isSuccess(answer))
      return answer.success ? { ...found, exited: Deferred.makeUnsafe<string>() } : undefined
    const patienceMs = answer.failure.sqlState === cannotConnectNow ? readyMaxMs : silentMaxMs
    if ((yield* Clock.currentTimeMillis) - sinceMs > patienceMs)
      return yield* silent(found.process.pid, cluster, answer.failure)
    yield* Effect.sleep(lingerPollMs)
  }
})

/**
 * Starts the server and waits until it takes connections. `onSpawn` is called at once, so that whoever is interrupted
 * meanwhile knows whom to stop. A server that ends because of what an earlier one left is started again for a while.
 */
export const start = Effect.fn("Postmaster.start")(function* (
  cluster: Cluster,
  binaries: Binaries,
  port: Effect.Effect<number>,
  onSpawn: (started: Postmaster) => void
) {
  const sinceMs = yield* Clock.currentTimeMillis
  while (true) {
    const address = { port: yield* port, password: cluster.password }
    const logFrom = logSize(cluster.log)
    const started = yield* Effect.try({
      try: () => launch(cluster, binaries, address, onSpawn),
      catch: (error) => unstartable(cluster, inWords(error))
    })
    const why = yield* untilReady(started, cluster)
    if (why === undefined) return
    const { isPassing, words } = lastWords(cluster.log, logFrom)
    const waitedMs = (yield* Clock.currentTimeMillis) - sinceMs
    if (!isPassing || waitedMs > lingerMaxMs) return yield* unstartable(cluster, words ?? why)
    yield* Effect.sleep(lingerPollMs)
  }
})

/** Completes when the server is dead: it exited, is not there any more, or does not answer. */
export const untilDead = (postmaster: Postmaster, cluster: Cluster) =>
  Effect.raceFirst(Deferred.await(postmaster.exited), untilSilent(postmaster, cluster)).pipe(Effect.asVoid)

/** Fast shutdown; a server that takes too long is made to stop, which costs its next start a recovery and no data. */
export const stop = Effect.fn("Postmaster.stop")(function* ({ process: server }: Postmaster, cluster: Cluster) {
  const steps = [
    ["SIGINT", fastStopMaxMs],
    ["SIGQUIT", immediateStopMaxMs],
    ["SIGKILL", killMaxMs]
  ] as const
  for (const [signal, patienceMs] of steps) {
    if (!isRunning(server)) return
    kill(server.pid, signal)
    for (let waitedMs = 0; waitedMs < patienceMs && isRunning(server); waitedMs += readyPollMs)
      yield* Effect.sleep(readyPollMs)
  }
  // Its children hang as it did, and hold the shared memory.
  for (const pid of processesIn(cluster.data)) kill(pid)
})

/** postmaster.pid, as src/include/utils/pidfile.h of PostgreSQL describes it: pid, directory, start, port, … */
function runningOn(cluster: Cluster): Omit<Postmaster, "exited"> | undefined {
  const path = join(cluster.data, "postmaster.pid")
  let lines: ReadonlyArray<string>
  try {
    lines = readFileSync(path, "utf8").split("\n")
  } catch {
    return undefined
  }
  const found = identify(Number(lines[0]))
  if (found === undefined) return undefined
  // A server works in its data directory. Where the system does not tell, we have to believe its pid file.
  if ((workingDirectory(found.pid) ?? cluster.data) === cluster.data) {
    return { process: found, address: { port: Number(lines[3]), password: cluster.password } }
  }
  // Somebody else was given the pid since, as happens after a reboot and in every container. PostgreSQL would take
  // that one for a server and refuse to start; the shared memory still tells it of a real one.
  rmSync(path, { force: true })
  return undefined
}

/** Whether the server at the address, which knows our password, serves this cluster. A copy of it knows it as well. */
const ask = (address: Address, cluster: Cluster) =>
  withDatabase(
    address,
    Effect.scoped(Effect.flatMap(connect(address), (client) => query(client, "show data_directory")))
  ).pipe(Effect.map((row) => row?.["data_directory"] === cluster.data))

/** Makes the database where it is missing: its making is not part of the cluster's. */
const withDatabase = <A>(address: Address, use: Effect.Effect<A, NoSession>): Effect.Effect<A, NoSession> =>
  Effect.catchIf(
    use,
    ({ sqlState }) => sqlState === noSuchDatabase,
    () =>
      connect(address, "postgres").pipe(
        Effect.flatMap((client) => query(client, "create database parley")),
        Effect.scoped,
        Effect.andThen(use)
      )
  )

type Launched = Omit<Postmaster, "process">

function launch(
  { data, home, log }: Cluster,
  { postgres }: Binaries,
  address: Address,
  onSpawn: (started: Postmaster) => void
): Launched {
  const named = Object.entries({ ...settings, port: address.port })
  const options = named.flatMap(([name, value]) => ["-c", `${name}=${value}`])
  const output = openSync(log, "a", 0o600)
  try {
    const child = spawn(postgres, ["-D", data, ...options], {
      cwd: data,
      env: plainEnv,
      detached: true,
      stdio: ["ignore", output, output],
      ...home.account
    })
    child.unref()
    const exited = Deferred.makeUnsafe<string>()
    child.on("error", (error) => Deferred.doneUnsafe(exited, Effect.succeed(error.message)))
    child.on("exit", (code, signal) => Deferred.doneUnsafe(exited, Effect.succeed(`it ended with ${signal ?? code}`)))
    // Without a pid it could not be executed, and "error" says why.
    const process = child.pid === undefined ? undefined : identify(child.pid)
    if (process !== undefined) onSpawn({ process, address, exited })
    return { address, exited }
  } finally {
    closeSync(output)
  }
}

/** Undefined once it takes connections; else why it ended. */
const untilReady = Effect.fnUntraced(function* ({ address, exited }: Launched, cluster: Cluster) {
  const sinceMs = yield* Clock.currentTimeMillis
  while (true) {
    if (Deferred.isDoneUnsafe(exited)) return yield* Deferred.await(exited)
    const answer = yield* Effect.result(ask(address, cluster))
    if (Result.isSuccess(answer) && answer.success) return undefined
    if ((yield* Clock.currentTimeMillis) - sinceMs > readyMaxMs) return yield* unstartable(cluster, "it never came up")
    yield* Effect.sleep(readyPollMs)
  }
})

/** One session is asked again and again; when it is lost, new ones are tried. */
const untilSilent = Effect.fnUntraced(function* ({ address, process: server }: Postmaster, cluster: Cluster) {
  let failures = 0
  const answered = Effect.sync(() => {
    failures = 0
    trimLog(cluster.log)
  })
  const probe = (client: Effect.Success<ReturnType<typeof connect>>) =>
    Effect.forever(Effect.andThen(Effect.andThen(query(client, "select 1"), answered), Effect.sleep(probeEveryMs)))
  while (failures < failuresMax && isRunning(server)) {
    const { sqlState } = yield* connect(address).pipe(Effect.flatMap(probe), Effect.scoped, Effect.flip)
    // A refusal, such as "too many clients" or "in recovery", is an answer too.
    failures = sqlState === undefined || sqlState === wrongPassword ? failures + 1 : 0
    if (isRunning(server)) yield* Effect.sleep(probeEveryMs)
  }
})

function unstartable({ data, log }: Cluster, why: string) {
  return new DatabaseTrouble({
    reason: `PostgreSQL did not start in ${data}: ${why}. What it said is in ${log}.`
  })
}

function silent(pid: number, { data }: Cluster, { message }: NoSession) {
  return new DatabaseTrouble({
    reason:
      `A PostgreSQL (pid ${pid}) runs in ${data} and does not let Parley in (${message}). ` +
      `Stop it (kill -INT ${pid}) and start Parley again.`
  })
}
