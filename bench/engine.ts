/**
 * Tokens a second of one model, by how many ask at once: Parley beside llama-server and node-llama-cpp's own sessions.
 *
 *   node bench/engine.ts [--short] [--repetitions 5] [--model FILE] [--charts FOLDER]
 *
 * All three have the same file, the same libraries of llama.cpp and the same samplers; the servers are asked by one
 * client over HTTP, which shares the cores. llama-server is measured with each number of threads, and at every number
 * of clients the better one counts. A prompt is new from its first word on, so that no cache helps; an answer ends
 * where it is cut off. The sides take turns, and the idle ones are stopped (SIGSTOP).
 */
import type { ChildProcess } from "node:child_process"
import { writeFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { shapeOf135M, writeRandomModel } from "../models/random-model.ts"
import { luckOf } from "../test/integration/seeded.ts"
import { chartOf } from "./chart.ts"
import { openChatClient } from "./chat-client.ts"
import { atLeast, type Figure, median, print, quantile, rounded, tableOf } from "./figures.ts"
import { startLlamaServer } from "./llama-server.ts"
import { nowMs } from "./load.ts"
import { printPlace } from "./place.ts"
import { sentence } from "./sentence.ts"
import { askSessions } from "./sessions.ts"
import { openFolder, startParley } from "./world.ts"

const { charts, model, short, ...values } = parseArgs({
  options: {
    short: { type: "boolean", default: false },
    repetitions: { type: "string", default: "5" },
    model: { type: "string" },
    charts: { type: "string" }
  }
}).values
const repetitions = short ? 1 : Number(values.repetitions)
const counts = short ? [1, 8] : [1, 4, 8, 16, 32, 64]
const slots = Math.max(...counts)
const sessionsAt = 32
/** Long enough for the first prompts, which they read one after another. */
const sessionSeconds = 15
const seconds = short ? 2 : 4
const contextTokens = 512
const promptWords = 48
const answerTokensMax = 64

interface Side {
  readonly name: string
  readonly port: number
  readonly child: ChildProcess
  readonly seen: Map<number, Array<Seen>>
}

interface Seen {
  readonly perSecond: number
  /** From a request to its first text. */
  readonly firstP50: number
  readonly firstP99: number
}

const luck = luckOf("engine")

const prompt = () => sentence(luck, promptWords)

/** Answer tokens a second of so many clients, each of whom asks again as soon as it is answered. */
async function measured({ port }: Side, clients: number): Promise<Seen> {
  const client = openChatClient(port, "bench")
  const startedMs = nowMs()
  const untilMs = startedMs + seconds * 1_000
  const firstMs: Array<number> = []
  let tokens = 0
  const one = async (nth: number) => {
    // The last answers are whole: a side is not charged for what it would have begun.
    do {
      const messages = [{ role: "user" as const, content: `${nth} ${prompt()}` }]
      const told = await client.ask({ messages, answerTokensMax })
      if (told.status !== 200) throw new Error(`a request was answered ${told.status}`)
      tokens += told.answerTokens
      firstMs.push(told.firstMs)
    } while (nowMs() < untilMs)
  }
  await Promise.all(Array.from({ length: clients }, (_, nth) => one(nth)))
  client.close()
  const perSecond = (tokens * 1_000) / (nowMs() - startedMs)
  return { perSecond, firstP50: quantile(firstMs, 0.5), firstP99: quantile(firstMs, 0.99) }
}

async function takeTurns(sides: ReadonlyArray<Side>, repetition: number): Promise<void> {
  for (const clients of counts) {
    for (const side of repetition % 2 === 0 ? sides : sides.toReversed()) {
      side.child.kill("SIGCONT")
      side.seen.set(clients, [...(side.seen.get(clients) ?? []), await measured(side, clients)])
      side.child.kill("SIGSTOP")
    }
  }
}

function geometricMean(values: ReadonlyArray<number>): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length)
}

