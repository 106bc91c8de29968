/** What a worker has done since its engine was opened. */
import type { Decoded, Room } from "./worker/wire.ts"

export interface Counts {
  restarts: number
  /** Decode steps, the sequences in them, and the tokens that went in. */
  steps: number
  rows: number
  tokens: number
  /** Of prompts: those that were decoded, and those that were kept from before. */
  promptTokens: number
  cachedTokens: number
  /** As of the last step. */
  room: Room
}

export const noRoom: Room = { usedTokens: 0, reservedTokens: 0, heldTokens: 0, copies: 0, copyBytes: 0 }

export function emptyCounts(): Counts {
  return { restarts: 0, steps: 0, rows: 0, tokens: 0, promptTokens: 0, cachedTokens: 0, room: noRoom }
}

/** Changes them in place. */
export function count(counts: Counts, { promptTokens, room, texts, tokens }: Decoded): void {
  counts.steps++
  counts.rows += texts.length
  counts.tokens += tokens
  counts.promptTokens += promptTokens
  counts.room = room
}
