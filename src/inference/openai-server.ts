/**
 * One server that speaks OpenAI's protocol: what is known of it, its connections, and whether it answers.
 *
 *      failed            probed, or it spoke
 *   up ───────→ down ──────────────────────→ up
 *
 *   H1. What fails is out from then on, until a probe succeeds or a token of it comes.
 *   H2. A probe that fails says nothing of a server that spoke meanwhile.
 *   H3. Probes of one that is down become rarer with each failure since its last first token: one that answers probes
 *       and no requests takes only a few of these.
 */
import * as Http from "node:http"
import * as Https from "node:https"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import { emptyLimit, type Limit, type Sent, slotsOf, speak } from "./aimd-limit.ts"
import type { ServerStatus } from "./engine.ts"

export interface ServerOptions {
  readonly apiKey?: string
  readonly model?: string
  /** The most requests that it is given at once. */
  readonly slotsMax: number
  readonly connectMaxMs: number
  /** From the connection to the first text: as long as the longest prompt may take, in the server's queue too. */
  readonly firstTokenMaxMs: number
  readonly nextTokenMaxMs: number
  /** The server's context, when it does not cut long histories itself. */
  readonly contextTokens?: number
  /** From one probe of a server that is up to the next, about. */
  readonly probeEveryMs?: number
}

/** Changed in place, by this file and openai.ts. */
export interface Server {
  readonly options: ServerOptions
  readonly address: URL
  readonly agent: Http.Agent
  readonly clock: Clock.Clock
  readonly scope: Scope.Scope
  readonly limit: Limit
  /** Open while it is down. */
  readonly out: Latch.Latch
  /** Told when it may take more, or less. */
  readonly changed: () => void
  inFlight: number
  /** Since when it is up, or down. */
  sinceMs: number
  /** Why it is down. */
  trouble: string | undefined
  /** In a row, of requests and probes, since its last first token. */
  failures: number
  /** It said that it is full, and until when. */
  restsUntilMs: number
  /** Which choice of all it was last. */
  chosenAs: number
  /** First tokens and later ones, since the start. */
  words: number
  /** Where it has none it is asked for its models. */
  hasHealth: boolean
}

const probeEveryDefaultMs = 10_000
const probeAgainMinMs = 250
const probeAgainMaxMs = 30_000
const probeBodyMaxBytes = 262_144

/** Its connections are closed with the scope. */
export const openServer = Effect.fnUntraced(function* (address: URL, options: ServerOptions, changed: () => void) {
  const { Agent } = address.protocol === "https:" ? Https : Http
  const agent = yield* Effect.acquireRelease(
    Effect.sync(() => new Agent({ keepAlive: true, maxFreeSockets: options.slotsMax })),
    (agent) => Effect.sync(() => agent.destroy())
  )
  const clock = yield* Clock.Clock
  const scope = yield* Scope.Scope
  const server: Server = {
    ...{ options, address, agent, clock, scope, changed, limit: emptyLimit(options.slotsMax), out: Latch.makeUnsafe() },
    ...{ inFlight: 0, sinceMs: clock.currentTimeMillisUnsafe(), trouble: undefined, failures: 0, restsUntilMs: 0 },
    ...{ chosenAs: 0, words: 0, hasHealth: true }
  }
  yield* Effect.forkScoped(Effect.forever(watch(server)))
  return server
})

export function statusOf({ address, inFlight, limit, sinceMs, trouble }: Server): ServerStatus {
  const server = `${address.origin}${address.pathname}`
  return { server, isUp: trouble === undefined, sinceMs, inFlight, limit: slotsOf(limit), ...(trouble && { trouble }) }
}

export function fail(server: Server, reason: string): void {
  server.failures++
  if (server.trouble === undefined) server.sinceMs = server.clock.currentTimeMillisUnsafe()
  server.trouble = reason
  Latch.openUnsafe(server.out)
  server.changed()
}

