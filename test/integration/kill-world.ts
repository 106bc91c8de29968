/** What a kill test takes place in: Parley's directory, its callback server, its model, and the people who write. */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect, type Scope } from "effect"
import { isFree, toUrl } from "../../src/store/loopback.ts"
import { processesIn } from "../../src/store/process-identity.ts"
import { type CallbackServer, openCallbackServer, planned } from "./callback-server.ts"
import { type Load, openLoad } from "./kill-load.ts"
import { type ModelServer, startModelServer } from "./model-server.ts"
import { checkoutDir, freshDir, postmasterPid } from "./parley-process.ts"
import { luckOf } from "./seeded.ts"
import { type ServerProcess, spawnServer } from "./server-process.ts"
import { secret } from "./webhook-bench.ts"

export interface WorldOptions {
  readonly seed: string
  /** `built-in`: the real worker process, with the guide. */
  readonly model: "echo" | "built-in"
  readonly conversations: number
  readonly drainMs?: number
  /** One of sabotaged-server.ts; else the server is the real one. */
  readonly sabotage?: string
  /** Of a PostgreSQL that is not Parley's. */
  readonly databaseUrl?: string
  /** Called with the data directory before there is one. */
  readonly prepare?: (dataDir: string) => void
}

export interface World {
  readonly load: Load
  readonly callback: CallbackServer
  /** Conversations of the echo model that it streams to at this moment. */
  readonly echoing: () => ReadonlyArray<string>
  readonly isEcho: boolean
  readonly start: Effect.Effect<ServerProcess, never, Scope.Scope>
  readonly address: string
  readonly databaseUrl: () => string
  readonly postmaster: () => number
  /** All processes that work in its directory and whose command line has the words. */
  readonly processes: (words: string) => ReadonlyArray<number>
}

export const account = "demo"
export const drainMsDefault = 4_000

/** Slow enough that every moment of a turn lasts, with fewer slots than people. */
const echo = { delayMs: 15, slots: 4 }
const settleMs = 80
const lateMs = 400
/** Longer than it takes to read the rows of a server that lives on: a send that has begun is seen as such. */
const slowMs = 120
const faults = { before: 0.2, after: 0.2, attemptsMax: 3 }
/** Below the ports that systems give to outgoing connections, and those of embedded databases. */
const ports = { first: 8_200, count: 6_000 }

/** Everything ends with the scope, and at the latest with the test. */
export const openWorld = Effect.fn("openWorld")(function* (
  options: WorldOptions
): Effect.fn.Return<World, never, Scope.Scope> {
  const { conversations, databaseUrl, model, sabotage, seed } = options
  const dir = freshDir()
  const dataDir = join(dir, ".parley")
  options.prepare?.(dataDir)
  const callback = yield* openCallbackServer({ secret, lateMs, slowMs, fateOf: planned({ ...faults, seed }) })
  const served = model === "echo" ? yield* modelServer : undefined
  writeFileSync(join(dir, "parley.yaml"), configOf(callback.url, served, options.drainMs ?? drainMsDefault))
  const port = yield* freePort(seed)
  const address = `http://127.0.0.1:${port}`
  const { HOME = "/", PATH = "" } = process.env
  const env = { HOME, PATH, PORT: String(port), DEMO_SECRET: secret, AI_DEBUG: "true" }
  const program = sabotage === undefined ? "src/main.ts" : "test/integration/sabotaged-server.ts"
  const spawned = {
    dir,
    program: join(checkoutDir, program),
    env: {
      ...env,
      ...(sabotage !== undefined && { PARLEY_SABOTAGE: sabotage }),
      ...(databaseUrl !== undefined && { DATABASE_URL: databaseUrl })
    }
  }
  const cluster = join(dataDir, "postgres")
  return {
    load: yield* openLoad({ url: `${address}/api/webhook/${account}`, secret, seed, conversations }),
    callback,
    echoing: () => (served === undefined ? [] : echoingOf(served)),
    isEcho: model === "echo",
    start: spawnServer(spawned),
    address,
    databaseUrl: () => {
      if (databaseUrl !== undefined) return databaseUrl
      const [password, database] = ["password", "port"].map((name) => readFileSync(join(cluster, name), "utf8").trim())
      return toUrl({ password: password!, port: Number(database) })
    },
    postmaster: () => postmasterPid(join(cluster, "data")),
    processes: (words) => processesIn(dir).filter((pid) => commandOf(pid).includes(words))
  }
})

const modelServer = Effect.acquireRelease(
  Effect.promise(() => startModelServer({ delayMs: echo.delayMs })),
  (server) => Effect.promise(server.close)
)

function echoingOf(model: ModelServer): ReadonlyArray<string> {
  const { requests } = model.stats()
  const streaming = requests.filter(
    ({ firstDeltaMs, outcome }) => outcome === "streaming" && firstDeltaMs !== undefined
  )
  return streaming.map(({ text }) => text.split(".", 1)[0]!)
}

function configOf(callback: string, model: ModelServer | undefined, drainMs: number): string {
  const lines = [
    `drainMs: ${drainMs}`,
    `limits: { answerTokensMax: ${model === undefined ? 48 : 4_000} }`,
    "channels:",
    `  - { kind: webhook, account: ${account}, secret: "\${DEMO_SECRET}", callback: "${callback}",`,
    `      policy: collect, settleMs: ${settleMs}, attemptsMax: 100 }`
  ]
  if (model !== undefined)
    lines.push("models:", `  - { engine: openai, baseUrl: "${model.url}", slots: ${echo.slots} }`)
  return `${lines.join("\n")}\n`
}

const freePort = Effect.fnUntraced(function* (seed: string) {
  const luck = luckOf(`${seed}/${process.pid}`)
  for (;;) {
    const port = ports.first + Math.floor(luck() * ports.count)
    if (yield* isFree(port)) return port
  }
})

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")
  } catch {
    return "" // it ended
  }
}
