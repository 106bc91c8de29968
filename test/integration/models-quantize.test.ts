/** `models/quantize.py`: llama.cpp's own quantiser makes a smaller file of one in F32, and the engine answers by it. */
import { spawnSync } from "node:child_process"
import { existsSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect, test } from "vitest"
import { encodeGguf, type Tensor } from "../../models/gguf.ts"
import { type LlamaShape, llamaMetadata } from "../../models/llama-file.ts"
import { trainVocabulary } from "../../models/random-vocabulary.ts"
import { emptyDir, startMain } from "./main-process.ts"

const script = join(import.meta.dirname, "../../models/quantize.py")
const python = spawnSync("python3", ["--version"]).status === 0
if (!python) process.stderr.write("SKIPPED: quantising, as there is no python3\n")

/** K-quants have blocks of 256 weights. */
const shape: LlamaShape = { embedding: 256, layers: 1, heads: 4, kvHeads: 4, feedForward: 256, context: 512 }

function writeF32Model(path: string): void {
  const vocabulary = trainVocabulary()
  let state = 1
  const weight = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return (state >>> 8) / 2 ** 24 - 0.5
  }
  const tensor = (name: string, dimensions: ReadonlyArray<number>, of: (_: unknown, at: number) => number): Tensor => {
    const weights = Float32Array.from({ length: dimensions.reduce((product, size) => product * size, 1) }, of)
    return { name: `${name}.weight`, dimensions, type: "F32", data: new Uint8Array(weights.buffer) }
  }
  const { embedding: size } = shape
  // A token without weights is never the likeliest: no answer is an end, or blank.
  const isMute = (token: number) => !/^[a-z]+$/i.test(vocabulary.tokens[token] ?? "")
  const matrices = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"]
  const norms = ["blk.0.attn_norm", "blk.0.ffn_norm", "output_norm"]
  const tensors = [
    tensor("token_embd", [size, vocabulary.tokens.length], (_, at) => (isMute(Math.floor(at / size)) ? 0 : weight())),
    ...matrices.map((name) => tensor(`blk.0.${name}`, [size, size], () => weight() / 4)),
    ...norms.map((name) => tensor(name, [size], () => 1))
  ]
  writeFileSync(path, encodeGguf(llamaMetadata("parley-f32", shape, vocabulary), tensors))
}

test.runIf(python)("F32 becomes Q8_0 and Q4_K_M, which are smaller, and answer", async () => {
  const dir = emptyDir()
  const source = join(dir, "mine-F32.gguf")
  writeF32Model(source)
  const sizes: Array<number> = [statSync(source).size]
  for (const type of ["Q8_0", "Q4_K_M"]) {
    const target = join(dir, `mine-${type}.gguf`)
    const { status, stderr, stdout } = spawnSync("python3", [script, source, target], { encoding: "utf8" })
    expect([status, `${stdout}${stderr}`.slice(-2_000)]).toEqual([0, expect.anything()])
    sizes.push(statSync(target).size)
    const used = startMain({ dir, typed: ["models", "use", target] })
    expect([await used.ended, used.output()]).toEqual([0, expect.stringContaining("Answered: ")])
    const listed = startMain({ dir, typed: ["models", "list"] })
    expect([await listed.ended, listed.output()]).toEqual([0, expect.stringContaining(`  ${type}  `)])
  }
  expect(sizes).toEqual([...sizes].sort((a, b) => b - a))
  const again = spawnSync("python3", [script, source, join(dir, "mine-Q8_0.gguf")], { encoding: "utf8" })
  expect([again.status, again.stderr]).toEqual([1, expect.stringContaining("is there already")])
  const twice = spawnSync("python3", [script, join(dir, "mine-Q8_0.gguf"), join(dir, "b-Q4_0.gguf")])
  expect([twice.status, existsSync(join(dir, "b-Q4_0.gguf.part"))]).toEqual([1, false])
})
