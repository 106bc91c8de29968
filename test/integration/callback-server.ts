/**
 * A receiver of callbacks that keeps its word as a class A platform and fails on a plan: what it showed, once per
 * `webhook-id`, is what a person saw. By itself: `node test/integration/callback-server.ts PORT`, with CALLBACK_SECRET
 * and, for faults, CALLBACK_SEED, CALLBACK_BEFORE, CALLBACK_AFTER (probabilities), CALLBACK_ATTEMPTS and
 * CALLBACK_LATE_MS; it prints {"listening": PORT}, and GET /deliveries tells all it saw.
 */
import { createHash } from "node:crypto"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import { runMain } from "@effect/platform-node/NodeRuntime"
import { Clock, Deferred, Effect, Result, type Scope } from "effect"
import { keyOf, verify } from "../../src/adapters/webhook/signature.ts"

interface Behaviour {
  /** The message is shown before anything is answered. */
  readonly takes: boolean
  /** The connection is cut where it has none. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** The answer waits as long as `lateMs`. */
  readonly isLate?: boolean
}

const behaviours = {
  take: { takes: true, status: 204 },
  "cut-before": { takes: false },
  "error-before": { takes: false, status: 500 },
  busy: { takes: false, status: 429, headers: { "retry-after": "1" } },
  "busy-at-once": { takes: false, status: 429, headers: { "retry-after": "0" } },
  unavailable: { takes: false, status: 503 },
  "cut-after": { takes: true },
  "error-after": { takes: true, status: 500 },
  late: { takes: true, status: 204, isLate: true },
  unwanted: { takes: false, status: 400 },
  gone: { takes: false, status: 410 },
  moved: { takes: false, status: 307, headers: { location: "http://moved.invalid/token" } },
  unsigned: { takes: false, status: 401 }
} satisfies Record<string, Behaviour>

export type Fate = keyof typeof behaviours

const faultsBefore = ["cut-before", "error-before", "busy", "busy-at-once", "unavailable"] as const
const faultsAfter = ["cut-after", "error-after", "late"] as const

export interface Delivery {
  readonly key: string
  readonly body: string
  /** When it arrived, in milliseconds since 1970. */
  readonly at: number
  /** Which one of its key it is, from 1. */
  readonly attempt: number
  readonly fate: Fate
  /** It was taken, and is the first of its key that was. */
  readonly shown: boolean
}

export interface CallbackServer {
  readonly url: string
  /** In the order of arrival. */
  readonly deliveries: () => ReadonlyArray<Delivery>
  /** Succeeds once so many requests have arrived. */
  readonly arrived: (count: number) => Effect.Effect<void>
  /** Connections that were opened so far, and those that are open still. */
  readonly connections: () => { readonly opened: number; readonly open: number }
}

export interface CallbackOptions {
  /** Any free one where it is left out. */
  readonly port?: number
  readonly secret: string
  readonly lateMs: number
  /** How long it takes over every answer. */
  readonly slowMs?: number
  readonly fateOf: (key: string, attempt: number) => Fate
}

export interface FaultPlan {
  readonly seed: string
  /** Probabilities of a fault before and after the message is taken. */
  readonly before: number
  readonly after: number
  /** Later attempts of a key meet no fault. */
  readonly attemptsMax: number
}

/** The same fate for the same seed, key and attempt, in whatever order they come. */
export const planned =
  ({ after, attemptsMax, before, seed }: FaultPlan) =>
  (key: string, attempt: number): Fate => {
    if (attempt > attemptsMax) return "take"
    const bytes = createHash("sha256").update(`${seed}\n${key}\n${attempt}`).digest()
    const luck = bytes.readUInt32BE(0) / 2 ** 32
    const faults = luck < before ? faultsBefore : luck < before + after ? faultsAfter : undefined
    return faults?.[bytes.readUInt32BE(4) % faults.length] ?? "take"
  }

