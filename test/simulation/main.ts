/** `npm run simulate`: as many seeds as one likes, on all cores; or one seed again, told as a story. */
import { mkdirSync, writeFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { Worker } from "node:worker_threads"
import { diagramOf } from "./diagram.ts"
import { failpoints } from "./failpoints.ts"
import type { Portion } from "./seed-worker.ts"
import { shrink } from "./shrink.ts"
import { type Outcome, simulate } from "./simulate.ts"
import { stepsOf, storyOf } from "./story.ts"
import { add, empty, summaryOf, type Tally, tableOf } from "./tally.ts"

const folder = ".cache/simulate"
const portionSeeds = 10
const shrinkRunsMax = 600
const usage = `npm run simulate -- [--seeds 1000] [--from 1] [--faults crash,power-cut] [--twice] [--workers 2]
npm run simulate -- --replay SEED [--faults …]`

const { values: given } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    from: { type: "string", default: "1" },
    workers: { type: "string", default: String(availableParallelism()) },
    faults: { type: "string" },
    replay: { type: "string" },
    twice: { type: "boolean", default: false },
    help: { type: "boolean", default: false }
  }
})
const only = given.faults?.split(",").map((fault) => fault.trim())
const say = (text: string) => void process.stdout.write(`${text}\n`)

if (given.help) say(usage)
else if (given.replay !== undefined) replay(wholeOf("replay", given.replay))
else await runMany(wholeOf("from", given.from), wholeOf("seeds", given.seeds), wholeOf("workers", given.workers))

function replay(seed: number): void {
  const options = { seed, isTold: true, ...(only && { only: knownFaults(only) }) }
  const outcome = simulate(options)
  say(storyOf(outcome))
  keep(outcome)
  if (outcome.violations.length > 0) process.exitCode = 1
}

async function runMany(from: number, seeds: number, workers: number): Promise<void> {
  if (only !== undefined) knownFaults(only)
  const beganMs = performance.now()
  const tally = await spread(from, seeds, Math.max(1, workers), (soFar) => progress(soFar, seeds, beganMs))
  const tookMs = performance.now() - beganMs
  if (process.stderr.isTTY) process.stderr.write("\n")
  say(`${tableOf(tally)}\n\n${summaryOf(tally, tookMs)}`)
  const [first] = tally.failures.toSorted((a, b) => a.seed - b.seed)
  if (tally.different.length > 0) process.exitCode = 1
  if (first === undefined) return
  process.exitCode = 1
  const others = tally.failures.map(({ seed, violations }) => `  seed ${seed}: ${violations[0]}`)
  say(`\n${others.slice(0, 20).join("\n")}\n\nThe first of them, made as small as it could be:\n`)
  const options = { seed: first.seed, isTold: true, ...(only && { only: new Set(only) }) }
  const smallest = shrink(simulate(options), options, shrinkRunsMax)
  say(storyOf(smallest))
  say(`plan: ${JSON.stringify(smallest.plan)}`)
  keep(smallest)
}

/** Gives portions to workers until all are done. */
function spread(from: number, seeds: number, workers: number, progressed: (tally: Tally) => void): Promise<Tally> {
  const tally = empty()
  let next = from
  const end = from + seeds
  return new Promise((resolve, reject) => {
    let alive = workers
    const give = (worker: Worker) => {
      if (next >= end) {
        void worker.terminate()
        if (--alive === 0) resolve(tally)
        return
      }
      const portion: Portion = { from: next, seeds: Math.min(portionSeeds, end - next), only, isTwice: given.twice }
      next += portion.seeds
      worker.postMessage(portion)
    }
    for (let nth = 0; nth < workers; nth++) {
      const worker = new Worker(new URL("./seed-worker.ts", import.meta.url))
      worker.on("error", reject)
      worker.on("message", (more: Tally) => {
        add(tally, more)
        progressed(tally)
        give(worker)
      })
      give(worker)
    }
  })
}

function progress({ failures, seeds }: Tally, all: number, beganMs: number): void {
  const rate = (seeds * 1_000) / (performance.now() - beganMs)
  const bar = "█".repeat(Math.floor((30 * seeds) / all)).padEnd(30, "░")
  const left = Math.ceil((all - seeds) / rate)
  const words = `${bar} ${seeds} of ${all}, ${rate.toFixed(1)} a second, ${left} s left, ${failures.length} failed`
  if (process.stderr.isTTY) process.stderr.write(`\r${words} `)
  else if (seeds % 1_000 < portionSeeds) process.stderr.write(`${words}\n`)
}

function keep(outcome: Outcome): void {
  mkdirSync(folder, { recursive: true })
  const path = join(folder, `seed-${outcome.seed}`)
  writeFileSync(`${path}.txt`, storyOf(outcome))
  writeFileSync(`${path}.svg`, diagramOf(outcome.violations[0] ?? `seed ${outcome.seed}`, stepsOf(outcome)))
  say(`Kept as ${path}.txt and ${path}.svg`)
}

function knownFaults(names: ReadonlyArray<string>): ReadonlySet<string> {
  const known = new Set<string>(Object.values(failpoints).flatMap(({ faults }) => [...faults]))
  const stranger = names.find((name) => !known.has(name))
  if (stranger === undefined) return new Set(names)
  say(`--faults: ${stranger} is none of ${[...known].toSorted().join(", ")}`)
  process.exit(2)
}

function wholeOf(name: string, text: string): number {
  const number = Number(text)
  if (Number.isInteger(number) && number >= 0) return number
  say(`--${name}: ${text} is no whole number\n${usage}`)
  process.exit(2)
}
