/** What is known of a model's worker, and what its messages change of that. */
import * as Deferred from "effect/Deferred"
import * as Exit from "effect/Exit"
import type * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import { EngineLost, EngineRefused, PromptTooLong } from "./engine.ts"
import type { LlamaOptions } from "./llama.ts"
import { unopened } from "./llama-broken.ts"
import { type Counts, count } from "./llama-counts.ts"
import { type AllRunning, hearStep, hearVector, loseAll, refuse } from "./llama-running.ts"
import type { Patience } from "./patience.ts"
import { addPrompt, addStep, noRoom, type StepStats, takeThreads } from "./step-stats.ts"
import type { FromWorker } from "./worker/wire.ts"
import type { WorkerProcess } from "./worker-process.ts"

export interface State {
  readonly options: Required<Omit<LlamaOptions, "threads" | "watch" | "cacheBytesMax">> & LlamaOptions
  /** Open while there is a worker. */
  readonly ready: Latch.Latch
  readonly running: AllRunning
  readonly counts: Counts
  readonly steps: StepStats
  worker: WorkerProcess | undefined
  /** With that worker. */
  patience: Patience | undefined
  /** A worker could not load the file, or not in time. */
  isRefused: boolean
  trouble: string | undefined
  inUse: number
  lastKey: number
}

export function hear(state: State, started: Deferred.Deferred<void, string>, message: FromWorker): void {
  switch (message.type) {
    case "ready":
      Deferred.doneUnsafe(started, Exit.void)
      return
    case "broken":
      state.isRefused = true
      Deferred.doneUnsafe(started, Exit.fail(unopened(state.options, message)))
      return
    case "threads":
      takeThreads(state.steps, message.choices)
      return
    case "decoded":
      count(state.counts, message)
      addStep(state.steps, message, state.options.stepTokensMax)
      hearStep(state.running, message)
      return
    case "too-long":
      refuse(state.running, message.key, new PromptTooLong({ tokens: message.tokens, tokensMax: message.tokensMax }))
      return
    case "refused":
      refuse(state.running, message.key, new EngineRefused({ reason: message.reason, part: message.part }))
      return
    case "embedded":
      hearVector(state.running, message)
      return
    case "idle":
      state.steps.room = message.room
      return
    case "begun": {
      addPrompt(state.steps, message)
      const one = state.running.get(message.key)
      if (one !== undefined) Queue.offerUnsafe(one.tokens, { type: "progress", promptTokens: message.promptTokens })
    }
  }
}

export function lose(state: State, how: string): void {
  state.ready.closeUnsafe()
  state.worker = undefined
  state.steps.room = noRoom
  state.trouble = how
  loseAll(state.running, new EngineLost({ reason: how }))
}
