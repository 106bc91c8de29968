/** The server: its layers joined, started from the inside out, and stopped from the outside in. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { Account } from "./actors/account.ts"
import { makeOperations } from "./actors/operator.ts"
import { supervise } from "./actors/supervisor.ts"
import { runSweeper, type SweeperOptions, sweep } from "./actors/sweeper.ts"
import { channelsOf, openChannel, partIntensity, samplingOfModel, webId } from "./channels.ts"
import { StartTrouble } from "./cli/command.ts"
import type { Config } from "./cli/config-schema.ts"
import { thisMachine } from "./cli/doctor/machine.ts"
import { bytesOf } from "./domain/amounts.ts"
import { randomId } from "./domain/random-id.ts"
import { drain } from "./drain.ts"
import { healthOf, metricsOf, type Observed } from "./http/observe.ts"
import { measureLoopDelay } from "./http/process-metrics.ts"
import { listen } from "./http/server.ts"
import type { Calls, V1Options } from "./http/v1-call.ts"
import { type ModelPool, openModelPool, type ServedModel } from "./inference/model-pool.ts"
import { builtIn, pooledModel } from "./inference/models.ts"
import { Database, layer as layerDatabase } from "./store/database.ts"
import * as Embedded from "./store/embedded.ts"
import { Journal } from "./store/journal.ts"
import { layer as layerJournal } from "./store/journal-postgres.ts"
import { sweepReadsOf } from "./store/sweep-reads.ts"

/** Where a test puts something of its own in between. */
export interface Seams {
  readonly journal?: (journal: Journal["Service"]) => Journal["Service"]
}

const databaseLimits = { readersMax: 8, connectMaxMs: 5_000, statementMaxMs: 30_000 }
const writerLimits = { batchMax: 256, queueMax: 20_000 }
const dayMs = 86_400_000
/** Of the memory that the machine gives, where the configuration does not say: Parley and PostgreSQL need some too. */
const modelsShare = 0.9

export interface ServeOptions {
  readonly config: Config
  /** The server drains and stops when it completes. */
  readonly stopped: Effect.Effect<void>
  /** Told the address once events are accepted. */
  readonly ready: (address: string) => Effect.Effect<void>
  readonly seams?: Seams
}

/** Runs the server. Interrupting it stops it without draining; nothing that was accepted is lost by that either. */
export const serve = ({ config, ready, seams, stopped }: ServeOptions): Effect.Effect<void, StartTrouble> =>
  Effect.gen(function* () {
    let server: Server | undefined
    const run = Effect.gen(function* () {
      server = yield* start(config, seams ?? {})
      yield* ready(server.address)
      yield* server.failed
    })
    yield* Effect.raceFirst(stopped, run)
    if (server !== undefined) yield* drain(server, config.drainMs)
  }).pipe(Effect.scoped)

interface Server {
  readonly address: string
  readonly accounts: ReadonlyMap<string, Account>
  readonly calls: Calls
  /** Fails when a part of the server is given up. */
  readonly failed: Effect.Effect<never, StartTrouble>
}

