/**
 * Ten times as many requests as the model can answer, for two minutes: whether Parley goes on answering as fast, says
 * so to everybody else, stays as small, and is itself again soon after.
 *
 *   node bench/overload.ts [--short]
 *
 * A random model of the shape of SmolLM2-135M with eight slots; 16 requests may wait, which is about as long as a
 * person waits for a first word. First the peak: as many requests in flight as there are slots. Then strangers come as
 * a Poisson process of ten times that rate, none of whom asks twice. Then one request at a time, until it is answered
 * as soon as one was before all this, or nearly.
 */
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { parseArgs } from "node:util"
import { shapeOf135M, writeRandomModel } from "../models/random-model.ts"
import { luckOf } from "../test/integration/seeded.ts"
import { type ChatClient, openChatClient, type Told } from "./chat-client.ts"
import { atMost, type Figure, median, print, tableOf } from "./figures.ts"
import { instrumentFlags, loopDelayDuring } from "./instrument.ts"
import { arrivals, nowMs } from "./load.ts"
import { printPlace } from "./place.ts"
import { residentMbOf } from "./process-stat.ts"
import { sentence } from "./sentence.ts"
import { openFolder, type Parley, startParley } from "./world.ts"

const { short } = parseArgs({ options: { short: { type: "boolean", default: false } } }).values
const repetitions = short ? 1 : 3
const slots = 8
const queueMax = 16
const factor = 10
const peakSeconds = short ? 5 : 20
const overloadSeconds = short ? 15 : 120
const answerTokensMax = 24
const luck = luckOf("overload")

const ask = (client: ChatClient): Promise<Told> => {
  const content = sentence(luck, 24)
  return client.ask({ messages: [{ role: "user", content }], answerTokensMax })
}

async function peakPerSecond(client: ChatClient): Promise<number> {
  const fromMs = nowMs()
  const untilMs = fromMs + peakSeconds * 1_000
  let replies = 0
  const one = async () => {
    do {
      const { status } = await ask(client)
      if (status !== 200) throw new Error(`a request was answered ${status}`)
      if (nowMs() <= untilMs) replies++
    } while (nowMs() < untilMs)
  }
  await Promise.all(Array.from({ length: slots }, one))
  return (replies * 1_000) / (untilMs - fromMs)
}

interface Overload {
  readonly answered: number
  readonly refused: number
  /** Neither answered whole nor refused with a time to come back. */
  readonly others: number
  readonly megabytes: ReadonlyArray<number>
}

async function overload(client: ChatClient, pid: number, perSecond: number): Promise<Overload> {
  const dueMs = arrivals("overload", perSecond, Math.round(perSecond * overloadSeconds))
  const fromMs = nowMs()
  const untilMs = fromMs + overloadSeconds * 1_000
  const seen = { answered: 0, refused: 0, others: 0 }
  const megabytes: Array<number> = []
  const told: Array<Promise<void>> = []
  let sampleMs = fromMs
  for (const due of dueMs) {
    await setTimeout(Math.max(0, fromMs + due - nowMs()))
    if (nowMs() >= sampleMs) {
      megabytes.push(residentMbOf(pid).all)
      sampleMs += 1_000
    }
    told.push(
      ask(client).then(({ answerTokens, retryAfterMs, status }) => {
        if (status === 200 && answerTokens > 0) seen.answered += nowMs() <= untilMs ? 1 : 0
        else if (status === 429 && retryAfterMs > 0) seen.refused++
        else seen.others++
      })
    )
  }
  await Promise.all(told)
  return { ...seen, megabytes }
}

/** From the last of the crowd until one request is answered within twice the calm time. */
async function recoveryMs(client: ChatClient, calmMs: number): Promise<number> {
  const fromMs = nowMs()
  for (;;) {
    const askedMs = nowMs()
    const { firstMs, status } = await ask(client)
    if (status === 200 && firstMs <= 2 * calmMs) return askedMs - fromMs
    await setTimeout(50)
  }
}

async function calmFirstMs(client: ChatClient): Promise<number> {
  const firsts: Array<number> = []
  for (let nth = 0; nth < 5; nth++) firsts.push((await ask(client)).firstMs)
  return median(firsts)
}

const mean = (values: ReadonlyArray<number>) => values.reduce((sum, value) => sum + value, 0) / values.length

async function measured(parley: Parley) {
  const client = openChatClient(parley.port, "bench")
  const calmMs = await calmFirstMs(client)
  const peak = await peakPerSecond(client)
  let crowd: Overload | undefined
  const delay = await loopDelayDuring(parley.child, async () => {
    crowd = await overload(client, parley.pid, factor * peak)
  })
  const { answered, megabytes, others, refused } = crowd!
  const recovered = await recoveryMs(client, calmMs)
  client.close()
  const third = Math.floor(megabytes.length / 3)
  return {
    goodput: (answered / overloadSeconds / peak) * 100,
    perSecond: answered / overloadSeconds,
    refused,
    others,
    growth: (mean(megabytes.slice(-third)) / mean(megabytes.slice(third, 2 * third)) - 1) * 100,
    megabytes: megabytes.at(-1) ?? Number.NaN,
    delay: delay.p99Ms,
    recovered
  }
}

async function main(): Promise<void> {
  using folder = openFolder()
  const file = join(folder.path, "bench.gguf")
  await writeRandomModel(file, shapeOf135M)
  const model = `{ name: bench, engine: llama, file: "${file}", slots: ${slots}, contextTokens: 512 }`
  const config = `limits: { queueMax: ${queueMax} }\nmodels: [${model}]\n`
  await printPlace(`overload: ${repetitions} repetitions of ${overloadSeconds} s at ${factor} times the peak`)
  const seen: Array<Awaited<ReturnType<typeof measured>>> = []
  for (let repetition = 0; repetition < repetitions; repetition++) {
    const started = { folder: join(folder.path, `parley-${repetition}`), config, nodeFlags: instrumentFlags }
    await using parley = await startParley(started)
    seen.push(await measured(parley))
  }
  const figure = (
    name: string,
    unit: string,
    of: keyof (typeof seen)[number],
    target?: NonNullable<Figure["target"]>
  ): Figure => ({ name, unit, values: seen.map((one) => one[of]), ...(target && { target }) })
  print(
    tableOf([
      figure("replies/s while ten times as many come", "/s", "perSecond"),
      figure("that, of the peak", "%", "goodput", { of: "value", bound: "at least", limit: 95 }),
      figure("refused, with a time to come back", "", "refused"),
      figure("neither answered nor refused so", "", "others", atMost(0)),
      figure("resident memory at the end", "MB", "megabytes"),
      figure("its growth from the second third to the last", "%", "growth", atMost(10)),
      figure("event-loop delay p99, with 1 ms of the timer", "ms", "delay", atMost(10)),
      figure("until it is as soon as before, or nearly", "ms", "recovered", atMost(5_000))
    ])
  )
}

await main()
