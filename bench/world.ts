/** PostgreSQL as Parley runs it, in a folder that is gone afterwards, and Parley as an operator starts it. */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { Effect, Exit, Scope } from "effect"
import { open } from "../src/store/embedded.ts"
import { account, secret } from "./load.ts"
import { query, root } from "./place.ts"

// What the program leaves when it dies is ended by the handlers of `exit`.
process.once("SIGINT", () => process.exit(130))
process.once("SIGTERM", () => process.exit(143))

/** A folder that every account may pass through: PostgreSQL never runs as root. */
export function openFolder(): Disposable & { readonly path: string } {
  const path = realpathSync(mkdtempSync(join(tmpdir(), "parley-bench-")))
  chmodSync(path, 0o755)
  const remove = () => rmSync(path, { recursive: true, force: true, maxRetries: 10 })
  process.once("exit", remove)
  return { path, [Symbol.dispose]: remove }
}

export interface Postgres extends AsyncDisposable {
  readonly url: string
  readonly pid: number
  /** The URL of another, empty database of the same server. */
  readonly another: (name: string) => Promise<string>
}

export async function openPostgres(folder: string): Promise<Postgres> {
  const scope = Scope.makeUnsafe()
  const opening = open({ dataDir: join(folder, "data"), announce: () => Effect.void })
  const opened = await Effect.runPromise(Effect.provideService(opening, Scope.Scope, scope))
  const { url } = opened
  const pid = (await Effect.runPromise(opened.pid)) ?? 0
  const abandon = () => process.kill(pid, "SIGQUIT")
  process.once("exit", abandon)
  return {
    url,
    pid,
    another: async (name) => {
      await query(url, `create database ${name}`)
      return url.replace(/[^/]*$/, name)
    },
    [Symbol.asyncDispose]: async () => {
      process.off("exit", abandon)
      await Effect.runPromise(Scope.close(scope, Exit.void))
    }
  }
}

export interface ParleyOptions {
  /** Its working directory, made when it is not there. */
  readonly folder: string
  /** What parley.yaml says. */
  readonly config: string
  /** Without one it runs its own. */
  readonly databaseUrl?: string
  /** For node itself, before the program. */
  readonly nodeFlags?: ReadonlyArray<string>
}

export interface Parley extends AsyncDisposable {
  readonly pid: number
  readonly port: number
  readonly child: ChildProcess
  /** From its spawning until it said that it is ready. */
  readonly readyMs: number
}

const ready = /Parley is ready: http:\/\/[^"\s]+:(\d+)/
const slots = 64

/** A webhook channel whose answers go to one port, and a model server at another. */
export function counterpartsConfig(modelPort: number, callbackPort: number): string {
  const channel = `{ kind: webhook, account: ${account}, secret: "${secret}", callback: "http://127.0.0.1:${callbackPort}/" }`
  const model = `{ engine: openai, baseUrl: "http://127.0.0.1:${modelPort}/v1", slots: ${slots} }`
  return `channels:\n  - ${channel}\nmodels:\n  - ${model}\n`
}

export async function startParley(options: ParleyOptions): Promise<Parley> {
  const { config, databaseUrl, folder, nodeFlags = [] } = options
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, "parley.yaml"), config)
  const spawnedMs = performance.now()
  const child = spawn(process.execPath, [...nodeFlags, join(root, "src/main.ts"), "start"], {
    cwd: folder,
    env: { PATH: process.env["PATH"], PORT: "0", ...(databaseUrl !== undefined && { DATABASE_URL: databaseUrl }) },
    stdio: ["ignore", "pipe", "inherit", "ipc"]
  })
  const closed = once(child, "close")
  const abandon = () => child.kill("SIGKILL")
  process.once("exit", abandon)
  const lines: Array<string> = []
  const port = await new Promise<number>((resolve, reject) => {
    createInterface({ input: child.stdout! }).on("line", (line) => {
      const found = ready.exec(line)?.[1]
      if (found !== undefined) resolve(Number(found))
      else if (lines.length < 100) lines.push(line)
    })
    child.once("exit", () => reject(new Error(`Parley ended:\n${lines.join("\n")}`)))
  })
  return {
    pid: child.pid!,
    port,
    child,
    readyMs: performance.now() - spawnedMs,
    [Symbol.asyncDispose]: async () => {
      process.off("exit", abandon)
      child.kill("SIGTERM")
      child.kill("SIGCONT")
      await closed
    }
  }
}