export const openCallbackServer = (options: CallbackOptions): Effect.Effect<CallbackServer, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { arrived, deliveries, record } = ledgerOf(options, yield* Clock.Clock)
    const run = Effect.runForkWith(yield* Effect.context<never>())
    let opened = 0
    let open = 0

    const answer = (fate: Fate, response: http.ServerResponse) =>
      Effect.gen(function* () {
        const { headers, isLate, status }: Behaviour = behaviours[fate]
        yield* Effect.sleep(isLate ? options.lateMs : (options.slowMs ?? 0))
        if (status === undefined) response.destroy()
        else response.writeHead(status, headers).end()
      })

    const server = http.createServer((request, response) => {
      if (request.method === "GET") {
        response.setHeader("content-type", "application/json").end(JSON.stringify(deliveries))
        return
      }
      const chunks: Array<Buffer> = []
      request.on("data", (chunk: Buffer) => chunks.push(chunk))
      request.on("end", () => run(answer(record(request.headers, Buffer.concat(chunks)), response)))
    })
    server.on("connection", (socket) => {
      opened++
      open++
      socket.once("close", () => open--)
    })
    yield* Effect.acquireRelease(listening(server, options.port ?? 0), () =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
    )
    return {
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/replies`,
      deliveries: () => deliveries,
      arrived,
      connections: () => ({ opened, open })
    }
  })

/** What has arrived, and what of it was shown: synchronous, so that it stands here before anybody can ask. */
function ledgerOf({ fateOf, secret }: CallbackOptions, clock: Clock.Clock) {
  const signingKey = keyOf(secret)
  if (signingKey === undefined) throw new Error("the secret is not of the form whsec_…")
  const deliveries: Array<Delivery> = []
  const attempts = new Map<string, number>()
  const seen = new Set<string>()
  const waiting: Array<{ readonly count: number; readonly done: Deferred.Deferred<void> }> = []

  const record = (headers: http.IncomingHttpHeaders, body: Buffer): Fate => {
    const at = clock.currentTimeMillisUnsafe()
    const verified = verify(signingKey, headers as Record<string, string | undefined>, body, at)
    const key = Result.getOrElse(verified, () => "")
    const attempt = (attempts.get(key) ?? 0) + 1
    attempts.set(key, attempt)
    const fate = Result.isSuccess(verified) ? fateOf(key, attempt) : "unsigned"
    const shown = behaviours[fate].takes && !seen.has(key)
    if (shown) seen.add(key)
    deliveries.push({ key, body: body.toString(), at, attempt, fate, shown })
    for (const { count, done } of waiting) if (deliveries.length >= count) Deferred.doneUnsafe(done, Effect.void)
    return fate
  }

  const arrived = (count: number) =>
    Effect.suspend(() => {
      if (deliveries.length >= count) return Effect.void
      const done = Deferred.makeUnsafe<void>()
      waiting.push({ count, done })
      return Deferred.await(done)
    })

  return { deliveries, record, arrived }
}

const listening = (server: http.Server, port: number) =>
  Effect.callback<void>((resume) => {
    server.once("error", (error) => resume(Effect.die(error)))
    server.listen(port, "127.0.0.1", () => resume(Effect.void))
  })

const main = Effect.gen(function* () {
  const { CALLBACK_AFTER, CALLBACK_ATTEMPTS, CALLBACK_BEFORE, CALLBACK_LATE_MS, CALLBACK_SECRET, CALLBACK_SEED } =
    process.env
  const plan: FaultPlan = {
    seed: CALLBACK_SEED ?? "",
    before: Number(CALLBACK_BEFORE ?? 0),
    after: Number(CALLBACK_AFTER ?? 0),
    attemptsMax: Number(CALLBACK_ATTEMPTS ?? 3)
  }
  const port = Number(process.argv[2] ?? 0)
  const { url } = yield* openCallbackServer({
    port,
    secret: CALLBACK_SECRET ?? "",
    lateMs: Number(CALLBACK_LATE_MS ?? 1_000),
    fateOf: planned(plan)
  })
  process.stdout.write(`${JSON.stringify({ listening: Number(new URL(url).port) })}\n`)
  return yield* Effect.never
})

if (import.meta.main) runMain(Effect.scoped(main))
