/** What else would run here: sizes of models by free memory and by how fast their weights are read. */

import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { bestOf, readableTokensPerSecond, sizesThatFit } from "../../inference/model-sizes.ts"
import type { LlamaSpec } from "../../inference/models.ts"
import { bytesText, rounded } from "../quantity.ts"
import type { Finding } from "./finding.ts"

/** A model below this spends its time on other things than reading weights: no larger one can be told from it. */
const tellingBytes = 64 * 1024 * 1024
const probeBytes = 32 * 1024 * 1024
const probes = 4
/** What one thread decodes at on processors of the last ten years: more than that is the cache's. */
const threadBytesPerSecond = 10e9

export const sizesFinding = Effect.fn("sizesFinding")(function* (options: {
  readonly freeBytes: number
  readonly spec: Pick<LlamaSpec, "slots" | "contextTokens">
  readonly tokensPerSecond: number | undefined
  readonly weightBytes: number
  readonly threads: number
}): Effect.fn.Return<Finding> {
  const { freeBytes, spec, threads, tokensPerSecond, weightBytes } = options
  const isTold = tokensPerSecond !== undefined && weightBytes >= tellingBytes
  const bytesPerSecond = isTold
    ? tokensPerSecond * weightBytes
    : Math.min(yield* copySpeed, threads * threadBytesPerSecond)
  const fitting = sizesThatFit({
    freeBytes,
    bytesPerSecond,
    cachedTokens: spec.slots * spec.contextTokens
  })
  const best = bestOf(fitting)
  if (best === undefined) {
    const saw = `No model of half a billion parameters or more fits into ${bytesText(freeBytes)}.`
    const mend = "Give this machine more memory, or name another server: PARLEY_MODEL=http://…/v1"
    return { id: "model.sizes", level: "note", saw, mend }
  }
  const source = isTold ? "the speed above" : "the speed of the memory"
  const named = `${best.parameters} B in ${best.quantisation}`
  const advice =
    best.tokensPerSecond >= readableTokensPerSecond
      ? `Of what fits, ${named} is the largest that answers as fast as a person reads.`
      : `Even the smallest, ${named}, answers slower than a person reads.`
  return {
    id: "model.sizes",
    level: "ok",
    saw: `Rough figures, from ${source}, for one answer alone. ${advice}`,
    table: [
      ["parameters", "quantisation", "memory", "tokens/s"],
      ...fitting.map(({ bytes: needed, parameters, quantisation, tokensPerSecond: speed }) => [
        `${parameters} B`,
        quantisation,
        bytesText(needed),
        `~${rounded(speed)}`
      ])
    ]
  }
})

/** Bytes a second that one core copies, the best of a few: it reads and writes, so reading alone is twice as fast. */
const copySpeed = Effect.gen(function* () {
  const from = Buffer.alloc(probeBytes, 1)
  const to = Buffer.alloc(probeBytes)
  let leastNanos = Number.POSITIVE_INFINITY
  for (let n = 0; n < probes; n++) {
    const began = yield* Clock.currentTimeNanos
    from.copy(to)
    leastNanos = Math.min(leastNanos, Number((yield* Clock.currentTimeNanos) - began))
  }
  return (probeBytes * 1e9) / Math.max(1, leastNanos)
})
