/** What a worker has done since its engine was opened. */
import type { Decoded } from "./worker/wire.ts"

export interface Counts {
  restarts: number
  /** Decode steps, the sequences in them, and the tokens that went in. */
  steps: number
  rows: number
  tokens: number
  /** Those of them that were of prompts. */
  promptTokens: number
}

export function emptyCounts(): Counts {
  return { restarts: 0, steps: 0, rows: 0, tokens: 0, promptTokens: 0 }
}

/** Changes them in place. */
export function count(counts: Counts, { promptTokens, texts, tokens }: Decoded): void {
  counts.steps++
  counts.rows += texts.length
  counts.tokens += tokens
  counts.promptTokens += promptTokens
}
