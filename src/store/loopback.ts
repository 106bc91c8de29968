/** Connections to the embedded server, and the port for them. */
import { readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import pg from "pg"
import { inWords } from "./database-trouble.ts"

export interface Address {
  readonly port: number
  readonly password: string
}

/** Below the range from which systems take the ports of outgoing connections, or one of those could sit on ours. */
const portFirst = 15_432
const portLast = 32_767
const triesMax = 50

/** Long enough for a machine that swaps, short against the patience of a person. */
const answerMaxMs = 5_000

export function toUrl({ password, port }: Address): string {
  return `postgres://parley:${password}@127.0.0.1:${port}/parley`
}

/** The remembered port if it is free, else another one. */
export const choosePort = Effect.fn("Loopback.choosePort")(function* (portFile: string) {
  const remembered = yield* Effect.sync(() => rememberedPort(portFile))
  if (remembered !== undefined && (yield* isFree(remembered))) return remembered
  for (let tries = 1; tries < triesMax; tries++) {
    const port = yield* Random.nextIntBetween(portFirst, portLast)
    if (yield* isFree(port)) return port
  }
  // Node asks the system, which knows one if there is one.
  return yield* listenOnce(0).pipe(Effect.map((port) => port ?? portFirst))
})

export function rememberPort(portFile: string, port: number): void {
  if (rememberedPort(portFile) !== port) writeFileSync(portFile, `${port}\n`, { flush: true })
}

/** Nothing but a port counts: a file cut short is as good as none. */
function rememberedPort(portFile: string): number | undefined {
  try {
    const port = Number(readFileSync(portFile, "utf8"))
    return Number.isInteger(port) && port > 1_023 && port < 65_536 ? port : undefined
  } catch {
    return undefined
  }
}

export const isFree = (port: number) => Effect.map(listenOnce(port), (got) => got === port)

const listenOnce = (port: number) =>
  Effect.callback<number | undefined>((resume) => {
    const server = createServer()
    server.on("error", () => resume(Effect.succeed(undefined)))
    server.listen({ host: "127.0.0.1", port, exclusive: true }, () => {
      const address = server.address()
      server.close(() => resume(Effect.succeed(typeof address === "object" ? address?.port : undefined)))
    })
  })

/** Why no session was had. With an SQLSTATE a server answered, if only to refuse. */
export interface NoSession {
  readonly sqlState: string | undefined
  readonly message: string
}

/** A session as superuser, for as long as the scope. Losing it is an error of its next query, never an exception. */
export const connect = ({ password, port }: Address, database = "parley") =>
  Effect.acquireRelease(
    Effect.suspend(() => {
      const client = new pg.Client({
        host: "127.0.0.1",
        port,
        user: "parley",
        password,
        database,
        ssl: false, // else PGSSLMODE would have a say
        connectionTimeoutMillis: answerMaxMs,
        query_timeout: answerMaxMs
      })
      client.on("error", () => {})
      return attempt(() => client.connect().then(() => client)).pipe(
        Effect.onExit((exit) => (exit._tag === "Failure" ? close(client) : Effect.void))
      )
    }),
    close
  )

export const query = (client: pg.Client, text: string) =>
  attempt(() => client.query<Record<string, string>>(text)).pipe(Effect.map(({ rows }) => rows[0]))

const attempt = <A>(ask: () => Promise<A>) =>
  Effect.tryPromise({
    try: ask,
    catch: (error): NoSession => {
      const sqlState = error instanceof pg.DatabaseError ? error.code : undefined
      return { sqlState, message: inWords(error) }
    }
  })

/** Does not wait: a server that hangs would not say goodbye. */
const close = (client: pg.Client) => Effect.sync(() => void client.end().catch(() => {}))
