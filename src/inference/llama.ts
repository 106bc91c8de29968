/**
 * llama.cpp in a supervised child process of its own: a GGML_ASSERT kills its process, and that must not be ours.
 *
 *   L1. A worker that ends, or is silent for longer than patience.ts allows, is killed and replaced; what it was
 *       answering fails with `EngineLost` at once.
 *   L2. A request that comes while there is no worker waits for the next one, at most `loadMaxMs`.
 *   L3. An interrupted request is out of the worker's next step.
 *   L4. No worker outlives the scope, nor the server.
 */
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { wholeCores } from "./control-group.ts"
import {
  type Engine,
  type EngineBroken,
  EngineBusy,
  type EngineError,
  EngineLost,
  type EngineRefused,
  type Token
} from "./engine.ts"
import { ggufProblem } from "./gguf-file.ts"
import { broken, fileMend } from "./llama-broken.ts"
import { type Counts, emptyCounts } from "./llama-counts.ts"
import { jobOf, runningOf, type Tokens } from "./llama-running.ts"
import { hear, lose, type State } from "./llama-state.ts"
import * as Patience from "./patience.ts"
import { emptyStepStats, type StepStats, threadWords } from "./step-stats.ts"
import type { ToWorker, WorkerOptions } from "./worker/wire.ts"
import { startWorker, type WorkerEvent } from "./worker-process.ts"

export interface LlamaOptions {
  readonly name: string
  readonly file: string
  readonly slotsMax: number
  /** Of one sequence, prompt and answer. An answer may have half of it, however much is asked for. */
  readonly contextTokens: number
  /** False unless a GPU build of node-llama-cpp is installed. */
  readonly gpu?: "auto" | false
  /** Of every step, at most one for each core; left out, they are measured. */
  readonly threads?: number
  /** Prompt tokens decoded at a time: more is faster for the one, fewer is smoother for the others. */
  readonly stepTokensMax?: number
  /**
   * Memory for the states of past answers, beside the sequences themselves. Left out, a quarter of what is free when
   * the model is loaded, and at most 8 GiB.
   */
  readonly cacheBytesMax?: number | undefined
  /** How long it may be silent; while it decodes, what a few steps take is added. */
  readonly progressMaxMs: number
  readonly loadMaxMs: number
  /** How long it may be silent while it loads. */
  readonly loadSilenceMaxMs?: number
  readonly restartDelayMinMs?: number
  readonly restartDelayMaxMs?: number
  /** Told at once of each worker that has loaded the model, and of each that is gone, with how. */
  readonly watch?: (event: WorkerEvent) => void
}

export interface LlamaEngine extends Engine {
  readonly workerPid: Effect.Effect<number | undefined>
  readonly forget: Effect.Effect<void>
  /** Since it was opened. */
  readonly counts: Effect.Effect<Readonly<Counts>>
  readonly steps: Effect.Effect<StepStats>
}

const defaults = {
  gpu: false,
  stepTokensMax: 256,
  loadSilenceMaxMs: 60_000,
  restartDelayMinMs: 100,
  restartDelayMaxMs: 10_000
} as const
const busyRetryAfterMs = 1_000
const firstDeathsMax = 3
const seedMax = 2 ** 32 - 1

/** Waits until the model is loaded, or never can be. */
export const openLlama = Effect.fn("openLlama")(function* (
  options: LlamaOptions
): Effect.fn.Return<LlamaEngine, EngineBroken, Scope.Scope> {
  const problem = yield* ggufProblem(options.file)
  if (problem !== undefined) return yield* broken(options, `it ${problem}. ${fileMend}`)
  const state: State = {
    options: { ...defaults, ...options },
    ready: yield* Latch.make(),
    running: new Map(),
    counts: emptyCounts(),
    steps: emptyStepStats(),
    patience: undefined,
    isRefused: false,
    worker: undefined,
    trouble: "the model is being loaded",
    inUse: 0,
    lastKey: 0
  }
  const opened = yield* Deferred.make<void, EngineBroken>()
  yield* Effect.forkScoped(supervise(state, opened))
  yield* Deferred.await(opened)
  return {
    name: options.name,
    slotsMax: options.slotsMax,
    generate: (request) =>
      Stream.unwrap(
        answered(state, (key, seed) =>
          Result.map(jobOf(key, { ...request, seed: (request.seed ?? seed) >>> 0 }), (job) => ({
            type: "generate",
            job
          }))
        )
      ),
    embed: ({ dimensions, inputs }) =>
      Stream.unwrap(answered(state, (key) => Result.succeed({ type: "embed", job: { key, inputs, dimensions } }))),
    isReady: Effect.sync(() => state.worker !== undefined),
    trouble: Effect.sync(() => state.trouble),
    workerPid: Effect.sync(() => state.worker?.pid),
    forget: Effect.sync(() => state.worker?.send({ type: "forget" })),
    counts: Effect.sync(() => ({ ...state.counts })),
    steps: Effect.sync(() => state.steps)
  }
})

/** The work that a request is to the worker, by its key and a seed that nobody asked for. */
type WorkOf = (key: number, seed: number) => Result.Result<Work, EngineRefused>
type Work = Extract<ToWorker, { readonly job: unknown }>

