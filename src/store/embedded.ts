/**
 * The PostgreSQL that comes with Parley: created once, started or adopted, watched, stopped with the scope.
 *
 *   lock the data directory → choose a place and an account → binaries → cluster → adopt, or start → watch
 */
import { realpathSync } from "node:fs"
import { resolve } from "node:path"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberHandle from "effect/FiberHandle"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { findOrCreate } from "./cluster.ts"
import { holdDataDir } from "./data-lock.ts"
import { DatabaseTrouble, inWords } from "./database-trouble.ts"
import { prepareBinaries } from "./embedded-binaries.ts"
import { chooseHome, dirMode, putSign } from "./embedded-home.ts"
import { choosePort, rememberPort, toUrl } from "./loopback.ts"
import { adopt, type Postmaster, start, stop, untilDead } from "./postmaster.ts"
import { isRunning } from "./process-identity.ts"

export { DatabaseTrouble } from "./database-trouble.ts"

export interface Embedded {
  /** `postgres://parley:<password>@127.0.0.1:<port>/parley`, the same after every restart. */
  readonly url: string
  /** It ran already: an earlier Parley was killed. */
  readonly adopted: boolean
  /** Completes when the server is found dead, at once if it is. */
  readonly died: Effect.Effect<void>
  /** Stops what is left of the server and starts it on the same port, so that pools find it again. */
  readonly restart: Effect.Effect<void, DatabaseTrouble>
  /** Undefined while it is dead. */
  readonly pid: Effect.Effect<number | undefined>
}

/** The first restart is at once; a server that goes on dying waits twice as long each time. */
const restartDelayMinMs = 250
const restartDelayMaxMs = 10_000
/** A server that lived this long is not one that goes on dying. */
const calmMs = 60_000

/** Opens the database of a data directory. Closing the scope stops the server, whoever started it. */
export const open = Effect.fn("Embedded.open")(function* (options: {
  readonly dataDir: string
  readonly announce: (line: string) => Effect.Effect<void>
}): Effect.fn.Return<Embedded, DatabaseTrouble, Scope.Scope> {
  const { announce } = options
  const dataDir = resolve(options.dataDir)
  yield* holdDataDir(dataDir, dirMode)
  const home = yield* chooseHome(dataDir, announce)
  if (home.base !== realpathSync(dataDir)) yield* holdDataDir(home.base, dirMode)
  const binaries = yield* prepareBinaries({ ...home, announce })
  const cluster = yield* findOrCreate(home, binaries, announce)
  yield* writing(() => putSign(dataDir, home))

  let server: Postmaster | undefined
  yield* Effect.addFinalizer(() => Effect.suspend(() => (server === undefined ? Effect.void : stop(server, cluster))))
  const seat = (spawned: Postmaster) => {
    server = spawned
  }
  const startOn = (port: Effect.Effect<number>) => start(cluster, binaries, port, seat)

  const found = yield* adopt(cluster)
  if (found === undefined) {
    yield* announce(`Starting PostgreSQL ${binaries.major} in ${cluster.data}.`)
    yield* startOn(choosePort(cluster.portFile))
  } else {
    server = found
    yield* announce(`Adopted the running PostgreSQL (pid ${found.process.pid}) in ${cluster.data}.`)
  }
  const { address } = server!
  yield* writing(() => rememberPort(cluster.portFile, address.port))

  const scope = yield* Effect.scope
  const watcher = yield* FiberHandle.make<void>()
  const oneAtATime = yield* Semaphore.make(1)
  let died = Deferred.makeUnsafe<void>()
  const tell = Effect.suspend(() => Deferred.succeed(died, undefined))
  const watch = Effect.suspend(() => FiberHandle.run(watcher, Effect.andThen(untilDead(server!, cluster), tell)))
  yield* watch

  const restart = Effect.gen(function* () {
    yield* FiberHandle.clear(watcher)
    yield* stop(server!, cluster)
    yield* Effect.onError(startOn(Effect.succeed(address.port)), () => tell)
    if (Deferred.isDoneUnsafe(died)) died = Deferred.makeUnsafe()
    yield* watch
  })
  return {
    url: toUrl(address),
    adopted: found !== undefined,
    died: Effect.suspend(() => Deferred.await(died)),
    // In our scope, for it must not start a server after the scope has stopped one.
    restart: oneAtATime.withPermits(1)(restart).pipe(Effect.forkIn(scope), Effect.flatMap(Fiber.join)),
    pid: Effect.sync(() => (isRunning(server!.process) ? server!.process.pid : undefined))
  }
})

/** Starts the server again whenever it dies, for as long as it runs; it gives up never, and says so each time. */
export const keepAlive = Effect.fn("Embedded.keepAlive")(function* (embedded: Embedded): Effect.fn.Return<never> {
  let delayMs = 0
  while (true) {
    const sinceMs = yield* Clock.currentTimeMillis
    yield* embedded.died
    if ((yield* Clock.currentTimeMillis) - sinceMs > calmMs) delayMs = 0
    yield* Effect.logWarning(`PostgreSQL died; it is started again in ${delayMs} ms`)
    yield* Effect.sleep(delayMs)
    delayMs = Math.min(Math.max(2 * delayMs, restartDelayMinMs), restartDelayMaxMs)
    yield* Effect.catch(embedded.restart, ({ reason }) => Effect.logError(reason))
  }
})

const writing = (write: () => void) =>
  Effect.try({
    try: write,
    catch: (error) =>
      new DatabaseTrouble({
        reason: `The data directory cannot be written (${inWords(error)}). Make room or give it to this user (chown -R).`
      })
  })
