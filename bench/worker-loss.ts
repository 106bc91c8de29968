/**
 * A worker is killed, or hangs, while it answers 32 people; and one of eight answers is cancelled.
 *
 *   node bench/worker-loss.ts [--short]
 *
 * The scheduler over a real worker process, with a random model of the shape of SmolLM2-135M. How long from SIGKILL, or
 * SIGSTOP, until all 32 are told that they start again, and until all are answered. The answers are those of a calm
 * run, token for token, or they count as spliced. A cancelled one's slot goes to one who waits.
 */
import { join } from "node:path"
import { parseArgs } from "node:util"
import { Deferred, Effect, Exit, Fiber, Layer, Scope, Stream } from "effect"
import { shapeOf135M, writeRandomModel } from "../models/random-model.ts"
import { type LlamaEngine, openLlama } from "../src/inference/llama.ts"
import { InferenceScheduler, layer, type Signal } from "../src/inference/scheduler.ts"
import { atMost, print, tableOf } from "./figures.ts"
import { nowMs } from "./load.ts"
import { printPlace } from "./place.ts"
import { openFolder } from "./world.ts"

const { short } = parseArgs({ options: { short: { type: "boolean", default: false } } }).values
const repetitions = short ? 1 : 5
const turns = 32
const answerTokensMax = 48
const progressMaxMs = 3_000

type Infer = InferenceScheduler["Service"]["infer"]

interface World {
  readonly engine: LlamaEngine
  readonly infer: Infer
}

const openWorld = Effect.fnUntraced(function* (file: string, slotsMax: number) {
  const options = { name: "bench", file, slotsMax, contextTokens: 256, progressMaxMs, loadMaxMs: 60_000 }
  const engine = yield* openLlama(options)
  const built = yield* Layer.build(layer({ engine, queueMax: 100, queueTokensMax: 1_000_000 }))
  const { infer } = yield* Effect.provideContext(InferenceScheduler, built)
  return { engine, infer } satisfies World
})

const request = (nth: number, answerTokens = answerTokensMax) => ({
  ...{ id: `${nth}`, user: `${nth}`, answerTokensMax: answerTokens, temperature: 0, stop: [], firstAttempt: 1 },
  messages: [{ role: "user" as const, content: `${nth} water letter morning people train question` }]
})

interface Reply {
  /** Of the last attempt. */
  text: string
  attempt: number
  restartedMs: number | undefined
}

const reply = Effect.fnUntraced(function* (infer: Infer, nth: number, onText: () => void) {
  const seen: Reply = { text: "", attempt: 1, restartedMs: undefined }
  const hear = (signal: Signal) => {
    if (signal.type === "restarted") [seen.text, seen.attempt, seen.restartedMs] = ["", signal.attempt, nowMs()]
    if (signal.type !== "text") return
    seen.text += signal.text
    onText()
  }
  yield* Stream.runForEach(infer(request(nth)), (signal) => Effect.sync(() => hear(signal)))
  return seen
})

/** All turns at once; `trouble` comes when all of them have begun to be answered. */
const converse = Effect.fnUntraced(function* (infer: Infer, trouble: Effect.Effect<void>) {
  const begun = new Set<number>()
  const allBegun = yield* Deferred.make<void>()
  const fibers = yield* Effect.forEach(
    Array.from({ length: turns }, (_, nth) => nth),
    (nth) =>
      Effect.forkChild(
        reply(infer, nth, () => {
          begun.add(nth)
          if (begun.size === turns) Deferred.doneUnsafe(allBegun, Effect.void)
        })
      )
  )
  yield* Deferred.await(allBegun)
  const atMs = nowMs()
  yield* trouble
  const replies = yield* Effect.forEach(fibers, (fiber) => Fiber.join(fiber))
  return { atMs, replies, doneMs: nowMs() - atMs }
})

