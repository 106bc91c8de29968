/**
 * The only file that reaches into node-llama-cpp: its batch, its sampler, its copies of a sequence, and its vectors.
 *
 * Through the public API the order of a batch is the order in which samplers finish, a sequence cannot change its id,
 * and a step costs 0–15 % more (1.3M model, 8 and 32 sequences). Written against 3.22.1; `internalsOf` refuses
 * another shape.
 */
import type { Llama, LlamaContext, LlamaEmbeddingContext, LlamaModel, Token } from "node-llama-cpp"

export interface Internals {
  readonly vocabularySize: number
  /** Throws when llama.cpp does not understand it. */
  readonly newGrammarState: (grammar: string) => GrammarState
  readonly context: {
    initBatch(tokens: number): void
    /** Returns where in the batch the logits will be that were asked for. */
    addToBatch(sequence: number, position: number, tokens: Uint32Array, logits: Uint32Array): Uint32Array
    decodeBatch(): Promise<void>
    /** −1 when there is none to sample. */
    sampleToken(logits: number, sampler: InternalSampler): Promise<number>
    disposeSequence(sequence: number): void
    /** False where the memory of the model knows no such removal. `end` −1 is the end. */
    removeTokenCellsFromSequence(sequence: number, start: number, end: number): boolean
    /** Of its first cell; −1 when it has none. */
    getSequenceKvCacheMinPosition(sequence: number): number
    /** The cells are there at once, what is in them with the next decode: till then `from` must not change. */
    copySequenceStateFromOtherSequence(to: number, from: number): Promise<number>
    /** False when it did not come to be that its last cell is at `lastPosition`. */
    restoreCheckpoint(checkpoint: InternalCheckpoint, lastPosition: number, sequence: number): Promise<boolean>
    saveSequenceStateToFile(path: string, sequence: number, tokens: Uint32Array): Promise<number>
    setThreads(threads: number): void
  }
  readonly newCheckpoint: () => InternalCheckpoint
  readonly newSampler: () => InternalSampler
}

/** Of a context that is made for vectors. */
export interface EmbeddingInternals
  extends Pick<Internals["context"], "initBatch" | "addToBatch" | "decodeBatch" | "disposeSequence" | "setThreads"> {
  /** Of the last token that was decoded, or of its sequence 0. */
  getEmbedding(tokens: number): Float64Array
}

/** A copy of what llama.cpp cannot take back otherwise, which of most models is all that a sequence has. */
export interface InternalCheckpoint {
  init(context: object, sequence: number): Promise<void>
  dispose(): void
  readonly size: number
}

export interface InternalSampler {
  applyConfig(config: SamplerConfig): void
  dispose(): void
}

export interface SamplerConfig {
  readonly temperature: number
  readonly topK: number
  readonly topP: number
  readonly minP: number
  readonly seed: number
  /** There are penalties only with this: the tokens that count before the first that is sampled. */
  readonly repeatPenaltyTokens: Uint32Array
  readonly repeatPenaltyMaxTokens: number
  readonly repeatPenalty: number
  readonly repeatPenaltyFrequencyPenalty: number
  readonly repeatPenaltyPresencePenalty: number
  readonly tokenBiasKeys: Uint32Array
  readonly tokenBiasValues: Float32Array
  readonly grammarEvaluationState?: GrammarState
}

/** How far a grammar is read; freed with the last reference to it. */
export type GrammarState = object

interface Hidden {
  readonly _ctx?: Partial<Internals["context"]>
  readonly _model?: object
  readonly _bindings?: Bindings
}

interface Bindings {
  readonly AddonContextSequenceCheckpoint?: new () => InternalCheckpoint
  readonly AddonSampler?: new (model: object) => InternalSampler
  readonly AddonGrammar?: new (grammar: string, options: { readonly rootRuleName: string }) => object
  readonly AddonGrammarEvaluationState?: new (model: object, grammar: object) => GrammarState
}

export function internalsOf(llama: Llama, model: LlamaModel, context: LlamaContext): Internals {
  const { _bindings } = llama as unknown as Hidden
  const { _model } = model as unknown as Hidden
  const { _ctx } = context as unknown as Hidden
  const { AddonGrammar: Grammar, AddonGrammarEvaluationState: State, AddonSampler: Sampler } = _bindings ?? {}
  const Checkpoint = _bindings?.AddonContextSequenceCheckpoint
  const isComplete = contextMethods.every((method) => typeof _ctx?.[method] === "function")
  if (!Grammar || !State || !Sampler || !Checkpoint || _model === undefined || !isComplete) {
    throw new Error(otherVersion)
  }
  return {
    context: _ctx as Internals["context"],
    vocabularySize: model.fileInfo.metadata.tokenizer?.ggml?.tokens?.length ?? 0,
    newCheckpoint: () => new Checkpoint(),
    newSampler: () => new Sampler(_model),
    newGrammarState: (grammar) => new State(_model, new Grammar(grammar, { rootRuleName: "root" }))
  }
}

export function embeddingContextOf(made: LlamaEmbeddingContext): EmbeddingInternals {
  const { _llamaContext } = made as unknown as { readonly _llamaContext?: Hidden }
  const context = _llamaContext?._ctx as Partial<EmbeddingInternals> | undefined
  if (typeof context?.getEmbedding !== "function") throw new Error(otherVersion)
  return context as EmbeddingInternals
}

const otherVersion = "this version of node-llama-cpp is not the one Parley was written for: run npm ci"

const contextMethods = [
  "initBatch",
  "addToBatch",
  "decodeBatch",
  "sampleToken",
  "disposeSequence",
  "removeTokenCellsFromSequence",
  "getSequenceKvCacheMinPosition",
  "copySequenceStateFromOtherSequence",
  "restoreCheckpoint",
  "saveSequenceStateToFile",
  "setThreads"
] as const

export const tokenOf = (id: number): Token => id as Token
