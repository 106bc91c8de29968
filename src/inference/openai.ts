/**
 * The engine that is other servers: llama-server, vLLM, Ollama, whatever speaks OpenAI's chat completions.
 *
 *   O1. A request is at one server at a time. It goes on to another only while nothing of an answer was said, and only
 *       to one that it was not at; two answers are never spliced.
 *   O2. A server that was sent it and died may have died of it: it goes on from one such death, and from the second on
 *       it is `EngineLost`, so that the scheduler counts it (S7).
 *   O3. No server has more in flight than its limit. Who finds all full waits, the oldest first.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { slotsOf } from "./aimd-limit.ts"
import { demandOfAny } from "./demand.ts"
import {
  type Engine,
  EngineBroken,
  EngineBusy,
  type EngineError,
  type EngineRequest,
  type OpenEngine
} from "./engine.ts"
import { type Candidate, choose, slotsOfAll } from "./least-loaded.ts"
import { converse, type Ending, type Question, type Tokens } from "./openai-call.ts"
import { embeddingBodyOf } from "./openai-embeddings.ts"
import { fail, openServer, probe, type Server, type ServerOptions, statusOf } from "./openai-server.ts"
import { bodyOf } from "./openai-wire.ts"

export interface OpenaiOptions extends ServerOptions {
  readonly name: string
  /** At least one; each as OpenAI's clients take it: with `/v1`. All of them serve the same model. */
  readonly baseUrls: ReadonlyArray<string>
}

/** However long a server says that it is full: its room is asked for again. */
const restMaxMs = 60_000
/** A server that was sent a request and died before it said anything may be followed by so many others. */
const deathsMax = 1

interface Pool {
  readonly servers: ReadonlyArray<Server>
  readonly clock: Clock.Clock
  readonly scope: Scope.Scope
  readonly waiting: Set<Seat>
  /** The last number of slots, until it is read. */
  readonly slots: Queue.Queue<number, Cause.Done>
  slotsTold: number
  choices: number
}

/** A place at a server, or in front of all. */
interface Seat {
  readonly tried: ReadonlySet<Server>
  readonly given: Deferred.Deferred<Server | EngineBusy>
  server: Server | undefined
}

/**
 * Silence, a cut connection and an answer of 5xx are `EngineLost`, 429 and 503 are `EngineBusy`. Interrupting a
 * stream closes its connection, by which the server knows. It uses node:http: 60 µs of CPU a request (fetch 180,
 * undici 50, but that is a package).
 */
export const openOpenai = Effect.fnUntraced(function* (options: OpenaiOptions) {
  const addresses = yield* Effect.forEach(options.baseUrls, (baseUrl) => addressOf(options.name, baseUrl))
  const servers: Array<Server> = []
  const slots = yield* Effect.acquireRelease(Queue.sliding<number, Cause.Done>(1), (queue) =>
    Effect.sync(() => Queue.endUnsafe(queue))
  )
  const pool: Pool = {
    ...{ servers, clock: yield* Clock.Clock, scope: yield* Scope.Scope, waiting: new Set(), choices: 0 },
    ...{ slots, slotsTold: 0 }
  }
  for (const address of addresses) servers.push(yield* openServer(address, options, () => seat(pool)))
  seat(pool)
  const engine: Engine = {
    name: options.name,
    slotsMax: options.slotsMax * servers.length,
    slots: Stream.fromQueue(pool.slots),
    generate: (request) => Stream.callback((tokens: Tokens) => answer(pool, request, tokens)),
    embed: (request) => Stream.callback((tokens: Tokens) => answer(pool, request, tokens)),
    isReady: Effect.suspend(() => (servers.some(isUp) ? Effect.succeed(true) : probeAll(servers))),
    trouble: Effect.sync(() => (servers.some(isUp) ? undefined : servers.map(troubleOf).join(" "))),
    servers: Effect.sync(() => servers.map(statusOf))
  }
  return engine
}) satisfies (options: OpenaiOptions) => OpenEngine

function addressOf(model: string, baseUrl: string): Effect.Effect<URL, EngineBroken> {
  const address = URL.parse(baseUrl)
  if (address?.protocol === "http:" || address?.protocol === "https:") return Effect.succeed(address)
  const reason = "Its baseUrl is no http or https address; it should look like http://127.0.0.1:9000/v1."
  return Effect.fail(new EngineBroken({ model, reason }))
}

const isUp = ({ trouble }: Server) => trouble === undefined
const troubleOf = ({ address, trouble }: Server) => `${address.origin}: ${trouble}`

const probeAll = (servers: ReadonlyArray<Server>) =>
  Effect.map(Effect.forEach(servers, probe, { concurrency: "unbounded" }), (answers) => answers.includes(true))

