/**
 * Words on their way to pages: how many frames a second, how late they are, and what an open page weighs.
 *
 *   node bench/ws.ts [--short]
 *
 * The floor is `ws` alone, which sends the same frames to the same pages; it knows nothing of conversations. Pages are
 * connections of this process. Frames go out as fast as they are taken, then at a steady rate, each with the time at
 * which it was said.
 */
import { type ChildProcess, fork } from "node:child_process"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { WebSocket } from "ws"
import { atMost, type Figure, print, quantile, tableOf } from "./figures.ts"
import { nowMs } from "./load.ts"
import { printPlace, root } from "./place.ts"
import type { Order, Report } from "./ws-server.ts"

const { short } = parseArgs({ options: { short: { type: "boolean", default: false } } }).values
const repetitions = short ? 1 : 5
const seconds = short ? 1 : 3
const idle = short ? 500 : 5_000
const crowds = [1, 100, 1_000]
/** Over all pages: what a model of a thousand tokens a second would need five of. */
const steadyPerSecond = 5_000

type Kind = "parley" | "bare"

class Peer {
  readonly #child: ChildProcess
  #port = 0
  pages: Array<WebSocket> = []
  frames = 0
  /** Of each frame of a steady phase, from when it was said. */
  lateMs: Array<number> | undefined

  constructor(kind: Kind) {
    this.#child = fork(join(root, "bench/ws-server.ts"), [kind])
  }

  async open(): Promise<void> {
    this.#port = (await this.#hear("listening")).port
  }

  /** All pages have been welcomed. */
  async connect(count: number): Promise<void> {
    while (this.pages.length < count) {
      const batch = Array.from({ length: Math.min(200, count - this.pages.length) }, () => this.#page())
      this.pages.push(...(await Promise.all(batch)))
    }
  }

  async leave(): Promise<void> {
    for (const page of this.pages.splice(0)) page.terminate()
    await new Promise((resolve) => setTimeout(resolve, 200))
  }

  async order<T extends Report["type"]>(order: Order, answer: T): Promise<Extract<Report, { type: T }>> {
    this.#child.send(order)
    return this.#hear(answer)
  }

  close(): void {
    this.#child.disconnect()
  }

  #hear<T extends Report["type"]>(type: T): Promise<Extract<Report, { type: T }>> {
    return new Promise((resolve, reject) => {
      const hear = (report: Report) => {
        if (report.type !== type) return
        this.#child.off("message", hear)
        resolve(report as Extract<Report, { type: T }>)
      }
      this.#child.on("message", hear)
      this.#child.once("exit", () => reject(new Error("the server has ended")))
    })
  }

  #page(): Promise<WebSocket> {
    const page = new WebSocket(`ws://127.0.0.1:${this.#port}/ws`, { perMessageDeflate: false })
    return new Promise((resolve, reject) => {
      page.once("open", () => page.send('{"type":"hello"}'))
      page.once("message", () => {
        resolve(page)
        page.on("message", (data: Buffer) => this.#count(data))
      })
      page.once("error", reject)
    })
  }

  #count(data: Buffer): void {
    this.frames++
    if (this.lateMs === undefined) return
    const said = / token ([\d.]+) /.exec(String(data))?.[1]
    if (said !== undefined) this.lateMs.push(nowMs() - Number(said))
  }
}

const figures: Array<Figure> = []
const listOf = (name: string, unit: string, more: Partial<Figure> = {}) => {
  const values: Array<number> = []
  const floor: Array<number> = []
  figures.push({ name, unit, values, floor, ...more })
  return { parley: values, bare: floor }
}
/** No model says more than 200 tokens a second to one page. */
const steadyOf = (count: number) => Math.min(steadyPerSecond, count * 200)
const ratioAtLeast = { of: "ratio" as const, bound: "at least" as const, limit: 0.7 }

const perCrowd = crowds.map((count) => ({
  count,
  rate: listOf(`frames/s to ${count} pages (floor: ws alone)`, "/s", { target: ratioAtLeast }),
  cpu: listOf(`server's CPU a frame, ${count} pages`, "µs"),
  p99: listOf(`late at ${steadyOf(count)} frames/s to ${count} pages, p99`, "ms")
}))
const added: Array<Figure> = perCrowd.map(({ count, p99 }) => ({
  name: `of it added by Parley, ${count} pages`,
  unit: "ms",
  values: p99.parley,
  target: atMost(5)
}))
const weight = listOf("resident memory of an open page", "kB")

async function crowd(peer: Peer, kind: Kind, { count, cpu, p99, rate }: (typeof perCrowd)[number]): Promise<void> {
  await peer.connect(count)
  await peer.order({ type: "say", seconds: 0.5 }, "said")
  const startMs = nowMs()
  peer.frames = 0
  const { cpuMs } = await peer.order({ type: "say", seconds }, "said")
  rate[kind].push((peer.frames * 1_000) / (nowMs() - startMs))
  cpu[kind].push((cpuMs * 1_000) / peer.frames)
  peer.lateMs = []
  await peer.order({ type: "say", seconds, perSecond: steadyOf(count) }, "said")
  p99[kind].push(quantile(peer.lateMs, 0.99))
  peer.lateMs = undefined
  await peer.leave()
}

async function weigh(peer: Peer, kind: Kind): Promise<void> {
  const { rssBytes: before } = await peer.order({ type: "weigh" }, "weighed")
  await peer.connect(idle)
  const { rssBytes: after } = await peer.order({ type: "weigh" }, "weighed")
  weight[kind].push((after - before) / 1024 / idle)
  await peer.leave()
}

await printPlace(`ws: ${repetitions} repetitions of ${seconds} s, ${idle} idle pages`)
for (let repetition = 0; repetition < repetitions; repetition++) {
  for (const kind of repetition % 2 === 0 ? (["bare", "parley"] as const) : (["parley", "bare"] as const)) {
    const fresh = new Peer(kind)
    await fresh.open()
    await weigh(fresh, kind)
    fresh.close()
    const peer = new Peer(kind)
    await peer.open()
    for (const one of perCrowd) await crowd(peer, kind, one)
    peer.close()
  }
}
const difference = added.map((figure, index) => {
  const { bare, parley } = perCrowd[index]!.p99
  return { ...figure, values: parley.map((value, repetition) => value - bare[repetition]!) }
})
const weighed: Figure = {
  name: `resident memory of each of ${idle} open pages`,
  unit: "kB",
  values: weight.parley,
  floor: weight.bare,
  target: atMost(25)
}
print(tableOf([...figures.slice(0, -1), ...difference, weighed]))