function report(parley: Side, peers: ReadonlyArray<Side>, sessions: ReadonlyArray<number>): void {
  const at = (side: Side, clients: number) => valuesOf(side, clients, "perSecond")
  const bestOf = (clients: number) =>
    peers.map((peer) => at(peer, clients)).toSorted((a, b) => median(b) - median(a))[0] ?? []
  const figures = counts.map((clients): Figure => {
    const limit = clients === 64 ? 1.05 : 0.9
    const target = { of: "ratio", bound: "at least", limit } as const
    return { name: `${clients} clients`, unit: "tokens/s", values: at(parley, clients), floor: bestOf(clients), target }
  })
  const ratios = counts.map((clients) => median(at(parley, clients)) / median(bestOf(clients)))
  figures.push({ name: "geometric mean of the ratios", unit: "×", values: [geometricMean(ratios)], target: atLeast(1) })
  if (sessions.length > 0) {
    const target = { of: "ratio", bound: "at least", limit: 5 } as const
    const name = `${sessionsAt} clients, against chat sessions of node-llama-cpp`
    figures.push({ name, unit: "tokens/s", values: at(parley, sessionsAt), floor: sessions, target })
  }
  print(tableOf(figures))
  for (const peer of peers) {
    print(`${peer.name}: ${counts.map((clients) => `${clients}: ${rounded(median(at(peer, clients)))}`).join(", ")}`)
  }
}

const valuesOf = ({ seen }: Side, clients: number, of: keyof Seen) => (seen.get(clients) ?? []).map((one) => one[of])

function draw(folder: string, sides: ReadonlyArray<Side>): void {
  const lines = (of: keyof Seen) =>
    sides.map((side) => ({ name: side.name, values: counts.map((clients) => median(valuesOf(side, clients, of))) }))
  const common = { x: "people who ask at once", marks: counts.map(String) }
  const throughput = { title: "Tokens a second from one model", y: "tokens/s", lines: lines("perSecond") }
  const first = { title: "From a question to the first text, 99th percentile", y: "ms", lines: lines("firstP99") }
  writeFileSync(join(folder, "throughput.svg"), chartOf({ ...common, ...throughput }))
  writeFileSync(join(folder, "first-text.svg"), chartOf({ ...common, ...first }))
}

async function main(): Promise<void> {
  using folder = openFolder()
  const file = model ?? join(folder.path, "bench.gguf")
  if (model === undefined) await writeRandomModel(file, shapeOf135M)
  const config = `models: [{ name: bench, engine: llama, file: "${file}", slots: ${slots}, contextTokens: ${contextTokens} }]\n`
  await using parley = await startParley({ folder: join(folder.path, "parley"), config })
  const options = { file, slots, contextTokens }
  await using one = await startLlamaServer({ ...options, threads: 1 })
  await using all = await startLlamaServer({ ...options, threads: availableParallelism() })
  const side = (name: string, { child, port }: { child: ChildProcess; port: number }): Side => {
    return { name, port, child, seen: new Map() }
  }
  const peers = [side("llama-server, 1 thread", one), side(`llama-server, ${availableParallelism()} threads`, all)]
  const sides = [side("Parley", parley), ...peers]
  const sessions: Array<number> = []

  await printPlace(
    `engine: ${repetitions} repetitions of ${seconds} s, prompts of ${promptWords} words, answers of ${answerTokensMax} tokens`
  )
  for (const side of sides) {
    await measured(side, 1)
    side.child.kill("SIGSTOP")
  }
  for (let repetition = 0; repetition < repetitions; repetition++) {
    await takeTurns(sides, repetition)
    if (!counts.includes(sessionsAt)) continue
    const common = { file, contextTokens, answerTokensMax, prompt }
    sessions.push(await askSessions({ ...common, people: sessionsAt, seconds: sessionSeconds }))
  }
  report(sides[0]!, peers, sessions)
  if (charts !== undefined) draw(charts, sides)
}

await main()