const answered = Effect.fnUntraced(function* (state: State, workOf: WorkOf) {
  yield* Effect.acquireRelease(takeSlot(state), () => Effect.sync(() => state.inUse--))
  const { loadMaxMs } = state.options
  yield* state.ready.await.pipe(
    Effect.timeoutOrElse({
      duration: loadMaxMs,
      orElse: () => new EngineLost({ reason: `there was no worker for ${loadMaxMs} ms: ${state.trouble}` })
    })
  )
  // Bounded by the answer: one item for each step that it is in.
  const tokens: Tokens = yield* Queue.unbounded<Token, EngineError | Cause.Done>()
  const seed = yield* Random.nextIntBetween(0, seedMax)
  yield* Effect.acquireRelease(
    begin(state, (key) => workOf(key, seed), tokens),
    (key) => Effect.sync(() => abort(state, key))
  )
  return Stream.fromQueue(tokens)
})

const takeSlot = (state: State) =>
  Effect.suspend(() => {
    if (state.inUse >= state.options.slotsMax) return new EngineBusy({ retryAfterMs: busyRetryAfterMs })
    state.inUse++
    return Effect.void
  })

const begin = (state: State, workOf: (key: number) => ReturnType<WorkOf>, tokens: Tokens) =>
  Effect.suspend((): Effect.Effect<number, EngineLost | EngineRefused> => {
    if (state.worker === undefined) return new EngineLost({ reason: state.trouble ?? "its worker is gone" })
    const key = ++state.lastKey
    const work = workOf(key)
    if (Result.isFailure(work)) return work.failure
    state.running.set(key, runningOf(work.success, tokens))
    if (state.patience !== undefined) Patience.given(state.patience, key)
    state.worker.send(work.success)
    return Effect.succeed(key)
  })

function abort({ patience, running, worker }: State, key: number): void {
  if (patience !== undefined) Patience.over(patience, key)
  if (running.delete(key)) worker?.send({ type: "abort", key })
}

const supervise = Effect.fnUntraced(function* (state: State, opened: Deferred.Deferred<void, EngineBroken>) {
  const { name, restartDelayMaxMs, restartDelayMinMs } = state.options
  let delayMs = restartDelayMinMs
  let deaths = 0
  for (;;) {
    const startedMs = yield* Clock.currentTimeMillis
    const how = yield* Effect.scoped(live(state, opened))
    state.options.watch?.({ type: "died", how })
    // Whoever refuses the file refuses it again; a first worker that was killed, as for want of memory, is followed.
    const isHopeless = state.isRefused || ++deaths >= firstDeathsMax
    if (isHopeless && (yield* Deferred.fail(opened, broken(state.options, how)))) return
    const isLongLived = (yield* Clock.currentTimeMillis) - startedMs > restartDelayMaxMs
    if (isLongLived) delayMs = restartDelayMinMs
    state.trouble = `the worker is started again in ${delayMs} ms: ${how}`
    yield* Effect.logWarning(`model ${name}: ${state.trouble}`)
    yield* Effect.sleep(delayMs)
    delayMs = Math.min(restartDelayMaxMs, delayMs * 2)
    state.counts.restarts++
    state.steps.restarts++
    state.trouble = `the model is being loaded again: ${how}`
  }
})

/** One worker, from its start until it is gone. Returns how it ended. */
const live = Effect.fnUntraced(function* (state: State, opened: Deferred.Deferred<void, EngineBroken>) {
  const { loadMaxMs, loadSilenceMaxMs, progressMaxMs, stepTokensMax } = state.options
  const started = yield* Deferred.make<void, string>()
  const patience = Patience.patienceOf({ loadSilenceMaxMs, silenceMaxMs: progressMaxMs, stepTokensMax })
  state.patience = patience
  const worker = yield* startWorker(workerOptionsOf(state.options), (message) => {
    Patience.hear(patience, message)
    hear(state, started, message)
  })
  const loaded = Deferred.await(started).pipe(
    Effect.timeoutOrElse({
      duration: loadMaxMs,
      orElse: () => {
        state.isRefused = true
        return Effect.fail(`it was not loaded after ${loadMaxMs} ms. Give it more time, or take a smaller model.`)
      }
    }),
    Effect.andThen(
      Effect.sync(() => {
        state.worker = worker
        state.trouble = undefined
        state.ready.openUnsafe()
        state.options.watch?.({ type: "ready" })
      })
    ),
    Effect.andThen(Deferred.succeed(opened, undefined)),
    Effect.andThen(tellOfThreads(state)),
    Effect.andThen(Effect.never),
    Effect.catch(Effect.succeed)
  )
  const ended = Effect.raceAllFirst([worker.ended, loaded, Patience.untilSilent(patience)])
  const lost = Effect.onExit(ended, (exit) =>
    Effect.sync(() => lose(state, Exit.isSuccess(exit) ? exit.value : "the engine was closed"))
  )
  return yield* Effect.tap(lost, worker.kill)
})

/** Its choice, once; how it changes is a metric. */
const tellOfThreads = ({ options: { name }, steps }: State) =>
  Effect.suspend(() => Effect.logInfo(`model ${name}: threads ${threadWords(steps.threads)}; ${wholeCores()} cores`))

function workerOptionsOf(options: State["options"]): WorkerOptions {
  const { cacheBytesMax, contextTokens, file, gpu, progressMaxMs, slotsMax, stepTokensMax } = options
  const coresMax = wholeCores()
  // One more than there are cores, and a step takes a hundred times as long.
  const threads = options.threads && Math.min(options.threads, coresMax)
  const heartbeatMs = Math.min(heartbeatMaxMs, progressMaxMs / Patience.silentTicksMax)
  return { file, slotsMax, contextTokens, gpu, coresMax, threads, stepTokensMax, heartbeatMs, cacheBytesMax }
}

const heartbeatMaxMs = 1_000
