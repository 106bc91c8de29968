/** The memory that a model takes at work, from what its file says of it: what llama.cpp allocates before it answers. */
import type { GgufHead } from "./gguf-head.ts"

export interface ModelShape {
  readonly architecture: string
  readonly name: string | undefined
  readonly layers: number
  readonly embedding: number
  readonly feedForward: number
  readonly vocabulary: number
  /** Values of one token in the cache, of keys and values together, over all layers. */
  readonly cachedValues: number
  /** In tokens, as it was trained. */
  readonly trainedContext: number | undefined
}

export interface MemoryNeeded {
  readonly weightBytes: number
  readonly cacheBytes: number
  /** What a step computes in, and the process around it. */
  readonly workBytes: number
  readonly bytes: number
}

/** llama.cpp keeps keys and values as F16. */
const cachedValueBytes = 2
/** llama.cpp rounds the cells of a sequence up to this. */
const cellsStep = 256
const stepTokens = 256
/** Of a worker that has loaded a model of a megabyte. */
const processBytes = 150 * 1024 * 1024

export function shapeOf({ listLengths, metadata }: GgufHead): ModelShape {
  const architecture = String(metadata.get("general.architecture") ?? "unknown")
  const of = (key: string) => metadata.get(`${architecture}.${key}`)
  const number = (key: string) => {
    const value = of(key)
    return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : undefined
  }
  const layers = number("block_count") ?? 0
  const embedding = number("embedding_length") ?? 0
  const heads = Math.max(1, firstOf(of("attention.head_count")) ?? 1)
  const keyLength = number("attention.key_length") ?? embedding / heads
  const valueLength = number("attention.value_length") ?? embedding / heads
  const cacheHeads = of("attention.head_count_kv") ?? heads
  // Some models have another number of them in each layer.
  const headsOfAll = Array.isArray(cacheHeads) ? total(cacheHeads) : layers * Number(cacheHeads)
  const name = metadata.get("general.name")
  return {
    architecture,
    name: typeof name === "string" ? name : undefined,
    layers,
    embedding,
    feedForward: firstOf(of("feed_forward_length")) ?? 0,
    vocabulary: listLengths.get("tokenizer.ggml.tokens") ?? number("vocab_size") ?? 0,
    cachedValues: headsOfAll * (keyLength + valueLength),
    trainedContext: number("context_length")
  }
}

/** An upper bound where layers see a window only, as of Gemma: llama.cpp keeps less for those. */
export function memoryNeeded(
  weightBytes: number,
  shape: ModelShape,
  { contextTokens, slots }: { readonly contextTokens: number; readonly slots: number }
): MemoryNeeded {
  // The worker gives a sequence no more than the model was trained for.
  const cells = roundedUp(Math.min(contextTokens, shape.trainedContext ?? contextTokens), cellsStep)
  const cacheBytes = slots * cells * shape.cachedValues * cachedValueBytes
  const stepValues = shape.vocabulary + 2 * shape.feedForward + 4 * shape.embedding
  const workBytes = processBytes + 4 * Math.max(stepTokens, slots) * stepValues
  return { weightBytes, cacheBytes, workBytes, bytes: weightBytes + cacheBytes + workBytes }
}

function firstOf(value: unknown): number | undefined {
  const first: unknown = Array.isArray(value) ? value[0] : value
  return typeof first === "number" ? first : undefined
}

function total(numbers: ReadonlyArray<number>): number {
  return numbers.reduce((sum, one) => sum + one, 0)
}

function roundedUp(value: number, step: number): number {
  return Math.ceil(value / step) * step
}
