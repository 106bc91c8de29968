/**
 * 64 people who talk, over eight slots: how many replies a second come soon enough, beside llama-server.
 *
 *   node bench/conversations.ts [--short] [--model FILE]
 *
 * A conversation has six turns and a system prompt of about 200 tokens that all share; between a reply and the next
 * message a person thinks for 0 to 2 s; then somebody else begins. A reply is good when its first text came within 2 s
 * and its others within 100 ms a token: these bounds were set before anything was tuned. llama-server runs with its
 * defaults, so many slots, and as many threads as there are cores; its cache of prompts in memory is on.
 * Without --model: the built-in guide, then a random model of the shape of SmolLM2-135M.
 */
import { availableParallelism } from "node:os"
import { basename, join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { parseArgs } from "node:util"
import { shapeOf135M, writeRandomModel } from "../models/random-model.ts"
import { builtIn } from "../src/inference/models.ts"
import { luckOf } from "../test/integration/seeded.ts"
import { type ChatClient, type ChatMessage, openChatClient, type Told } from "./chat-client.ts"
import { type Figure, print, quantile, tableOf } from "./figures.ts"
import { startLlamaServer } from "./llama-server.ts"
import { nowMs } from "./load.ts"
import { printPlace } from "./place.ts"
import { sentence } from "./sentence.ts"
import { openFolder, startParley } from "./world.ts"

const { model, short } = parseArgs({
  options: { short: { type: "boolean", default: false }, model: { type: "string" } }
}).values
const repetitions = short ? 1 : 5
const people = 64
const slots = 8
const turns = 6
const thinkMaxMs = 2_000
const contextTokens = 1_024
const answerTokensMax = 32
const warmUpMs = short ? 3_000 : 8_000
const measuredMs = short ? 8_000 : 24_000
const good = { firstMs: 2_000, tokenMs: 100 }

const system: ChatMessage = { role: "system", content: sentence(luckOf("system"), 190) }

interface Seen {
  readonly good: number
  readonly firstP50: number
  readonly firstP99: number
}

/** One person after another, until `untilMs`. */
async function converse(client: ChatClient, person: number, untilMs: number, onReply: (told: Told) => void) {
  const luck = luckOf(`person ${person}`)
  for (let nth = 0; nowMs() < untilMs; nth++) {
    const messages: Array<ChatMessage> = [system]
    for (let turn = 0; turn < turns; turn++) {
      await setTimeout(luck() * thinkMaxMs)
      if (nowMs() >= untilMs) return
      messages.push({ role: "user", content: `${person} ${nth} ${sentence(luck, 20)}` })
      const told = await client.ask({ messages, answerTokensMax, user: `${person}` })
      messages.push({ role: "assistant", content: told.text })
      onReply(told)
    }
  }
}

async function measured(port: number): Promise<Seen> {
  const client = openChatClient(port, "bench")
  const fromMs = nowMs() + warmUpMs
  const untilMs = fromMs + measuredMs
  const firstMs: Array<number> = []
  let goodReplies = 0
  const onReply = (told: Told) => {
    const atMs = nowMs()
    if (atMs < fromMs || atMs > untilMs) return
    const isAnswered = told.status === 200 && told.answerTokens > 0
    firstMs.push(isAnswered ? told.firstMs : Number.POSITIVE_INFINITY)
    const isFluent = told.restMs / Math.max(1, told.answerTokens - 1) <= good.tokenMs
    if (isAnswered && told.firstMs <= good.firstMs && isFluent) goodReplies++
  }
  await Promise.all(Array.from({ length: people }, (_, person) => converse(client, person, untilMs, onReply)))
  client.close()
  return {
    good: (goodReplies * 1_000) / measuredMs,
    firstP50: quantile(firstMs, 0.5),
    firstP99: quantile(firstMs, 0.99)
  }
}

async function compare(file: string): Promise<void> {
  using folder = openFolder()
  const seen: Record<"parley" | "peer", Array<Seen>> = { parley: [], peer: [] }
  const config = `models: [{ name: bench, engine: llama, file: "${file}", slots: ${slots}, contextTokens: ${contextTokens} }]\n`
  const sides = {
    parley: () => startParley({ folder: join(folder.path, `parley-${nowMs()}`), config }),
    peer: () => startLlamaServer({ file, slots, contextTokens, threads: availableParallelism() })
  }
  await printPlace(`conversations, ${basename(file)}: ${repetitions} repetitions of ${measuredMs / 1_000} s`)
  for (let repetition = 0; repetition < repetitions; repetition++) {
    for (const name of repetition % 2 === 0 ? (["parley", "peer"] as const) : (["peer", "parley"] as const)) {
      await using side = await sides[name]()
      seen[name].push(await measured(side.port))
    }
  }
  const figure = (name: string, unit: string, of: keyof Seen, target?: Figure["target"]): Figure => {
    const [values, floor] = [seen.parley.map((one) => one[of]), seen.peer.map((one) => one[of])]
    return { name, unit, values, floor, ...(target && { target }) }
  }
  print(
    tableOf([
      figure("good replies", "/s", "good", { of: "ratio", bound: "at least", limit: 1.3 }),
      figure("to the first text, p50", "ms", "firstP50"),
      figure("to the first text, p99", "ms", "firstP99", { of: "ratio", bound: "at most", limit: 0.5 })
    ])
  )
}

if (model === undefined) {
  await compare(builtIn.file)
  using folder = openFolder()
  const file = join(folder.path, "random-135M.gguf")
  await writeRandomModel(file, shapeOf135M)
  await compare(file)
} else await compare(model)
