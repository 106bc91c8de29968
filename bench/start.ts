/**
 * How long an operator waits: from the spawn of `parley start`, without a model of its own, until an event is accepted.
 *
 *   node bench/start.ts [--short]
 *
 * First start: an empty data directory. Later start: after a SIGTERM. Adopted: after a kill -9, when PostgreSQL lives
 * on. The floor is node with the least HTTP server, from its spawn until it answers.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { request } from "node:http"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { setTimeout as wait } from "node:timers/promises"
import { parseArgs } from "node:util"
import { openCounterparts } from "./counterpart.ts"
import { atMost, type Figure, print, tableOf } from "./figures.ts"
import { LeanClient } from "./lean-http.ts"
import { requestOf } from "./load.ts"
import { printPlace } from "./place.ts"
import { cpuMsOf, residentMbOf } from "./process-stat.ts"
import { counterpartsConfig, openFolder, type ParleyOptions, startParley } from "./world.ts"

const { short } = parseArgs({ options: { short: { type: "boolean", default: false } } }).values
const repetitions = short ? 1 : 5

interface Started {
  readonly acceptedMs: number
  readonly cpuMs: number
  readonly rssMb: number
}

let number = 1

/** Starts it, and ends it as told. */
async function start(options: ParleyOptions, end: NodeJS.Signals): Promise<Started> {
  await using parley = await startParley(options)
  const readyAtMs = performance.now()
  const client = await LeanClient.open(parley.port, 1)
  const status = await new Promise<number>((resolve) =>
    client.send(requestOf({ number: number++, thread: "first" }), resolve)
  )
  if (status !== 202) throw new Error(`the first event was answered ${status}`)
  const acceptedMs = parley.readyMs + performance.now() - readyAtMs
  const started = { acceptedMs, cpuMs: cpuMsOf(parley.pid), rssMb: residentMbOf(parley.pid).all }
  client.close()
  if (end === "SIGKILL") {
    const ended = once(parley.child, "exit")
    parley.child.kill(end)
    await ended
  }
  return started
}

const bare = `
  import { createServer } from "node:http"
  const server = createServer((_, response) => response.end())
  server.listen(0, "127.0.0.1", () => process.stdout.write(server.address().port + "\\n"))`

async function startBare(): Promise<number> {
  const spawnedMs = performance.now()
  const child: ChildProcess = spawn(process.execPath, ["--input-type=module", "--eval", bare])
  const [port] = (await once(createInterface({ input: child.stdout! }), "line")) as [string]
  await new Promise((resolve, reject) => request({ port, host: "127.0.0.1" }, resolve).on("error", reject).end())
  const ms = performance.now() - spawnedMs
  child.kill("SIGKILL")
  return ms
}

async function main(): Promise<void> {
  using folder = openFolder()
  using counterparts = await openCounterparts()
  await printPlace(`start: ${repetitions} repetitions`)
  const seen = { first: [], later: [], adopted: [], bare: [], cpu: [], rss: [] } as Record<string, Array<number>>
  for (let repetition = 1; repetition <= repetitions; repetition++) {
    const options: ParleyOptions = {
      folder: join(folder.path, String(repetition)),
      config: counterpartsConfig(counterparts.modelPort, counterparts.callbackPort)
    }
    seen["bare"]!.push(await startBare())
    seen["first"]!.push((await start(options, "SIGTERM")).acceptedMs)
    seen["later"]!.push((await start(options, "SIGKILL")).acceptedMs)
    const { acceptedMs, cpuMs, rssMb } = await start(options, "SIGKILL")
    seen["adopted"]!.push(acceptedMs)
    seen["cpu"]!.push(cpuMs)
    seen["rss"]!.push(rssMb)
    const data = join(options.folder, ".parley/postgres/data/postmaster.pid")
    process.kill(Number(readFileSync(data, "utf8").split("\n")[0]), "SIGQUIT")
    await wait(500)
  }
  const floor = seen["bare"]!
  const lines: ReadonlyArray<Figure> = [
    { name: "first start (floor: bare node:http)", unit: "ms", values: seen["first"]!, floor },
    { name: "later start", unit: "ms", values: seen["later"]!, floor, target: atMost(5_000) },
    { name: "start that adopts PostgreSQL", unit: "ms", values: seen["adopted"]!, floor, target: atMost(1_000) },
    { name: "Parley's CPU until then", unit: "ms", values: seen["cpu"]! },
    { name: "resident memory then", unit: "MB", values: seen["rss"]!, target: atMost(150) }
  ]
  print(tableOf(lines))
}

await main()