const loss = Effect.fnUntraced(function* (file: string, signal: "SIGKILL" | "SIGSTOP") {
  const { engine, infer } = yield* openWorld(file, turns)
  const calm = yield* converse(infer, Effect.void)
  const strike = Effect.map(engine.workerPid, (pid) => void process.kill(pid!, signal))
  const { atMs, doneMs, replies } = yield* converse(infer, strike)
  const restarts = replies.flatMap(({ restartedMs }) => (restartedMs === undefined ? [] : [restartedMs - atMs]))
  const spliced = replies.filter(({ text }, nth) => text !== calm.replies[nth]!.text).length
  return { detectedMs: Math.max(...restarts), restarted: restarts.length, spliced, doneMs }
})

/** Steps of the worker from the cancelling of an answer until another has its place. */
const cancellation = Effect.fnUntraced(function* (file: string) {
  const slots = 8
  const { engine, infer } = yield* openWorld(file, slots)
  const talk = (nth: number) => Stream.runDrain(infer(request(nth, 128)))
  const talking = yield* Effect.forEach(
    Array.from({ length: slots }, (_, nth) => nth),
    (nth) => Effect.forkChild(talk(nth))
  )
  yield* Effect.sleep("500 millis")
  const started = yield* Deferred.make<number>()
  const next = Stream.runForEach(infer(request(100)), (signal) =>
    signal.type === "text"
      ? Effect.flatMap(engine.counts, ({ steps }) => Deferred.succeed(started, steps))
      : Effect.void
  )
  yield* Effect.forkChild(next)
  yield* Effect.sleep("50 millis")
  const { steps: before } = yield* engine.counts
  const atMs = nowMs()
  yield* Fiber.interrupt(talking[3]!)
  const after = yield* Deferred.await(started)
  return { steps: after - before, ms: nowMs() - atMs }
})

async function measured<A>(effect: Effect.Effect<A, unknown, Scope.Scope>): Promise<A> {
  const scope = Scope.makeUnsafe()
  try {
    return await Effect.runPromise(Scope.provide(effect, scope))
  } finally {
    await Effect.runPromise(Scope.close(scope, Exit.void))
  }
}

async function main(): Promise<void> {
  using folder = openFolder()
  const file = join(folder.path, "bench.gguf")
  await writeRandomModel(file, shapeOf135M)
  await printPlace(`worker-loss: ${repetitions} repetitions, ${turns} answers in flight`)
  const seen = { killed: [], hung: [], cancelled: [] } as {
    readonly killed: Array<Effect.Success<ReturnType<typeof loss>>>
    readonly hung: Array<Effect.Success<ReturnType<typeof loss>>>
    readonly cancelled: Array<Effect.Success<ReturnType<typeof cancellation>>>
  }
  for (let repetition = 0; repetition < repetitions; repetition++) {
    seen.killed.push(await measured(loss(file, "SIGKILL")))
    seen.hung.push(await measured(loss(file, "SIGSTOP")))
    seen.cancelled.push(await measured(cancellation(file)))
  }
  const { cancelled, hung, killed } = seen
  const losses = [...killed, ...hung]
  print(
    tableOf([
      {
        name: "SIGKILL to the last of 32 told",
        unit: "ms",
        values: killed.map((one) => one.detectedMs),
        target: atMost(500)
      },
      {
        name: `SIGSTOP to the last of 32 told, ${progressMaxMs} ms allowed`,
        unit: "ms",
        values: hung.map((one) => one.detectedMs),
        target: atMost(progressMaxMs * 1.5)
      },
      { name: "SIGKILL until all are answered", unit: "ms", values: killed.map((one) => one.doneMs) },
      { name: "told to start again, of 32", unit: "", values: losses.map((one) => one.restarted) },
      {
        name: "answers that are not those of a calm run",
        unit: "",
        values: losses.map((one) => one.spliced),
        target: atMost(0)
      },
      {
        name: "steps from a cancel to the next one's first text",
        unit: "",
        values: cancelled.map((one) => one.steps),
        target: atMost(2)
      },
      { name: "time of that", unit: "ms", values: cancelled.map((one) => one.ms) }
    ])
  )
}

await main()