/** Its first token of a request, which was sent `waitedMs` before. */
export function hearFirst(server: Server, sent: Sent, waitedMs: number): void {
  speak(server.limit, sent, waitedMs)
  server.failures = 0
  if (server.trouble !== undefined) rise(server)
  server.changed()
}

function rise(server: Server): void {
  server.trouble = undefined
  server.sinceMs = server.clock.currentTimeMillisUnsafe()
  Latch.closeUnsafe(server.out)
  server.changed()
}

/** One pause, shorter when it fails meanwhile, and one probe. */
const watch = Effect.fnUntraced(function* (server: Server) {
  const { options, out } = server
  // Not all at once: many Parleys may have started together, and ask the same servers.
  const jitter = 0.8 + 0.4 * (yield* Random.next)
  if (server.trouble === undefined) {
    yield* Effect.timeoutOption(Latch.await(out), jitter * (options.probeEveryMs ?? probeEveryDefaultMs))
  }
  if (server.trouble !== undefined) {
    yield* Effect.sleep(jitter * Math.min(probeAgainMaxMs, probeAgainMinMs * 2 ** (server.failures - 1)))
  }
  yield* probe(server)
})

/** True when it answers. llama-server and vLLM have `/health` beside `/v1`, and say there that they still load. */
export const probe = Effect.fnUntraced(function* (server: Server): Effect.fn.Return<boolean> {
  const { address, words } = server
  let answer = server.hasHealth ? yield* statusAt(server, healthPathOf(address)) : missing
  if (typeof answer === "number" && answer >= 300 && answer < 500) {
    server.hasHealth = false
    // Any answer but 5xx will do: where a key is wrong, requests say so.
    answer = yield* statusAt(server, pathOf(address, "/models"))
  }
  if (typeof answer === "number" && answer < 500) {
    if (server.trouble !== undefined) rise(server)
    return true
  }
  if (server.words !== words) return true
  const reason =
    typeof answer === "number" ? `It answers ${answer} when it is probed` : `It cannot be reached: ${answer}`
  fail(server, `${reason}.`)
  return false
})

const missing = 404

/** The status of the answer, or why there is none. */
function statusAt(server: Server, path: string): Effect.Effect<number | string> {
  const answered = Effect.callback<number | string>((resume) => {
    const request = requestTo(server, "GET", path)
    request.on("error", ({ message }) => resume(Effect.succeed(message)))
    request.on("response", (response) => {
      let bytes = 0
      response.on("error", () => {})
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > probeBodyMaxBytes) response.destroy()
      })
      response.on("close", () => resume(Effect.succeed(response.statusCode ?? 500)))
    })
    return Effect.sync(() => request.destroy())
  })
  const { connectMaxMs } = server.options
  const orElse = () => Effect.succeed(`nothing came within ${connectMaxMs} ms`)
  return Effect.timeoutOrElse(answered, { duration: connectMaxMs, orElse })
}

/** `path` is all of it. */
export function requestTo(
  { address, agent, options }: Server,
  method: "GET" | "POST",
  path: string,
  body = ""
): Http.ClientRequest {
  const request = address.protocol === "https:" ? Https.request : Http.request
  return request({
    agent,
    method,
    protocol: address.protocol,
    // A URL has brackets around an address of IPv6, and a socket wants none.
    hostname: address.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: address.port,
    path: `${path}${address.search}`,
    headers: {
      accept: "text/event-stream",
      "content-type": "application/json",
      "content-length": Buffer.byteLength(body),
      ...(options.apiKey !== undefined && { authorization: `Bearer ${options.apiKey}` })
    }
  }).end(body)
}

export function pathOf({ pathname }: URL, path: string): string {
  return `${pathname.replace(/\/$/, "")}${path}`
}

function healthPathOf({ pathname }: URL): string {
  return `${pathname.replace(/\/$/, "").replace(/\/v1$/, "")}/health`
}
