/**
 * Ten thousand users on a pool of GPUs that does not suffice for all: what each waits, by how much they ask for.
 *
 *   node bench/fairness.ts
 *
 * The schedule is the server's own; the pool is modelled, in virtual time. The same requests are served twice: fairly,
 * and by a schedule that takes everybody for one user, which is first come, first served. Prints figures, and draws
 * docs/fairness.svg.
 */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Limits } from "../src/inference/schedule.ts"
import { chartOf } from "./chart.ts"
import { median, print, quantile, rounded } from "./figures.ts"
import { printPlace, root } from "./place.ts"
import { type Arrival, type Costs, jainIndex, numbersOf, type Outcome, simulate } from "./simulation.ts"

/**
 * NVIDIA L4, from its data sheet, and Llama 3.1 8B in BF16, from its model card: what a step must read and compute, at
 * six tenths of the memory's speed and half of the arithmetic, which servers reach.
 */
const gpu = { bytesMsMax: 300e6 * 0.6, flopsMsMax: 121e9 * 0.5, memoryBytes: 24e9 * 0.9 }
const model = { parameters: 8.03e9, bytes: 16.06e9, cacheBytesToken: 2 * 32 * 8 * 128 * 2 }
const gpus = 40
const slotsOfGpu = 32
/** What a request has in the cache on average, half-way through its answer. */
const contextTokens = 700

const flopsToken = 2 * model.parameters
const rowMs = (contextTokens * model.cacheBytesToken) / gpu.bytesMsMax + flopsToken / gpu.flopsMsMax
const costs: Costs = {
  stepMs: (running) => model.bytes / gpu.bytesMsMax + Math.ceil(running / gpus) * rowMs,
  prefillTokenMs: flopsToken / gpu.flopsMsMax
}
const cacheTokensOfGpu = Math.floor((gpu.memoryBytes - model.bytes) / model.cacheBytesToken)
const limits: Limits = {
  slotsMax: gpus * slotsOfGpu,
  cacheTokensMax: gpus * cacheTokensOfGpu,
  queueMax: 20_000,
  queueTokensMax: 20_000_000,
  agedAfterMs: 60_000
}

const users = 10_000
const untilMs = 600_000
/** Of what the pool can decode. */
const load = 1.2
/** Requests of a user are to those of the next as ranks to this power: few ask for most. */
const skew = 0.9

const arrivals = arrivalsOf(numbersOf(2024))
const fair = timed(() => simulate({ limits, costs, arrivals, untilMs }))
const queue = timed(() => simulate({ limits, costs, arrivals, untilMs, lineOf: () => "all" }))
/** The ranks of users, by how much they ask for. */
const groups = [10_000, 5_000, 2_000, 1_000, 500, 200, 100, 50, 20, 10, 5, 2].map((last, index, all) => ({
  first: (all[index + 1] ?? 0) + 1,
  last
}))

await printPlace("fairness: 10,000 users on a modelled pool")
print(
  `${gpus} GPUs of ${slotsOfGpu} slots and ${cacheTokensOfGpu} tokens; a step of ${slotsOfGpu}: ${ms(costs.stepMs(limits.slotsMax))};`
)
print(
  `a prompt token: ${ms(costs.prefillTokenMs)}; ${arrivals.length} requests in ${untilMs / 60_000} min, ${load} of what can be decoded\n`
)
const row = (cells: ReadonlyArray<string>) => print(`| ${cells.join(" | ")} |`)
row(["", "fair", "first come, first served"])
row(["---", "---", "---"])
compare("first token, median, the half of the users that asks least", (all) => startOf(lightest(all), 0.5))
compare("first token, p99, the half of the users that asks least", (all) => startOf(lightest(all), 0.99))
compare("first token, median, the hundred that ask most", (all) => startOf(greediest(all), 0.5))
compare("first token, median, background", (all) =>
  startOf(
    all.filter((one) => one.class === "background"),
    0.5
  )
)
compare("Jain's index of the served share, all users", (all) => rounded(jainIndex(sharesOf(all))))
compare("answered of what the pool can decode", (all) => `${Math.round(100 * usedOf(all))} %`)
compare("refused", (all) => String(all.filter(({ refusal }) => refusal !== undefined).length))
compare("begun again, to make way", (all) => String(all.reduce((sum, { stops }) => sum + stops, 0)))
print(`\nsimulated in ${rounded(fair.seconds)} s and ${rounded(queue.seconds)} s`)

