/**
 * One life of the server in a simulated process: the production parts, joined as `src/parley.ts` joins them, on
 * simulated ways out. Where a planted bug sits, a seam puts it in between.
 */
import { Context, Deferred, Effect, Layer, Schema, type Scope } from "effect"
import type { Account } from "../../src/actors/account.ts"
import { supervise } from "../../src/actors/supervisor.ts"
import { runSweeper, type SweeperOptions, sweep } from "../../src/actors/sweeper.ts"
import type { Adapter } from "../../src/adapters/adapter.ts"
import { type Channel, openChannel, partIntensity } from "../../src/channels.ts"
import { ConfigFile } from "../../src/cli/config-schema.ts"
import { accountId } from "../../src/domain/ids.ts"
import { drain } from "../../src/drain.ts"
import type { Engine } from "../../src/inference/engine.ts"
import type { ServedModel } from "../../src/inference/model-pool.ts"
import { type InferenceScheduler, makeScheduler } from "../../src/inference/scheduler.ts"
import { Database } from "../../src/store/database.ts"
import { Journal } from "../../src/store/journal.ts"
import { layer as layerJournal } from "../../src/store/journal-postgres.ts"
import type { SweepReads } from "../../src/store/sweep-reads.ts"
import type { SimulatedProcess } from "./simulated-process.ts"

/** Where a planted bug gets between production parts; without bugs each gives back what it is given. */
export interface Seams {
  readonly adapter?: (adapter: Adapter, life: Life) => Adapter
  readonly database?: (database: Database["Service"]) => Database["Service"]
  readonly journal?: (journal: Journal["Service"], life: Life) => Journal["Service"]
  readonly reads?: (reads: SweepReads) => SweepReads
  readonly scheduler?: (scheduler: InferenceScheduler["Service"]) => InferenceScheduler["Service"]
  readonly engine?: (engine: Engine) => Engine
  readonly attemptsMax?: number
  readonly turnMaxMs?: number
}

/** Of one process. */
export interface Life {
  readonly process: SimulatedProcess
  isDraining: boolean
}

/** How people are answered at an account. */
export interface Manner {
  readonly adapter: Adapter
  readonly settleMs: number
  readonly policy: "collect" | "interrupt"
}

export interface ServerParts {
  readonly life: Life
  readonly database: Database["Service"]
  readonly reads: SweepReads
  readonly engine: Engine
  readonly accounts: ReadonlyArray<Manner>
  readonly seams: Seams
  /** Told of the steps of its start and its end. */
  readonly passes: (point: "start.begun" | "drain.begun" | "drain.ended") => Effect.Effect<void>
  /** It drains when this completes. */
  readonly stopped: Effect.Effect<void>
}

export const attemptsMax = 6
export const turnMaxMs = 60_000
const ageMaxMs = 3_600_000
const drainMs = 8_000
const dayMs = 86_400_000
/** Small, so that they are met. */
const writerLimits = { batchMax: 6, queueMax: 60 }
const queueMax = 24
const config = Schema.decodeUnknownSync(ConfigFile)({
  limits: { inboxMax: 60, conversationInboxMax: 8, turnMaxMs, idleMs: 20_000, mailboxMax: 4, answerTokensMax: 64 },
  drainMs
})

/** Runs until it is stopped and drained; fails when a part is given up. */
export const serve = (parts: ServerParts): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    yield* parts.passes("start.begun")
    const accounts = new Map<string, Account>()
    yield* Effect.raceFirst(parts.stopped, Effect.flatMap(start(parts, accounts), Deferred.await))
    parts.life.isDraining = true
    yield* parts.passes("drain.begun")
    yield* drain({ accounts, calls: { inFlight: 0, isOver: false } }, drainMs)
    yield* parts.passes("drain.ended")
  }).pipe(Effect.scoped)

const start = Effect.fn("start")(function* (
  { accounts: manners, database: given, engine, life, reads, seams }: ServerParts,
  accounts: Map<string, Account>
): Effect.fn.Return<Deferred.Deferred<never, unknown>, unknown, Scope.Scope> {
  const failed = yield* Deferred.make<never, unknown>()
  const watch = (part: Effect.Effect<unknown, unknown>) =>
    Effect.forkScoped(Effect.catchCause(part, (cause) => Deferred.failCause(failed, cause)))
  const database = (seams.database ?? same)(given)
  const layers = layerJournal({ owner: ownerOf(life), limits: writerLimits })
  const context = yield* Layer.build(Layer.provide(layers, Layer.succeed(Database, database)))
  const journal = (seams.journal ?? same)(Context.get(context, Journal), life)
  const limits = { engine: (seams.engine ?? same)(engine), queueMax, queueTokensMax: 100_000 }
  const scheduler = (seams.scheduler ?? same)(yield* makeScheduler(limits))
  let pending = 0
  const sweeper: SweeperOptions = {
    reads: (seams.reads ?? same)(reads),
    accounts: () => accounts,
    counted: (count) => {
      pending = count
    },
    dedupKeptMs: 30 * dayMs
  }
  const model: ServedModel = { name: "default", scheduler, status: Effect.never, forget: Effect.void }
  const limited = { ...config, limits: { ...config.limits, turnMaxMs: seams.turnMaxMs ?? turnMaxMs } }
  const shared = { config: limited, database, journal, models: [model] as const, accounts, sweeper }
  const opened = yield* Effect.forEach(manners, (manner) =>
    openChannel({ ...shared, pending: () => pending, traces: undefined }, channelOf(manner, life, seams))
  )
  yield* Effect.forEach(opened, ({ kept }) => watch(kept))
  yield* Effect.forEach(opened, ({ isOpen }) => Effect.raceFirst(isOpen, Deferred.await(failed)))
  yield* sweep(sweeper)
  yield* watch(supervise([{ name: "sweeper", intensity: partIntensity, run: runSweeper(sweeper) }]))
  return failed
})

function channelOf({ adapter, policy, settleMs }: Manner, life: Life, seams: Seams): Channel {
  const { account, channel } = adapter
  return {
    id: accountId(channel, account),
    open: Effect.sync(() => (seams.adapter ?? same)(adapter, life)),
    settings: { policy, settleMs },
    model: undefined,
    sampling: undefined,
    attemptsMax: seams.attemptsMax ?? attemptsMax,
    ageMaxMs
  }
}

/** 32 hexadecimal digits, of each process others. */
function ownerOf({ process }: Life): string {
  return Buffer.from(process.name.padEnd(16)).toString("hex").slice(0, 32)
}

const same = <A>(one: A): A => one
