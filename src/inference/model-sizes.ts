/**
 * Which sizes of models a machine can run, roughly, and how fast.
 *
 *   S1. With more memory everything still fits that did.
 *   S2. A larger model is never said to be faster.
 */
export interface ModelSize {
  /** In billions. */
  readonly parameters: number
  readonly quantisation: "Q8_0" | "Q4_K_M"
  readonly bytes: number
  /** Of one conversation alone. */
  readonly tokensPerSecond: number
}

/** Bytes for each weight, the scales of its block among them. Q4_K_M keeps some tensors in Q6_K. */
const weightBytes = { Q8_0: 34 / 32, Q4_K_M: 0.61 } as const
/**
 * Sizes that good models come in, each with the F16 cache of one token in bytes, from the shapes of Qwen 2.5 and
 * Llama 3.
 */
const sizes: ReadonlyArray<readonly [billions: number, cacheBytesPerToken: number]> = [
  [0.5, 12 * 1024],
  [1.5, 28 * 1024],
  [3, 36 * 1024],
  [8, 128 * 1024],
  [14, 192 * 1024],
  [32, 256 * 1024],
  [70, 320 * 1024]
]
/** For what a step computes in, and for Parley and PostgreSQL beside it. */
const besideBytes = 768 * 1024 * 1024
/** As fast as a person reads. */
export const readableTokensPerSecond = 5

/** Those that fit, the smallest first; of a size both quantisations. */
export function sizesThatFit(machine: {
  readonly freeBytes: number
  /** Of weights that one decode step reads. */
  readonly bytesPerSecond: number
  /** Slots × contextTokens. */
  readonly cachedTokens: number
}): ReadonlyArray<ModelSize> {
  return sizes
    .flatMap(([parameters, cacheBytesPerToken]) =>
      (["Q4_K_M", "Q8_0"] as const).map((quantisation): ModelSize => {
        const weights = parameters * 1e9 * weightBytes[quantisation]
        const bytes = weights + machine.cachedTokens * cacheBytesPerToken + besideBytes
        return { parameters, quantisation, bytes, tokensPerSecond: machine.bytesPerSecond / weights }
      })
    )
    .filter(({ bytes }) => bytes <= machine.freeBytes)
}

/** The largest that answers as fast as a person reads; where there is none, the smallest. */
export function bestOf(fitting: ReadonlyArray<ModelSize>): ModelSize | undefined {
  const weightsOf = ({ parameters, quantisation }: ModelSize) => parameters * weightBytes[quantisation]
  const bySize = fitting.toSorted((a, b) => a.parameters - b.parameters || weightsOf(a) - weightsOf(b))
  return bySize.findLast(({ tokensPerSecond }) => tokensPerSecond >= readableTokensPerSecond) ?? bySize[0]
}
