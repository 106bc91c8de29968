/**
 * How long a worker may be silent, by what it does.
 *
 *   Q1. While it loads: `loadSilenceMaxMs`, for it says so now and then.
 *   Q2. While it has nothing to do: `silenceMaxMs`, for it says so now and then.
 *   Q3. While it decodes: as long, and four times what its steps take; where a prompt is in them, what the longest step
 *       takes. A large model on a slow machine needs minutes for a prompt's chunk, and is not hung.
 *   Q4. Time in which we did not run ourselves is no silence of it.
 */
import * as Effect from "effect/Effect"
import type { Decoded, FromWorker } from "./worker/wire.ts"

export interface PatienceOptions {
  readonly loadSilenceMaxMs: number
  readonly silenceMaxMs: number
  readonly stepTokensMax: number
}

export interface Patience {
  readonly options: PatienceOptions
  /** For how long it has said nothing while we ran. */
  quietMs: number
  isLoaded: boolean
  /** Those whose prompt may be decoded yet. */
  readonly prompts: Set<number>
  readonly answers: Set<number>
  /** Of late: a step of answers alone, and a token of a step with a prompt. */
  stepMs: number
  tokenMs: number
}

/** A late wake-up of ours counts as one tick. A worker has more than one of its own in that time. */
export const silentTicksMax = 4
const tickMaxMs = 1_000
const slack = 4
/** What a slow step adds to what is expected, it loses in some ten steps. */
const fading = 0.9

export function patienceOf(options: PatienceOptions): Patience {
  return { options, quietMs: 0, isLoaded: false, prompts: new Set(), answers: new Set(), stepMs: 0, tokenMs: 0 }
}

/** It said something. */
export function hear(patience: Patience, message: FromWorker): void {
  patience.quietMs = 0
  if (message.type === "decoded") stepped(patience, message)
  else if (message.type === "too-long" || message.type === "refused") over(patience, message.key)
  else if (message.type === "ready") {
    patience.isLoaded = true
    // A step of one token; one of many takes less for each.
    patience.stepMs = message.tokenMs
    patience.tokenMs = message.tokenMs
  }
}

/** It was sent this one. */
export function given(patience: Patience, key: number): void {
  patience.prompts.add(key)
}

/** This one has ended, or is of no more concern. */
export function over(patience: Patience, key: number): void {
  patience.prompts.delete(key)
  patience.answers.delete(key)
}

function stepped(patience: Patience, { ends, promptTokens, texts, tokens, tookMs }: Decoded): void {
  if (promptTokens > 0) patience.tokenMs = Math.max(tookMs / Math.max(1, tokens), fading * patience.tokenMs)
  else {
    patience.stepMs = Math.max(tookMs, fading * patience.stepMs)
    for (const [key] of texts) if (patience.prompts.delete(key)) patience.answers.add(key)
  }
  for (const [key] of ends) over(patience, key)
}

export function silenceMaxMsOf({ answers, isLoaded, options, prompts, stepMs, tokenMs }: Patience): number {
  if (!isLoaded) return options.loadSilenceMaxMs
  const expectedMs =
    prompts.size > 0 ? Math.max(stepMs, tokenMs * options.stepTokensMax) : answers.size > 0 ? stepMs : 0
  return options.silenceMaxMs + slack * expectedMs
}

/** Succeeds, with words for it, when it has been silent for too long. */
export const untilSilent = Effect.fnUntraced(function* (patience: Patience) {
  for (;;) {
    const tickMs = Math.min(tickMaxMs, silenceMaxMsOf(patience) / silentTicksMax)
    yield* Effect.sleep(tickMs)
    patience.quietMs += tickMs
    const silenceMaxMs = silenceMaxMsOf(patience)
    if (patience.quietMs > silenceMaxMs) return `the worker said nothing for ${Math.round(silenceMaxMs)} ms`
  }
})
