/** What the steps of a worker were like, since its engine was opened. */
import { emptyHistogram, type Histogram, observe } from "../domain/histogram.ts"
import type { Begun, Decoded, Room, ThreadChoice } from "./worker/wire.ts"

export interface StepStats {
  /** Sequences in a step. */
  readonly rows: Histogram
  /** By what is in a step: tokens of answers alone, or of prompts as well. */
  readonly seconds: Readonly<Record<ThreadChoice["kind"], Histogram>>
  promptTokens: number
  answerTokens: number
  /** What the steps had room for. */
  budgetTokens: number
  /** Prompts by where the beginning of each was found, and the tokens of these beginnings. */
  readonly prompts: Record<Begun["found"], number>
  readonly foundTokens: Record<Exclude<Begun["found"], "nowhere">, number>
  /** As last told. */
  room: Room
  /** As last chosen. */
  threads: ReadonlyArray<ThreadChoice>
  /** How often a choice was changed after it was made. */
  threadChanges: number
  /** Workers that took the place of another. */
  restarts: number
}

export const noRoom: Room = { usedTokens: 0, reservedTokens: 0, heldTokens: 0, copies: 0, copyBytes: 0 }

/** Up to llama.cpp's own limit of sequences. */
const rowBounds = [1, 2, 4, 8, 16, 32, 64, 128]
const secondBounds = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30]

export function emptyStepStats(): StepStats {
  return {
    rows: emptyHistogram(rowBounds),
    seconds: { decode: emptyHistogram(secondBounds), prefill: emptyHistogram(secondBounds) },
    promptTokens: 0,
    answerTokens: 0,
    budgetTokens: 0,
    prompts: { sequence: 0, copy: 0, nowhere: 0 },
    foundTokens: { sequence: 0, copy: 0 },
    room: noRoom,
    threads: [],
    threadChanges: 0,
    restarts: 0
  }
}

/** Changes them in place. */
export function addStep(stats: StepStats, step: Decoded, stepTokensMax: number): void {
  const { promptTokens, room, texts, tokens, tookMs } = step
  stats.room = room
  observe(stats.rows, texts.length)
  observe(stats.seconds[promptTokens > 0 ? "prefill" : "decode"], tookMs / 1000)
  stats.promptTokens += promptTokens
  stats.answerTokens += tokens - promptTokens
  // A step has room for a token of each sequence, be it more than that.
  stats.budgetTokens += Math.max(stepTokensMax, texts.length)
}

/** Changes them in place. */
export function addPrompt({ foundTokens, prompts }: StepStats, { cachedTokens, found }: Begun): void {
  prompts[found]++
  if (found !== "nowhere") foundTokens[found] += cachedTokens
}

/** Changes them in place. */
export function takeThreads(stats: StepStats, choices: ReadonlyArray<ThreadChoice>): void {
  const before = new Map(stats.threads.map((choice) => [`${choice.kind} ${choice.tokens}`, choice.threads]))
  stats.threadChanges += choices.filter(({ kind, threads, tokens }) => {
    const count = before.get(`${kind} ${tokens}`)
    return count !== undefined && count !== threads
  }).length
  stats.threads = choices
}

/** The counts of a few kinds of steps as words: `1 for 1, 2 for 8 rows; 2 for 32 tokens of prompts`. */
export function threadWords(choices: ReadonlyArray<ThreadChoice>): string {
  return (["decode", "prefill"] as const)
    .flatMap((kind) => {
      const some = choices.filter((choice) => choice.kind === kind)
      const words = some.map(({ threads, tokens }) => `${threads} for ${tokens}`).join(", ")
      return words === "" ? [] : [`${words} ${kind === "decode" ? "rows" : "tokens of prompts"}`]
    })
    .join("; ")
}
