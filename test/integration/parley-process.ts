/** Runs embedded-child.ts as its own process, to be killed in every way there is. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { chmodSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { createInterface } from "node:readline"
import { setTimeout as wait } from "node:timers/promises"
import pg from "pg"
import { afterAll, onTestFinished } from "vitest"
import { identify, kill, processesIn } from "../../src/store/process-identity.ts"

interface Line {
  readonly announced?: string
  readonly trouble?: string
  readonly url?: string
  readonly adopted?: boolean
  readonly pid?: number
  readonly results?: ReadonlyArray<string>
}

export interface Up {
  readonly url: string
  readonly adopted: boolean
  readonly pid: number
}

export interface ParleyProcess {
  readonly child: ChildProcess
  readonly lines: ReadonlyArray<Line>
  readonly stderr: () => string
  /** The first line that has it; fails when the process ends without. */
  readonly line: <K extends keyof Line>(key: K, has?: string) => Promise<Line & Record<K, NonNullable<Line[K]>>>
  readonly up: () => Promise<Up>
  readonly end: (signal: NodeJS.Signals) => Promise<void>
}

export interface Options {
  readonly env?: NodeJS.ProcessEnv
  readonly uid?: number
  readonly checkout?: string
  readonly detached?: boolean
}

export const isRoot = process.getuid?.() === 0
export const checkoutDir = realpathSync(join(import.meta.dirname, "../.."))

export function startParley(dataDir: string, options: Options = {}): ParleyProcess {
  return startProcess("embedded-child.ts", [dataDir], options)
}

export function startProcess(
  name: string,
  args: ReadonlyArray<string>,
  { checkout = checkoutDir, detached = false, env, uid }: Options = {}
): ParleyProcess {
  const account = uid === undefined ? {} : { uid, gid: uid }
  const program = join(checkout, "test/integration", name)
  const child = spawn(process.execPath, [program, ...args], { env: env ?? process.env, cwd: "/", detached, ...account })
  let stderr = ""
  child.stderr.setEncoding("utf8").on("data", (text) => {
    stderr += text
  })
  const lines: Array<Line> = []
  createInterface({ input: child.stdout }).on("line", (line) => {
    if (line.startsWith("{")) lines.push(JSON.parse(line)) // the rest is logged
  })
  const line: ParleyProcess["line"] = async (key, has = "") => {
    await until(() => lines.some((each) => String(each[key] ?? "").includes(has) && key in each) || !isAlive(child))
    const found = lines.find((each) => key in each && String(each[key]).includes(has))
    if (found === undefined) throw new Error(`no ${key}: ${JSON.stringify(lines)} ${stderr}`)
    return found as Awaited<ReturnType<typeof line<typeof key>>>
  }
  const end = async (signal: NodeJS.Signals) => {
    if (!isAlive(child)) return
    const closed = once(child, "close")
    child.kill(signal)
    await closed
  }
  onTestFinished(async () => {
    child.kill("SIGCONT")
    await end("SIGKILL")
  })
  return { child, lines, stderr: () => stderr, line, end, up: async () => (await line("url")) as Up }
}

/** A directory that every account may pass through; what runs in it at the end is killed. */
export function freshDir(): string {
  const dir = passableDir()
  onTestFinished(() => remove(dir))
  return dir
}

function passableDir(): string {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), "parley-it-")))
  chmodSync(dir, 0o755)
  return dir
}

export async function remove(dir: string) {
  await killPostgresUnder(dir)
  rmSync(dir, { recursive: true, force: true, maxRetries: 10 })
}

/**
 * A data directory with a cluster that was stopped: a copy of the file's first one, which spares it a second of
 * initdb.
 */
export async function usedDataDir(): Promise<string> {
  template ??= makeTemplate()
  const dataDir = join(freshDir(), "data")
  execFileSync("cp", ["-a", await template, dataDir])
  return dataDir
}

let template: Promise<string> | undefined
afterAll(async () => {
  if (template !== undefined) await remove(dirname(await template))
})

async function makeTemplate(): Promise<string> {
  const dataDir = join(passableDir(), "data")
  const parley = startParley(dataDir)
  await parley.up()
  await parley.end("SIGTERM")
  return dataDir
}

export async function killPostgresUnder(dir: string) {
  for (const pid of processesIn(dir)) kill(pid)
  await until(() => processesIn(dir).length === 0)
}

export async function until(isSo: () => boolean | Promise<boolean>, maxMs = 25_000) {
  const giveUp = performance.now() + maxMs
  while (!(await isSo())) {
    if (performance.now() > giveUp) throw new Error(`not within ${maxMs} ms: ${isSo}`)
    await wait(10)
  }
}

export const isGone = (pid: number) => identify(pid) === undefined

export async function sql(url: string, text: string): Promise<ReadonlyArray<Record<string, unknown>>> {
  const client = new pg.Client({ connectionString: url, ssl: false, connectionTimeoutMillis: 3_000 })
  client.on("error", () => {})
  try {
    await client.connect()
    return (await client.query(text)).rows
  } finally {
    await client.end().catch(() => {})
  }
}

export const answers = (url: string) =>
  sql(url, "select 1").then(
    () => true,
    () => false
  )

export const postmasterPid = (data: string) => Number(readFileSync(join(data, "postmaster.pid"), "utf8").split("\n")[0])

export const portOf = (url: string) => Number(new URL(url).port)

const isAlive = (child: ChildProcess) => child.exitCode === null && child.signalCode === null
