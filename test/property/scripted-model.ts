/** A model for the worker's loop: its answers show each wrong cell, and it objects to what llama.cpp would. */
import { createHash } from "node:crypto"
import { setImmediate } from "node:timers/promises"
import fc from "fast-check"
import { expect } from "vitest"
import type { Copy } from "../../src/inference/worker/copies.ts"
import { type EmbeddingModel, pieceTokensMax } from "../../src/inference/worker/embeddings.ts"
import { JobRefused } from "../../src/inference/worker/job-refused.ts"
import type { Model } from "../../src/inference/worker/model.ts"

/** A token is a byte. */
export const endToken = 0
export const contextTokens = 200

/** A hash of all that its sequence has seen: one wrong cell, and another answer comes. */
export function tokenAfter(seen: ReadonlyArray<number>, seed: number): number {
  const hash = createHash("sha256").update(Uint8Array.from(seen)).update(String(seed)).digest()
  return hash[0]! < 12 ? endToken : 97 + (hash[1]! % 26)
}

export interface Scripted {
  readonly model: Model
  /** Rows of each step. */
  readonly steps: Array<number>
  readonly samplersOpen: () => number
  readonly copyBytes: () => number
  readonly did: Did
}

/** How often. */
interface Did {
  copied: number
  restored: number
  failed: number
  cut: number
}

/** What the memory of a model can do. */
export const memories = fc.record({
  canCopy: fc.boolean(),
  canCut: fc.boolean(),
  /** Of so many copies, cuts and restorations one fails. */
  failsEach: fc.integer({ min: 2, max: 20 }),
  bytesMax: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 400 }), fc.constant(10_000))
})
export type Memory = typeof memories extends fc.Arbitrary<infer M> ? M : never
export const faultless: Memory = { canCopy: true, canCut: true, failsEach: 1_000_000, bytesMax: 10_000 }

export function scriptedModel(slotsMax: number, stepTokensMax: number, memory: Memory = faultless): Scripted {
  const { cells, settle, ...cache } = scriptedCells(slotsMax, memory)
  const steps: Array<number> = []
  let samplersOpen = 0
  const model: Model = {
    ...cache.model,
    contextTokens,
    prompt: (messages, tokensMax) => {
      const tokens = [...Buffer.from(messages.map(({ content }) => content).join("|"))]
      if (tokens.includes(33)) throw new Error("it has an exclamation mark")
      return tokens.length <= tokensMax
        ? { type: "fits", tokens }
        : { type: "too-long", tokens: tokens.length, tokensMax }
    },
    embedding: scriptedEmbedding(),
    bytesOf: (token) => Uint8Array.of(token),
    isEnd: (token) => token === endToken,
    sampler: ({ seed }) => {
      samplersOpen++
      return { applyConfig: () => {}, dispose: () => samplersOpen--, seed } as ReturnType<Model["sampler"]>
    },
    decode: async (rows) => {
      await setImmediate()
      settle()
      expect(rows.flatMap(({ tokens }) => tokens).length).toBeLessThanOrEqual(Math.max(stepTokensMax, slotsMax))
      steps.push(rows.length)
      return rows.map(({ id, position, sampler, tokens }, i) => {
        expect(id).toBe(rows[0]!.id + i)
        expect(position).toBe(cells[id]!.length)
        expect(tokens.length).toBeGreaterThan(0)
        cells[id]!.push(...tokens)
        return sampler && tokenAfter(cells[id]!, (sampler as unknown as { seed: number }).seed)
      })
    }
  }
  return { model, steps, samplersOpen: () => samplersOpen, copyBytes: cache.copyBytes, did: cache.did }
}

/** A vector of a text's length, its first token and its last one; a text with a 33 is refused. */
function scriptedEmbedding(): EmbeddingModel {
  let seen: Array<number> = []
  return {
    dimensions: 3,
    tokensMax: contextTokens,
    open: async () => {},
    tokensOf: (input) => {
      const tokens = typeof input === "string" ? [...Buffer.from(input)] : input
      if (tokens.includes(33)) throw new JobRefused("input", "it has an exclamation mark")
      return tokens
    },
    read: async (tokens, position) => {
      await setImmediate()
      if (position === 0) seen = []
      expect(position).toBe(seen.length)
      expect(tokens.length).toBeLessThanOrEqual(pieceTokensMax)
      seen.push(...tokens)
    },
    vector: () => [seen.length, seen[0]!, seen.at(-1)!]
  }
}

type Cells = Pick<Model, "move" | "clear" | "canCut" | "cut" | "canCopy" | "copy" | "restore">

function scriptedCells(slotsMax: number, { canCopy, canCut, failsEach }: Memory) {
  const cells: Array<Array<number>> = Array.from({ length: slotsMax }, () => [])
  const copies = new Map<Copy, ReadonlyArray<number>>()
  const did: Did = { copied: 0, restored: 0, failed: 0, cut: 0 }
  /** Moved: their cells are there, what is in them comes with the next step. */
  const unsettled = new Set<number>()
  let tries = 0
  const fails = () => {
    const isOne = ++tries % failsEach === 0
    if (isOne) did.failed++
    return isOne
  }
  const model: Cells = {
    canCut,
    canCopy,
    clear: (id) => {
      cells[id] = []
    },
    move: async (from, to) => {
      await setImmediate()
      expect(cells[to]).toEqual([])
      cells[to] = cells[from]!
      cells[from] = []
      unsettled.add(from).add(to)
    },
    cut: (id, tokens) => {
      expect(cells[id]!.length).toBeGreaterThan(tokens)
      if (fails()) return false
      did.cut++
      cells[id]!.length = tokens
      return true
    },
    copy: async (id, tokens) => {
      expect(unsettled).not.toContain(id)
      expect(cells[id]!.length).toBe(tokens)
      const values = [...cells[id]!]
      await setImmediate()
      if (fails()) return undefined
      did.copied++
      const copy = { bytes: tokens + 3, tokens, free: () => expect(copies.delete(copy)).toBe(true) } as Copy
      copies.set(copy, values)
      return copy
    },
    restore: async (copy, tokens, id) => {
      expect(unsettled.size).toBe(0)
      expect(cells[id]).toEqual([])
      expect(tokens).toBeLessThanOrEqual(copies.get(copy)!.length)
      if (!canCut) expect(tokens).toBe(copy.tokens)
      await setImmediate()
      cells[id] = copies.get(copy)!.slice(0, tokens)
      if (fails()) return false
      did.restored++
      return true
    }
  }
  const copyBytes = () => [...copies.keys()].reduce((sum, { bytes }) => sum + bytes, 0)
  return { cells, settle: () => unsettled.clear(), model, copyBytes, did }
}