const path = join(root, "docs/fairness.svg")
writeFileSync(
  path,
  chartOf({
    title: `Median wait for the first token: ${users.toLocaleString("en")} users, ${load} times the load that ${gpus} GPUs can serve`,
    x: "users by rank, each point up to this one; 1 asks for most",
    y: "seconds",
    marks: groups.map(({ last }) => last.toLocaleString("en")),
    lines: [
      { name: "first come, first served", values: groups.map((group) => secondsOf(queue.outcomes, group)) },
      { name: "Parley", values: groups.map((group) => secondsOf(fair.outcomes, group)) }
    ]
  })
)
print(path)

function arrivalsOf(next: () => number): ReadonlyArray<Arrival> {
  const weights = Array.from({ length: users }, (_, rank) => (rank + 1) ** -skew)
  const whole = weights.reduce((sum, weight) => sum + weight, 0)
  const answerMean = 200
  const turnsMs = (load * limits.slotsMax) / costs.stepMs(limits.slotsMax) / answerMean
  const all = weights.flatMap((weight, rank) => {
    const own: Array<Arrival> = []
    const isBackground = next() < 0.1
    for (let atMs = 0; ; ) {
      atMs -= (whole / weight / turnsMs) * Math.log(1 - next())
      if (atMs > untilMs) return own
      const promptTokens = Math.min(4_000, Math.round(100 / (1 - next()) ** 0.8))
      const answerTokens = Math.max(1, Math.min(512, Math.round(-answerMean * 1.1 * Math.log(1 - next()))))
      const one = { atMs, user: String(rank), promptTokens, answerTokens, answerTokensMax: 512 }
      own.push({ ...one, class: isBackground ? "background" : "interactive" })
    }
  })
  return all.toSorted((a, b) => a.atMs - b.atMs)
}

function timed(work: () => ReadonlyArray<Outcome>) {
  const startedMs = performance.now()
  return { outcomes: work(), seconds: (performance.now() - startedMs) / 1_000 }
}

function compare(name: string, figureOf: (outcomes: ReadonlyArray<Outcome>) => string): void {
  row([name, figureOf(fair.outcomes), figureOf(queue.outcomes)])
}

function lightest(all: ReadonlyArray<Outcome>): ReadonlyArray<Outcome> {
  return all.filter((one) => one.class === "interactive" && Number(one.user) >= users / 2)
}

function greediest(all: ReadonlyArray<Outcome>): ReadonlyArray<Outcome> {
  return all.filter((one) => one.class === "interactive" && Number(one.user) < 100)
}

/** Who never started waited longest. */
function startOf(some: ReadonlyArray<Outcome>, q: number): string {
  const seconds = quantile(
    some.filter(({ refusal }) => refusal === undefined).map(({ atMs, startedMs }) => (startedMs - atMs) / 1_000),
    q
  )
  return seconds === Number.POSITIVE_INFINITY ? "not within the time" : `${rounded(seconds)} s`
}

/** Of what each asked for, the part that it got. */
function sharesOf(all: ReadonlyArray<Outcome>): ReadonlyArray<number> {
  const asked = new Map<string, number>()
  const got = new Map<string, number>()
  for (const { answerTokens, endedMs, user } of all) {
    asked.set(user, (asked.get(user) ?? 0) + answerTokens)
    if (endedMs <= untilMs) got.set(user, (got.get(user) ?? 0) + answerTokens)
  }
  return [...asked].map(([user, tokens]) => (got.get(user) ?? 0) / tokens)
}

function usedOf(all: ReadonlyArray<Outcome>): number {
  const answered = all.filter(({ endedMs }) => endedMs <= untilMs).reduce((sum, one) => sum + one.answerTokens, 0)
  return answered / ((limits.slotsMax * untilMs) / costs.stepMs(limits.slotsMax))
}

function secondsOf(all: ReadonlyArray<Outcome>, { first, last }: (typeof groups)[number]): number {
  const isOf = (user: string) => Number(user) + 1 >= first && Number(user) + 1 <= last
  const waits = all
    .filter((one) => one.class === "interactive" && one.refusal === undefined && isOf(one.user))
    .map(({ atMs, startedMs }) => (Math.min(startedMs, untilMs) - atMs) / 1_000)
  return median(waits)
}

function ms(value: number): string {
  return `${rounded(value)} ms`
}
