/** The first steps of a model: they allocate, show whether it can decode at all, and how many threads it likes. */
import type { DecodeRow, Model } from "./model.ts"
import { type Load, loadOf, type Tuner } from "./tuner.ts"

export interface WarmUp {
  readonly model: Pick<Model, "decode" | "sampler" | "clear" | "contextTokens">
  readonly tuner: Tuner
  readonly slotsMax: number
  readonly stepTokensMax: number
  /** How long loading took: measuring takes `measureMinMs`, or a tenth of that. */
  readonly loadedMs: number
  /** A clock that does not go back. */
  readonly nowMs: () => number
}

const measureMinMs = 300
const shareOfLoading = 0.1
const promptTokens = 32

/**
 * No step is begun that is expected to end too late. Returns what a step of one token takes, in milliseconds; rejects
 * when llama.cpp cannot decode.
 */
export async function warmUp({ loadedMs, model, nowMs, slotsMax, stepTokensMax, tuner }: WarmUp): Promise<number> {
  const clearAll = () => {
    for (let id = 0; id < slotsMax; id++) model.clear(id)
  }
  const sampler = model.sampler({ temperature: 0, seed: 0 }, 1)
  const startedMs = nowMs()
  await model.decode([{ id: 0, tokens: [0], position: 0, sampler }])
  sampler.dispose()
  clearAll()
  // The first step allocated, and is no measure of the others.
  const endMs = nowMs() + Math.max(measureMinMs, shareOfLoading * loadedMs)
  const firstMs = nowMs() - startedMs
  let tokenMs = firstMs
  const prompt = Math.min(promptTokens, stepTokensMax, Math.floor(model.contextTokens / 2))
  const kinds = [decoding(1), prefilling(prompt), decoding(slotsMax), decoding(Math.ceil(Math.sqrt(slotsMax)))]
  for (const rowsAt of kinds) {
    const load = loadOf(rowsAt(0))
    let position = 0
    while (!tuner.isSettled(load) && nowMs() + tokenMs * load.tokens < endMs) {
      const rows = rowsAt(position)
      const sinceMs = nowMs()
      await model.decode(rows)
      tokenMs = (nowMs() - sinceMs) / load.tokens
      position = nextPosition(load, position, model.contextTokens)
      if (position === 0) clearAll()
    }
    clearAll()
  }
  return firstMs
}

type RowsAt = (position: number) => ReadonlyArray<DecodeRow>

const decoding =
  (rows: number): RowsAt =>
  (position) =>
    Array.from({ length: rows }, (_, id) => ({ id, tokens: [0], position, sampler: undefined }))

const prefilling =
  (tokens: number): RowsAt =>
  (position) => [{ id: 0, tokens: Array.from({ length: tokens }, () => 0), position, sampler: undefined }]

/** The next one has room in its sequence, or begins it again. */
function nextPosition({ kind, tokens }: Load, position: number, contextTokens: number): number {
  const each = kind === "prefill" ? tokens : 1
  return position + 2 * each <= contextTokens ? position + each : 0
}