const start = Effect.fn("start")(function* (
  config: Config,
  seams: Seams
): Effect.fn.Return<Server, StartTrouble, Scope.Scope> {
  const startedAtMs = yield* Clock.currentTimeMillis
  const failed = yield* Deferred.make<never, StartTrouble>()
  const fail = (reason: string) => Deferred.fail(failed, new StartTrouble({ reason }))
  const watch = (part: Effect.Effect<unknown, { readonly reason: string }>) =>
    Effect.forkScoped(Effect.catch(part, ({ reason }) => fail(reason)))

  // Before the model, which may put a file into the data directory: the store makes that one so that postgres can
  // reach it.
  const url = yield* openDatabase(config)
  const pool = yield* openModels(config)
  yield* watch(pool.opened)
  const layers = layerJournal({ owner: randomId(), limits: writerLimits }).pipe(
    Layer.provideMerge(layerDatabase({ url, ...databaseLimits }, config.durability))
  )
  const context = yield* Effect.mapError(Layer.build(layers), ({ reason }) => new StartTrouble({ reason }))
  const database = Context.get(context, Database)
  const journal = (seams.journal ?? ((same) => same))(Context.get(context, Journal))

  const traces = yield* tracesOf(config)
  const accounts = new Map<string, Account>()
  let pending = 0
  const sweeper: SweeperOptions = {
    reads: sweepReadsOf(database),
    accounts: () => accounts,
    counted: (count) => {
      pending = count
    },
    dedupKeptMs: config.retention.dedupDays * dayMs
  }
  const { models } = pool
  const parts = { config, database, journal, models, accounts, sweeper, pending: () => pending, traces }
  const channels = channelsOf(parts)
  const opened = yield* Effect.forEach(channels, (channel) => openChannel(parts, channel))
  yield* Effect.forEach(opened, ({ kept }) => watch(kept))
  yield* Effect.forEach(opened, ({ isOpen }) => Effect.raceFirst(isOpen, Deferred.await(failed)))
  yield* Effect.mapError(sweep(sweeper), ({ reason }) => new StartTrouble({ reason }))
  yield* watch(supervise([{ name: "sweeper", intensity: partIntensity, run: runSweeper(sweeper) }]))

  if (Deferred.isDoneUnsafe(failed)) return yield* Deferred.await(failed)
  const configured = channels.map(({ id }) => id)
  const watched = { database, journal, models, accounts, loopDelays: yield* measureLoopDelay() }
  const observed: Observed = { ...watched, configured, durability: config.durability }
  const calls: Calls = { inFlight: 0, isOver: false }
  const address = yield* listen({
    host: config.host,
    port: config.port,
    bodyMaxBytes: config.limits.bodyMaxBytes,
    token: config.token,
    allowedHosts: config.allowedHosts,
    allowedOrigins: config.allowedOrigins,
    accountOf: (id) => accounts.get(id),
    configured,
    connect: () => accounts.get(webId)?.adapter.connect,
    health: healthOf(observed),
    metrics: metricsOf(observed),
    operator: { ...observed, operations: makeOperations(observed), startedAtMs },
    v1: { calls, models: chatModels(config, pool), limits: config.limits }
  }).pipe(Effect.mapError(({ reason }) => new StartTrouble({ reason })))
  return { address, accounts, calls, failed: Deferred.await(failed) }
})

/** Without a receiver not even the code is loaded. */
const tracesOf = Effect.fn("tracesOf")(function* ({ otlpEndpoint }: Config) {
  if (otlpEndpoint === undefined) return undefined
  const { openTraces } = yield* Effect.promise(() => import("./traces.ts"))
  return yield* openTraces(otlpEndpoint)
})

/** Those that are configured; where none is, the guide. */
const openModels = Effect.fn("openModels")(function* ({ limits, models }: Config) {
  if (models.length === 0) yield* Effect.logInfo(aboutBuiltIn)
  const [first = builtIn, ...others] = models
  const { modelsMemory, queueMax, queueTokensMax } = limits
  const bytesSet = modelsMemory === undefined ? undefined : bytesOf(modelsMemory)
  return yield* openModelPool({
    models: [pooledModel(first, true), ...others.map((spec) => pooledModel(spec, false))],
    bytesMax: bytesSet ?? Math.floor(thisMachine().memoryBytes * modelsShare),
    isBytesMaxSet: bytesSet !== undefined,
    queueMax,
    queueTokensMax
  })
})

const aboutBuiltIn =
  "no model is configured: the built-in guide answers, which knows Parley and little else. PARLEY_MODEL names another"

function chatModels(config: Config, { models: [first, ...others] }: ModelPool): V1Options["models"] {
  const chatModel = ({ name, scheduler }: ServedModel) => ({ name, scheduler, sampling: samplingOfModel(config, name) })
  return [chatModel(first), ...others.map(chatModel)]
}

/** The operator's database, or one of our own that is kept alive. */
const openDatabase = Effect.fn("openDatabase")(function* (
  config: Config
): Effect.fn.Return<Redacted.Redacted, StartTrouble, Scope.Scope> {
  if (config.databaseUrl !== undefined) return config.databaseUrl
  const options = { dataDir: config.dataDir, announce: (line: string) => Effect.logInfo(line) }
  const embedded = yield* Effect.mapError(Embedded.open(options), ({ reason }) => new StartTrouble({ reason }))
  yield* Effect.forkScoped(Embedded.keepAlive(embedded))
  // Whatever PGSSLMODE says: it is ours, on loopback, and has no certificate.
  return Redacted.make(`${embedded.url}?sslmode=disable`)
})
