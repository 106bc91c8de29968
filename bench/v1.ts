/**
 * The OpenAI API: how many replies a second it gives, and how much later than the model it says its first word.
 *
 *   node bench/v1.ts [--short]
 *
 * 500 sessions, each a connection with one request in flight, ask a model server that answers at once, in two deltas
 * and one write. The floor is floor-v1.ts, which does the same in 50 lines of node:http, asked by the same client.
 * Client, model server and the measured server share the cores; Parley is stopped (SIGSTOP) while the floor is
 * measured. With eight sessions nothing waits, and what is left is the overhead.
 */
import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { openCounterparts } from "./counterpart.ts"
import { atLeast, type Figure, median, print, quantile, tableOf } from "./figures.ts"
import { LeanClient } from "./lean-http.ts"
import { nowMs } from "./load.ts"
import { printPlace } from "./place.ts"
import { cpuMsOf } from "./process-stat.ts"
import { counterpartsConfig, openFolder, startParley } from "./world.ts"

const { short } = parseArgs({ options: { short: { type: "boolean", default: false } } }).values
const repetitions = short ? 1 : 5
const seconds = short ? 3 : 10
const many = 500
const few = 8
const deltas = 2
/** Or half of the floor, where that is less. */
const perSecondMin = 1_000

const manners = ["whole", "streamed"] as const
type Manner = (typeof manners)[number]

interface Side {
  readonly child: ChildProcess
  readonly port: number
  readonly seen: Record<Manner, Record<"perSecond" | "cpuMs" | "firstP50" | "firstP99", Array<number>>>
}

const side = (child: ChildProcess, port: number): Side => {
  const nothing = () => ({ perSecond: [], cpuMs: [], firstP50: [], firstP99: [] })
  return { child, port, seen: { whole: nothing(), streamed: nothing() } }
}

let asked = 0

function request(manner: Manner): Buffer {
  const content = `#${++asked}# How do I bring a washing machine to the second floor without taking it apart?`
  const messages = [
    { role: "system", content: "You are a helpful assistant." },
    { role: "user", content }
  ]
  const body = JSON.stringify({ model: "default", messages, ...(manner === "streamed" && { stream: true }) })
  const head = ["POST /v1/chat/completions HTTP/1.1", "host: 127.0.0.1", "content-type: application/json"]
  return Buffer.from([...head, `content-length: ${Buffer.byteLength(body)}`, "", body].join("\r\n"))
}

interface Seen {
  readonly replies: number
  /** From the request to the first bytes of its answer, which come with the first text. */
  readonly firstMs: ReadonlyArray<number>
}

/** Each session asks again as soon as it is answered. */
async function closedLoop(port: number, manner: Manner, sessions: number, lastMs: number): Promise<Seen> {
  const client = await LeanClient.open(port, sessions)
  const firstMs: Array<number> = []
  const untilMs = nowMs() + lastMs
  const session = () =>
    new Promise<void>((resolve, reject) => {
      const ask = () => {
        const sentMs = nowMs()
        if (sentMs >= untilMs) return resolve()
        client.send(
          request(manner),
          (status) => (status === 200 ? ask() : reject(new Error(`a request was answered ${status}`))),
          () => firstMs.push(nowMs() - sentMs)
        )
      }
      ask()
    })
  await Promise.all(Array.from({ length: sessions }, session))
  client.close()
  return { replies: firstMs.length, firstMs }
}

async function measure({ child, port, seen }: Side): Promise<void> {
  for (const manner of manners) {
    await closedLoop(port, manner, many, 2_000)
    const before = { atMs: nowMs(), cpuMs: cpuMsOf(child.pid!) }
    const { replies } = await closedLoop(port, manner, many, seconds * 1_000)
    seen[manner].perSecond.push((replies * 1_000) / (nowMs() - before.atMs))
    seen[manner].cpuMs.push((cpuMsOf(child.pid!) - before.cpuMs) / replies)
    const { firstMs } = await closedLoop(port, manner, few, (seconds * 1_000) / 2)
    seen[manner].firstP50.push(quantile(firstMs, 0.5))
    seen[manner].firstP99.push(quantile(firstMs, 0.99))
  }
}

function figures(parley: Side, floor: Side): ReadonlyArray<Figure> {
  return manners.flatMap((manner) => {
    const [ours, least] = [parley.seen[manner], floor.seen[manner]]
    const target = atLeast(Math.min(perSecondMin, Math.round(median(least.perSecond) / 2)))
    const first = `to the first bytes, ${manner}, ${few} sessions`
    return [
      {
        name: `replies/s, ${manner}, ${many} sessions`,
        unit: "/s",
        values: ours.perSecond,
        floor: least.perSecond,
        target
      },
      { name: `CPU a reply, ${manner}`, unit: "ms", values: ours.cpuMs, floor: least.cpuMs },
      { name: `${first}, p50`, unit: "ms", values: ours.firstP50, floor: least.firstP50 },
      { name: `${first}, p99`, unit: "ms", values: ours.firstP99, floor: least.firstP99 }
    ]
  })
}

async function main(): Promise<void> {
  using folder = openFolder()
  using stack = new DisposableStack()
  using counterparts = await openCounterparts(deltas)
  const { callbackPort, modelPort } = counterparts
  await using server = await startParley({
    folder: join(folder.path, "parley"),
    config: counterpartsConfig(modelPort, callbackPort)
  })
  const child = stack.adopt(
    fork(join(import.meta.dirname, "floor-v1.ts"), [String(modelPort)], { stdio: "inherit" }),
    (it) => void it.kill("SIGKILL")
  )
  const [{ port }] = (await once(child, "message")) as [{ readonly port: number }]
  const parley = side(server.child, server.port)
  const floor = side(child, port)

  await printPlace(`v1: ${repetitions} repetitions of ${seconds} s, answers in ${deltas} deltas`)
  for (let repetition = 1; repetition <= repetitions; repetition++) {
    const turns = [
      () => measure(parley),
      async () => {
        server.child.kill("SIGSTOP")
        await measure(floor)
        server.child.kill("SIGCONT")
      }
    ]
    for (const turn of repetition % 2 === 1 ? turns : turns.reverse()) await turn()
  }
  print(tableOf(figures(parley, floor)))
}

await main()
