/** One kill test: people write, something is killed again and again, and at the end nothing is missing. */
import { Data, Effect, type Scope } from "effect"
import { type Violation, violationsOf } from "./kill-checker.ts"
import { type Autopsy, type Column, examine, missedBy, type OpenTurn, tableOf } from "./kill-columns.ts"
import { type Evidence, readMetrics, readRows } from "./kill-evidence.ts"
import { comes, type Moment, moments, momentsOf } from "./kill-moments.ts"
import { openWorld, type World, type WorldOptions } from "./kill-world.ts"
import { type Luck, luckOf } from "./seeded.ts"
import type { Exited, ServerProcess } from "./server-process.ts"

/** Something is killed; the server that goes on need not be ready. */
export type Strike = (scene: Scene) => Effect.Effect<Struck, unknown, Scope.Scope>

export interface Scene {
  readonly world: World
  readonly server: ServerProcess
  /** Which kill it is, in words. */
  readonly kill: string
  readonly luck: Luck
}

export interface Struck {
  readonly autopsy: Autopsy
  readonly server: ServerProcess
}

export interface RunOptions extends Omit<WorldOptions, "seed" | "conversations"> {
  /** Stands above the table. */
  readonly title: string
  readonly strike: Strike
  readonly kills: number
  readonly events: number
  readonly conversations?: number
  readonly moments?: ReadonlyArray<Moment>
  /** The columns that must be hit, by more kills where it takes more; all of them where it is left out. */
  readonly columns?: ReadonlyArray<Column>
}

export interface Outcome {
  readonly violations: ReadonlyArray<Violation>
  readonly autopsies: ReadonlyArray<Autopsy>
  readonly evidence: Evidence
  /** How the server ended when it was told to at the end. */
  readonly exited: Exited
}

export class Stuck extends Data.TaggedError("Stuck")<{ readonly message: string }> {}

/** Of a soak, or of a run that failed. */
const seed = process.env["PARLEY_KILL_SEED"] ?? "parley"
/** PARLEY_KILLS is for a soak. */
export const killsOf = (kills: number) => Number(process.env["PARLEY_KILLS"] ?? kills)
/** A run is bounded by the waits in it; this is for a machine that is busy with other tests. */
export const killTestMaxMs = 240_000 + 20_000 * killsOf(0)
/** A run that has not hit every column by then is wrongly made. */
const killsMaxFactor = 3
const restMaxMs = 90_000
/** For one life of the server. */
const eventsMin = 12
const conversationsDefault = 20

export const runKills = (options: RunOptions): Promise<Outcome> =>
  Effect.gen(function* () {
    const { conversations = conversationsDefault, title } = options
    const world = yield* openWorld({ ...options, conversations, seed: `${seed}/${title}` })
    const outcome = yield* Effect.raceFirst(live(world, options), world.load.broken)
    say(`\n${title} (seed ${seed}, ${storyOf(outcome)})\n${tableOf(outcome.autopsies)}\n`)
    return outcome
  }).pipe(Effect.scoped, Effect.runPromise)

const live = Effect.fnUntraced(function* (world: World, options: RunOptions) {
  const { events, kills, strike, title } = options
  const luck = luckOf(`${seed}/${title}/kills`)
  const perKill = Math.max(eventsMin, Math.ceil(events / kills))
  const autopsies: Array<Autopsy> = []
  let server = yield* world.start
  yield* orDied(untilHealthy(world), server)
  const deck = momentsOf(options.moments ?? moments, luck)
  const isEnough = () => autopsies.length >= kills && missedBy(autopsies, options.columns).length === 0
  while (!isEnough() && autopsies.length < kills * killsMaxFactor) {
    const moment = deck.next().value
    yield* world.load.release(perKill)
    yield* orDied(comes(moment, { world, server, luck, released: perKill }), server)
    const kill = `${autopsies.length + 1} ${moment}`
    const struck = yield* strike({ world, server, kill, luck })
    autopsies.push(struck.autopsy)
    server = struck.server
  }
  yield* world.load.release(Math.max(0, events - world.load.released()))
  return yield* concluded(world, server, autopsies)
})

