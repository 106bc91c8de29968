/**
 * A random model, for tests and benchmarks: whatever it is asked, nobody can foresee what it says.
 *
 * It has the architecture of llama, 1.3 million parameters if nothing else is asked for, and nothing to say. The same
 * bytes every time.
 */
import { randomUUID } from "node:crypto"
import { rename, rm, writeFile } from "node:fs/promises"
import { encodeGguf, type Tensor } from "./gguf.ts"
import { type LlamaShape, llamaMetadata } from "./llama-file.ts"
import { padded, trainVocabulary, type Vocabulary } from "./random-vocabulary.ts"

export interface RandomModel extends LlamaShape {
  /** At least as many as the text that it was trained on gave. */
  readonly vocabularySize?: number
  /** Its answers end only where they are cut off, so that each is as long as the next. */
  readonly isEndless?: boolean
  /** What makes a vector of a text, as GGUF numbers it; left out, the file says nothing of it. */
  readonly poolingType?: number
}

export const small: RandomModel = { embedding: 128, layers: 6, heads: 4, kvHeads: 2, feedForward: 384, context: 2_048 }

/** The shape of SmolLM2-135M (its config.json, 2024-11): as much work a token as a model that people use. */
export const shapeOf135M: RandomModel = {
  ...{ embedding: 576, layers: 30, heads: 9, kvHeads: 3, feedForward: 1_536, context: 8_192 },
  vocabularySize: 49_152,
  isEndless: true
}

/** Whoever reads `path` at any moment finds a whole file or none. */
export async function writeRandomModel(path: string, shape = small): Promise<void> {
  const vocabulary = padded(trainVocabulary(), shape.vocabularySize ?? 0)
  const { poolingType: value } = shape
  const metadata = {
    ...llamaMetadata("parley-random", shape, vocabulary),
    ...(value !== undefined && { "llama.pooling_type": { type: "u32" as const, value } })
  }
  const unfinished = `${path}.${randomUUID()}.part`
  try {
    await writeFile(unfinished, encodeGguf(metadata, tensorsOf(shape, vocabulary)), { flush: true })
    await rename(unfinished, path)
  } finally {
    await rm(unfinished, { force: true })
  }
}

function tensorsOf(shape: RandomModel, { special, tokens }: Vocabulary): ReadonlyArray<Tensor> {
  const { embedding, feedForward, heads, isEndless = false, kvHeads, layers } = shape
  const headSize = embedding / heads
  const random = randomFrom(1)
  const matrix = (
    name: string,
    columns: number,
    rows: number,
    scaleOf = (_row: number) => columns ** -0.5
  ): Tensor => ({
    name: `${name}.weight`,
    dimensions: [columns, rows],
    type: "Q8_0",
    data: Buffer.concat(Array.from({ length: rows }, (_, row) => randomRow(random, columns, scaleOf(row))))
  })
  const norm = (name: string): Tensor => {
    const data = new Uint8Array(new Float32Array(embedding).fill(1).buffer)
    return { name: `${name}.weight`, dimensions: [embedding], type: "F32", data }
  }
  // Small next to what the layers add, or the model repeats its last token for ever; the one that ends an answer
  // stands out, so that most answers end, or is never the likeliest.
  const endScale = isEndless ? 0 : 0.2
  const isEnd = (token: number) => token === special["<|im_end|>"] || (isEndless && token === special["<|endoftext|>"])
  const embeddingScale = (token: number) => (isEnd(token) ? endScale : 0.1)
  // No output matrix: the embedding serves as one.
  return [
    matrix("token_embd", embedding, tokens.length, embeddingScale),
    ...Array.from({ length: layers }, (_, layer) => `blk.${layer}`).flatMap((block) => [
      norm(`${block}.attn_norm`),
      matrix(`${block}.attn_q`, embedding, embedding),
      matrix(`${block}.attn_k`, embedding, headSize * kvHeads),
      matrix(`${block}.attn_v`, embedding, headSize * kvHeads),
      matrix(`${block}.attn_output`, embedding, embedding),
      norm(`${block}.ffn_norm`),
      matrix(`${block}.ffn_gate`, embedding, feedForward),
      matrix(`${block}.ffn_up`, embedding, feedForward),
      matrix(`${block}.ffn_down`, feedForward, embedding)
    ]),
    norm("output_norm")
  ]
}

const blockWeights = 32
const blockBytes = 2 + blockWeights

/** Q8_0: blocks of one half-precision scale and 32 signed bytes. `scale` is the standard deviation. */
function randomRow(random: () => number, columns: number, scale: number): Uint8Array {
  const blocks = columns / blockWeights
  const row = Buffer.alloc(blocks * blockBytes)
  // The bytes are uniform in −127…127, whose standard deviation is 73.3.
  const half = new Uint16Array(Float16Array.of(scale / 73.3).buffer)[0]!
  for (let block = 0; block < blocks; block++) {
    const start = block * blockBytes
    row.writeUInt16LE(half, start)
    for (let i = 0; i < blockWeights; i++) row.writeInt8((random() % 255) - 127, start + 2 + i)
  }
  return row
}

/** Marsaglia's xorshift32: numbers of 32 bits, the same for the same seed (J. Stat. Soft. 8/14, 2003). */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
}
