/**
 * One user asks for a hundred times as much as each of nine others: what the nine wait, beside llama-server's queue.
 *
 *   node bench/shares.ts [--short]
 *
 * Ten slots of a random model of the shape of SmolLM2-135M. A light user has one request at a time and thinks for up
 * to half a second in between; the heavy one always has a hundred. Three loads in turn: the nine alone; ten light
 * users, so that each has his share of a machine that is busy; nine light ones and the heavy one. Ours is the scheduler
 * itself over a worker process, since all of /v1 is one user; llama-server, which knows no users, is asked over HTTP.
 */
import { availableParallelism } from "node:os"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { parseArgs } from "node:util"
import { Effect, Exit, Layer, Scope, Stream } from "effect"
import { shapeOf135M, writeRandomModel } from "../models/random-model.ts"
import { openLlama } from "../src/inference/llama.ts"
import { InferenceScheduler, layer } from "../src/inference/scheduler.ts"
import { luckOf } from "../test/integration/seeded.ts"
import { openChatClient } from "./chat-client.ts"
import { atLeast, type Figure, print, quantile, ratioAtMost, tableOf } from "./figures.ts"
import { startLlamaServer } from "./llama-server.ts"
import { nowMs } from "./load.ts"
import { printPlace } from "./place.ts"
import { sentence } from "./sentence.ts"
import { jainIndex } from "./simulation.ts"
import { openFolder } from "./world.ts"

const { short } = parseArgs({ options: { short: { type: "boolean", default: false } } }).values
const repetitions = short ? 1 : 5
const slots = 10
const light = 9
const heavyRequests = 100
const thinkMaxMs = 500
const seconds = short ? 6 : 20
const contextTokens = 512
const answerTokensMax = 32

/** Asks, and tells when the first text comes; resolves to the tokens of the answer. */
type Ask = (user: string, prompt: string, onFirst: () => void) => Promise<number>

interface Load {
  readonly light: number
  readonly heavy: number
}

const loads = {
  alone: { light, heavy: 0 },
  shared: { light: light + 1, heavy: 0 },
  crowded: { light, heavy: heavyRequests }
} satisfies Record<string, Load>
type LoadName = keyof typeof loads

interface Seen {
  /** Of the light users. */
  readonly firstMs: ReadonlyArray<number>
  /** Answer tokens, by user; the heavy one is the last. */
  readonly served: ReadonlyArray<number>
}

async function measured(ask: Ask, { heavy, light }: Load): Promise<Seen> {
  const untilMs = nowMs() + seconds * 1_000
  const firstMs: Array<number> = []
  const served = Array.from({ length: light + (heavy > 0 ? 1 : 0) }, () => 0)
  const one = async (user: number, thinkMs: number, seed: string) => {
    const luck = luckOf(seed)
    const prompt = () => sentence(luck, 24)
    for (;;) {
      await setTimeout(luck() * thinkMs)
      const askedMs = nowMs()
      if (askedMs >= untilMs) return
      const tokens = await ask(`${user}`, `${seed} ${prompt()}`, () => {
        if (user < light) firstMs.push(nowMs() - askedMs)
      })
      if (nowMs() <= untilMs) served[user]! += tokens
    }
  }
  await Promise.all([
    ...Array.from({ length: light }, (_, user) => one(user, thinkMaxMs, `light ${user}`)),
    ...Array.from({ length: heavy }, (_, nth) => one(light, 0, `heavy ${nth}`))
  ])
  return { firstMs, served }
}

const openScheduler = Effect.fnUntraced(function* (file: string) {
  const limits = { slotsMax: slots, contextTokens, progressMaxMs: 30_000, loadMaxMs: 60_000 }
  const engine = yield* openLlama({ name: "bench", file, ...limits })
  const built = yield* Layer.build(layer({ engine, queueMax: 1_000, queueTokensMax: 2_000_000 }))
  return yield* Effect.provideContext(InferenceScheduler, built)
})

let asked = 0

function asking({ infer }: InferenceScheduler["Service"]): Ask {
  return async (user, content, onFirst) => {
    let isFirst = true
    let tokens = 0
    const request = { id: `${++asked}`, user, messages: [{ role: "user" as const, content }], answerTokensMax }
    const signals = infer({ ...request, temperature: 0.7, topK: 40, stop: [], firstAttempt: 1 })
    await Effect.runPromise(
      Stream.runForEach(signals, (signal) =>
        Effect.sync(() => {
          if (signal.type === "text" && isFirst) {
            isFirst = false
            onFirst()
          } else if (signal.type === "finished") tokens = signal.usage.answerTokens
        })
      )
    )
    return tokens
  }
}

function askingOverHttp(port: number): Ask {
  const client = openChatClient(port, "bench")
  return async (_user, content, onFirst) => {
    const { answerTokens } = await client.ask({ messages: [{ role: "user", content }], answerTokensMax, onFirst })
    return answerTokens
  }
}

/** What each was served of his tenth; who was served more has had his share. */
function fairness({ served }: Seen): number {
  const share = served.reduce((sum, tokens) => sum + tokens, 0) / served.length
  return jainIndex(served.map((tokens) => Math.min(1, tokens / share)))
}

async function main(): Promise<void> {
  using folder = openFolder()
  const file = join(folder.path, "bench.gguf")
  await writeRandomModel(file, shapeOf135M)
  await printPlace(`shares: ${repetitions} repetitions of ${seconds} s`)
  const seen = { ours: [], theirs: [] } as Record<"ours" | "theirs", Array<Record<LoadName, Seen>>>
  const measureAll = async (ask: Ask) => {
    const all = {} as Record<LoadName, Seen>
    for (const name of Object.keys(loads) as Array<LoadName>) all[name] = await measured(ask, loads[name])
    return all
  }
  for (let repetition = 0; repetition < repetitions; repetition++) {
    const scope = Scope.makeUnsafe()
    const scheduler = await Effect.runPromise(Scope.provide(openScheduler(file), scope))
    seen.ours.push(await measureAll(asking(scheduler)))
    await Effect.runPromise(Scope.close(scope, Exit.void))
    await using peer = await startLlamaServer({ file, slots, contextTokens, threads: availableParallelism() })
    seen.theirs.push(await measureAll(askingOverHttp(peer.port)))
  }
  const p99 = (who: "ours" | "theirs", load: LoadName) => seen[who].map((all) => quantile(all[load].firstMs, 0.99))
  const figures: ReadonlyArray<Figure> = [
    { name: "first text p99, nine light users alone", unit: "ms", values: p99("ours", "alone") },
    { name: "the same beside one of a hundred", unit: "ms", values: p99("ours", "crowded") },
    {
      name: "that, against ten light users",
      unit: "ms",
      values: p99("ours", "crowded"),
      floor: p99("ours", "shared"),
      target: ratioAtMost(1.5)
    },
    {
      name: "that, against llama-server",
      unit: "ms",
      values: p99("ours", "crowded"),
      floor: p99("theirs", "crowded")
    },
    {
      name: "Jain's index of the shares",
      unit: "",
      values: seen.ours.map(({ crowded }) => fairness(crowded)),
      floor: seen.theirs.map(({ crowded }) => fairness(crowded)),
      target: atLeast(0.95)
    }
  ]
  print(tableOf(figures))
}

await main()
