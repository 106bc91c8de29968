/**
 * The only file that reaches into node-llama-cpp: its batch, its sampler, and its copy of a sequence.
 *
 * Through the public API the order of a batch is the order in which samplers finish, a sequence cannot change its id,
 * and a step costs 0–15 % more (1.3M model, 8 and 32 sequences). Written against 3.22.1; `internalsOf` refuses
 * another shape.
 */
import type { Llama, LlamaContext, LlamaModel, Token } from "node-llama-cpp"

export interface Internals {
  readonly context: {
    initBatch(tokens: number): void
    /** Returns where in the batch the logits will be that were asked for. */
    addToBatch(sequence: number, position: number, tokens: Uint32Array, logits: Uint32Array): Uint32Array
    decodeBatch(): Promise<void>
    /** −1 when there is none to sample. */
    sampleToken(logits: number, sampler: InternalSampler): Promise<number>
    disposeSequence(sequence: number): void
    copySequenceStateFromOtherSequence(to: number, from: number): Promise<number>
    setThreads(threads: number): void
  }
  readonly newSampler: () => InternalSampler
}

export interface InternalSampler {
  applyConfig(config: {
    readonly temperature: number
    readonly topK: number
    readonly topP: number
    readonly minP: number
    readonly seed: number
  }): void
  dispose(): void
}

interface Hidden {
  readonly _ctx?: Partial<Internals["context"]>
  readonly _model?: object
  readonly _bindings?: { readonly AddonSampler?: new (model: object) => InternalSampler }
}

export function internalsOf(llama: Llama, model: LlamaModel, context: LlamaContext): Internals {
  const { _bindings } = llama as unknown as Hidden
  const { _model } = model as unknown as Hidden
  const { _ctx } = context as unknown as Hidden
  const Sampler = _bindings?.AddonSampler
  const isComplete = contextMethods.every((method) => typeof _ctx?.[method] === "function")
  if (Sampler === undefined || _model === undefined || !isComplete) {
    throw new Error("this version of node-llama-cpp is not the one Parley was written for: run npm ci")
  }
  return { context: _ctx as Internals["context"], newSampler: () => new Sampler(_model) }
}

const contextMethods = [
  "initBatch",
  "addToBatch",
  "decodeBatch",
  "sampleToken",
  "disposeSequence",
  "copySequenceStateFromOtherSequence",
  "setThreads"
] as const

export const tokenOf = (id: number): Token => id as Token
