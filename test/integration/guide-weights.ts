/** Random weights in the form that the trainer writes: a guide that was never trained. */
import { expectedTensors } from "../../models/train/guide-file.ts"
import type { Weights } from "../../models/train/weights.ts"

const shape = { embedding: 64, layers: 2, heads: 4, kvHeads: 2, feedForward: 96, context: 1_024 }

export function randomWeights(tokens: number): Weights {
  let nth = 0
  const next = () => Math.sin(++nth * 12.9898) * 0.1
  const tensors = expectedTensors(shape, tokens).map(([name, dimensions]) => ({
    name,
    shape: dimensions,
    values: Float32Array.from({ length: dimensions.reduce((product, size) => product * size, 1) }, () =>
      dimensions.length === 1 ? 1 : next()
    )
  }))
  return { shape, tensors }
}