/** Lasts as long as the stream. */
const answer = Effect.fnUntraced(function* (pool: Pool, request: EngineRequest, tokens: Tokens) {
  const { options } = pool.servers[0]!
  const { promptTokens } = demandOfAny(request, options.contextTokens)
  const body = "inputs" in request ? embeddingBodyOf(request, options) : bodyOf(request, options)
  const question: Question = { request, body, promptTokens }
  const tried = new Set<Server>()
  for (let deaths = 0; ; ) {
    const ending = yield* askNext(pool, question, tokens, tried)
    if (ending === undefined) return
    if (ending.stage === "unheard" && ending.error._tag === "EngineLost") deaths++
    if (!mayGoOn(pool, ending, tried, deaths))
      return Queue.failCauseUnsafe(tokens, Cause.fail(soonest(pool, ending.error)))
  }
})

/** Waits for a place, and asks there. Undefined after a whole answer. */
const askNext = (pool: Pool, question: Question, tokens: Tokens, tried: Set<Server>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => enter(pool, tried)),
    ({ given }) =>
      Effect.gen(function* () {
        const server = yield* Deferred.await(given)
        if (server instanceof EngineBusy) return { error: server, stage: "unsent", isMisplaced: false } satisfies Ending
        tried.add(server)
        const ending = yield* converse(server, question, tokens)
        if (ending !== undefined) yield* learn(pool, server, ending)
        return ending
      }),
    (place) => Effect.sync(() => leave(pool, place))
  )

/** What an end says of the server, beside its limit. */
const learn = Effect.fnUntraced(function* (pool: Pool, server: Server, { error, isMisplaced }: Ending) {
  if (error._tag === "EngineBusy") {
    const restMs = Math.min(restMaxMs, error.retryAfterMs)
    server.restsUntilMs = Math.max(server.restsUntilMs, pool.clock.currentTimeMillisUnsafe() + restMs)
    const wake = Effect.andThen(
      // A timer may be early by one.
      Effect.sleep(restMs + 1),
      Effect.sync(() => seat(pool))
    )
    yield* Effect.forkIn(wake, pool.scope)
  } else if (error._tag === "EngineLost" || (error._tag === "EngineRefused" && isMisplaced)) fail(server, error.reason)
})

function mayGoOn(pool: Pool, ending: Ending, tried: ReadonlySet<Server>, deaths: number): boolean {
  const { error, isMisplaced, stage } = ending
  if (stage === "begun" || deaths > deathsMax) return false
  const next = choiceOf(pool, tried).type
  if (next !== "ask" && next !== "wait") return false
  return error._tag === "EngineBusy" || ((error._tag === "EngineLost" || isMisplaced) && pool.servers.some(isUp))
}

/** Another server may have room before the one that said when. */
function soonest({ clock, servers }: Pool, error: EngineError): EngineError {
  if (error._tag !== "EngineBusy" || servers.length === 1) return error
  const soonestMs = Math.min(...servers.filter(isUp).map(({ restsUntilMs }) => restsUntilMs))
  const retryAfterMs = Math.max(0, soonestMs - clock.currentTimeMillisUnsafe())
  return new EngineBusy({ retryAfterMs: Math.min(error.retryAfterMs, retryAfterMs) })
}

function enter(pool: Pool, tried: ReadonlySet<Server>): Seat {
  const place: Seat = { tried, given: Deferred.makeUnsafe(), server: undefined }
  pool.waiting.add(place)
  seat(pool)
  return place
}

function leave(pool: Pool, place: Seat): void {
  pool.waiting.delete(place)
  if (place.server !== undefined) place.server.inFlight--
  place.server = undefined
  seat(pool)
}

/** Gives places to those who wait, and tells how many slots there are. */
function seat(pool: Pool): void {
  for (const place of pool.waiting) {
    const choice = choiceOf(pool, place.tried)
    if (choice.type === "wait") {
      // Nobody behind who was at no server could have one either.
      if (place.tried.size === 0) break
      continue
    }
    pool.waiting.delete(place)
    if (choice.type === "ask") {
      const { server } = choice.candidate
      server.inFlight++
      server.chosenAs = ++pool.choices
      place.server = server
      Deferred.doneUnsafe(place.given, Effect.succeed(server))
    } else if (choice.type === "rest") {
      const retryAfterMs = choice.untilMs - pool.clock.currentTimeMillisUnsafe()
      Deferred.doneUnsafe(place.given, Effect.succeed(new EngineBusy({ retryAfterMs })))
    } else Deferred.doneUnsafe(place.given, Effect.succeed(new EngineBusy({ retryAfterMs: 0 })))
  }
  const slots = slotsOfAll(candidatesOf(pool, noServers), pool.clock.currentTimeMillisUnsafe())
  if (slots === pool.slotsTold) return
  pool.slotsTold = slots
  Queue.offerUnsafe(pool.slots, slots)
}

const noServers: ReadonlySet<Server> = new Set()

function choiceOf(pool: Pool, tried: ReadonlySet<Server>) {
  return choose(candidatesOf(pool, tried), pool.clock.currentTimeMillisUnsafe())
}

function candidatesOf({ servers }: Pool, tried: ReadonlySet<Server>) {
  return servers.map((server): Candidate & { readonly server: Server } => {
    const { chosenAs, inFlight, limit, restsUntilMs } = server
    return {
      server,
      chosenAs,
      inFlight,
      restsUntilMs,
      limit: slotsOf(limit),
      isUp: isUp(server),
      isTried: tried.has(server)
    }
  })
}
