/** Weights and a vocabulary as a GGUF file: matrices in Q8_0, norms in F32. */
import { encodeGguf, type Tensor } from "../gguf.ts"
import { type LlamaShape, llamaMetadata } from "../llama-file.ts"
import type { Vocabulary } from "../random-vocabulary.ts"
import type { Weight, Weights } from "./weights.ts"

export function guideFile({ shape, tensors }: Weights, vocabulary: Vocabulary): Buffer {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]))
  const expected = expectedTensors(shape, vocabulary.tokens.length)
  const ordered = expected.map(([name, dimensions]) => {
    const found = byName.get(name)
    if (found?.shape.join() !== dimensions.join()) {
      throw new Error(`${name} is [${found?.shape.join() ?? "missing"}], and not [${dimensions.join()}]`)
    }
    return tensorOf(found)
  })
  return encodeGguf(llamaMetadata("parley-guide", shape, vocabulary), ordered)
}

/** Names and dimensions, rows first. There is no output matrix: the embedding serves as one. */
export function expectedTensors(shape: LlamaShape, tokens: number): ReadonlyArray<readonly [string, Weight["shape"]]> {
  const { embedding, feedForward, heads, kvHeads, layers } = shape
  const keys = (embedding / heads) * kvHeads
  return [
    ["token_embd.weight", [tokens, embedding]],
    ...Array.from({ length: layers }, (_, layer) => `blk.${layer}`).flatMap(
      (block): ReadonlyArray<readonly [string, Weight["shape"]]> => [
        [`${block}.attn_norm.weight`, [embedding]],
        [`${block}.attn_q.weight`, [embedding, embedding]],
        [`${block}.attn_k.weight`, [keys, embedding]],
        [`${block}.attn_v.weight`, [keys, embedding]],
        [`${block}.attn_output.weight`, [embedding, embedding]],
        [`${block}.ffn_norm.weight`, [embedding]],
        [`${block}.ffn_gate.weight`, [feedForward, embedding]],
        [`${block}.ffn_up.weight`, [feedForward, embedding]],
        [`${block}.ffn_down.weight`, [embedding, feedForward]]
      ]
    ),
    ["output_norm.weight", [embedding]]
  ]
}

function tensorOf({ name, shape, values }: Weight): Tensor {
  const dimensions = shape.toReversed()
  if (shape.length === 1) {
    return { name, dimensions, type: "F32", data: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) }
  }
  return { name, dimensions, type: "Q8_0", data: quantized(values) }
}

const blockWeights = 32
const blockBytes = 2 + blockWeights

/** Q8_0: blocks of one half-precision scale and 32 signed bytes, as `quantize_row_q8_0_ref` of ggml makes them. */
export function quantized(values: Float32Array): Uint8Array {
  if (values.length % blockWeights !== 0) throw new Error(`${values.length} weights are not whole blocks of 32`)
  const blocks = Buffer.alloc((values.length / blockWeights) * blockBytes)
  for (let block = 0; block * blockWeights < values.length; block++) {
    const weights = values.subarray(block * blockWeights, (block + 1) * blockWeights)
    const scale = weights.reduce((largest, weight) => Math.max(largest, Math.abs(weight)), 0) / 127
    const start = block * blockBytes
    blocks.writeUInt16LE(new Uint16Array(Float16Array.of(scale).buffer)[0]!, start)
    for (const [i, weight] of weights.entries()) {
      blocks.writeInt8(scale === 0 ? 0 : Math.round(weight / scale), start + 2 + i)
    }
  }
  return blocks
}
