/**
 * Weights as `train.py` writes them: a safetensors file of F32 tensors, the model's shape among its metadata.
 *
 * https://github.com/huggingface/safetensors#format
 */
import type { LlamaShape } from "../llama-file.ts"

export interface Weight {
  readonly name: string
  /** Rows, then columns; of a norm its length alone. */
  readonly shape: ReadonlyArray<number>
  readonly values: Float32Array
}

export interface Weights {
  readonly shape: LlamaShape
  readonly tensors: ReadonlyArray<Weight>
}

interface Entry {
  readonly dtype: string
  readonly shape: ReadonlyArray<number>
  readonly data_offsets: readonly [number, number]
}

export function encodeWeights({ shape, tensors }: Weights): Buffer {
  let offset = 0
  const entries = tensors.map(({ name, shape: dimensions, values }) => {
    const start = offset
    offset += values.byteLength
    return [name, { dtype: "F32", shape: dimensions, data_offsets: [start, offset] }] as const
  })
  const metadata = Object.fromEntries(Object.entries(shape).map(([key, value]) => [key, String(value)]))
  const text = JSON.stringify({ __metadata__: metadata, ...Object.fromEntries(entries) })
  // Padded with spaces, so that the floats begin at a multiple of eight.
  const head = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(head.length))
  const data = tensors.map(({ values }) => Buffer.from(values.buffer, values.byteOffset, values.byteLength))
  return Buffer.concat([length, head, ...data])
}

export function decodeWeights(bytes: Uint8Array): Weights {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const dataAt = 8 + Number(view.readBigUInt64LE(0))
  const { __metadata__, ...entries } = JSON.parse(view.toString("utf8", 8, dataAt)) as {
    readonly __metadata__: Readonly<Record<string, string>>
  } & Readonly<Record<string, Entry>>
  const tensors = Object.entries(entries).map(([name, entry]) => {
    if (entry.dtype !== "F32") throw new Error(`${name} is ${entry.dtype}, and not F32`)
    const [start, end] = entry.data_offsets
    // Copied, for a Float32Array must begin at a multiple of four.
    const values = new Float32Array(Uint8Array.from(view.subarray(dataAt + start, dataAt + end)).buffer)
    return { name, shape: entry.shape, values }
  })
  return { shape: shapeOf(__metadata__), tensors }
}

function shapeOf(metadata: Readonly<Record<string, string>>): LlamaShape {
  const number = (key: keyof LlamaShape) => {
    const value = Number(metadata[key])
    if (!Number.isInteger(value) || value < 1) throw new Error(`the weights do not say their ${key}`)
    return value
  }
  return {
    embedding: number("embedding"),
    layers: number("layers"),
    heads: number("heads"),
    kvHeads: number("kvHeads"),
    feedForward: number("feedForward"),
    context: number("context")
  }
}