/** Waits until nothing is owed any more, gathers what is known, and ends the server. */
export const concluded = Effect.fnUntraced(function* (
  world: World,
  server: ServerProcess,
  autopsies: ReadonlyArray<Autopsy>
) {
  const metrics = yield* orDied(atRest(world), server)
  const { callback, isEcho, load } = world
  const evidence: Evidence = {
    sent: load.sent(),
    acknowledgements: load.acknowledgements(),
    deliveries: callback.deliveries(),
    autopsies,
    metrics,
    rows: yield* readRows(world.databaseUrl()),
    isEcho
  }
  server.signal("SIGTERM")
  const exited = yield* Effect.timeoutOrElse(server.exited, {
    duration: restMaxMs,
    orElse: () => new Stuck({ message: `the end of the server: ${server.tail()}` })
  })
  return { violations: violationsOf(evidence), autopsies, evidence, exited } satisfies Outcome
})

/** A server that ends before it is told to fails the test with what it said. */
export const orDied = <A, E, R>(effect: Effect.Effect<A, E, R>, server: ServerProcess) =>
  Effect.raceFirst(
    effect,
    Effect.flatMap(server.exited, (exited) =>
      Effect.fail(new Stuck({ message: `the server ended by itself: ${JSON.stringify(exited)}` }))
    )
  ).pipe(Effect.tapCause(() => lastWords(server)))

/** What it says of itself: whether events are accepted and a model would answer them. */
export const healthOf = ({ address }: World) =>
  Effect.promise(() =>
    fetch(`${address}/health/ready`, { signal: AbortSignal.timeout(5_000) }).then(
      async (response) => ({ ok: response.ok, text: await response.text() }),
      (error: unknown) => ({ ok: false, text: String(error) })
    )
  )

export const untilHealthy = Effect.fnUntraced(function* (world: World) {
  while (!(yield* healthOf(world)).ok) yield* Effect.sleep(20)
})

/** All that was written is acknowledged, answered and delivered; gives the metrics that say so. */
const atRest = Effect.fnUntraced(function* (world: World) {
  let metrics: Evidence["metrics"] | undefined
  const rests = Effect.gen(function* () {
    yield* world.load.settled
    while (metrics === undefined || metrics["pending"] !== 0 || metrics["due"] !== 0) {
      yield* Effect.sleep(50)
      metrics = yield* Effect.catchTag(readMetrics(world.address), "NoRows", () => Effect.succeed(metrics))
    }
    return metrics
  })
  return yield* Effect.timeoutOrElse(rests, {
    duration: restMaxMs,
    orElse: () => {
      const { acknowledgedCount, open, released } = world.load
      const sending = `${acknowledgedCount()} of ${released()} acknowledged, being sent: ${open()}`
      return new Stuck({ message: `it does not come to rest: ${JSON.stringify(metrics)}; ${sending}` })
    }
  })
})

/** The rows as they are now. `isDead`: of a server that is gone, so that they stay as they are. */
export const autopsyOf = ({ kill, world }: Scene, isStreaming: (turn: OpenTurn) => boolean, isDead: boolean) =>
  Effect.suspend(() => {
    const arrivals = new Map([...Map.groupBy(world.callback.deliveries(), ({ key }) => key)].map(countOf))
    return examine({ kill, databaseUrl: world.databaseUrl(), arrivals, isStreaming }, isDead)
  })

/** Tells of which turns the model speaks at the moment of this call. */
export function streamingOf({ server, world }: Scene): (turn: OpenTurn) => boolean {
  if (world.isEcho) {
    const threads = new Set(world.echoing())
    return ({ thread }) => threads.has(thread)
  }
  const attempts = new Map<string, number>()
  for (const line of server.streamed()) {
    const [, turn = "", attempt] = /^(.*) attempt (\d+)$/.exec(line) ?? []
    attempts.set(turn, Math.max(attempts.get(turn) ?? 0, Number(attempt)))
  }
  return ({ attempt, conversation, turn }) => (attempts.get(`${conversation} turn ${turn}`) ?? 0) >= attempt
}

const countOf = <A>([key, all]: [A, ReadonlyArray<unknown>]): [A, number] => [key, all.length]

function storyOf({ evidence: { acknowledgements, deliveries, sent } }: Outcome): string {
  const replies = new Set(deliveries.map(({ key }) => key)).size
  const repeated = acknowledgements.filter(({ attempts }) => attempts > 1).length
  return (
    `${sent.length} events, ${acknowledgements.length} acknowledgements, ${repeated} of them not at the first try, ` +
    `${replies} replies, sent ${deliveries.length} times`
  )
}

const lastWords = (server: ServerProcess) => Effect.sync(() => say(`${server.tail()}\n`))

export function say(text: string): void {
  process.stdout.write(text)
}
