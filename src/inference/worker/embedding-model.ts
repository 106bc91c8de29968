/** Vectors by llama.cpp: of a text they are what the model makes of its last token, with all before it in view. */
import type { LlamaModel } from "node-llama-cpp"
import type { EmbeddingInput } from "../engine.ts"
import { type EmbeddingModel, pieceTokensMax } from "./embeddings.ts"
import { embeddingContextOf, type Internals } from "./internals.ts"
import { JobRefused } from "./job-refused.ts"

/** `threadsFor` a step of so many tokens of a prompt. */
export function embeddingModelOf(
  model: LlamaModel,
  { vocabularySize }: Pick<Internals, "vocabularySize">,
  contextTokens: number,
  threadsFor: (tokens: number) => number
): EmbeddingModel {
  let context: ReturnType<typeof embeddingContextOf> | undefined
  // What is thrown before is told by `open`.
  const opened = () => context!
  return {
    dimensions: model.embeddingVectorSize,
    tokensMax: contextTokens,
    tokensOf: (input) => framed(model, tokensOf(model, vocabularySize, input)),
    open: async () => {
      if (context !== undefined) return
      const problem = problemOf(model)
      if (problem !== undefined) throw new JobRefused("model", problem)
      try {
        const made = await model.createEmbeddingContext({ contextSize: contextTokens, batchSize: pieceTokensMax })
        context = embeddingContextOf(made)
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause)
        throw new JobRefused("model", `llama.cpp has no room for its embeddings: ${reason}`)
      }
    },
    read: async (tokens, position) => {
      const context = opened()
      if (position === 0) context.disposeSequence(0)
      context.setThreads(threadsFor(tokens.length))
      context.initBatch(tokens.length)
      context.addToBatch(0, position, Uint32Array.from(tokens), Uint32Array.of(tokens.length - 1))
      await context.decodeBatch()
    },
    vector: () => opened().getEmbedding(1)
  }
}

/** `<architecture>.pooling_type` of GGUF: what of a text's vectors makes the one of the text. */
const pooling = { none: 0, last: 3 }

/** Read in pieces, a text has only its last token's: other poolings, and models that look ahead, need all at once. */
function problemOf({ fileInfo }: LlamaModel): string | undefined {
  const { attention, pooling_type: type = pooling.none } = fileInfo.architectureMetadata as {
    readonly pooling_type?: number
    readonly attention?: { readonly causal?: boolean }
  }
  const looksAhead = attention?.causal === false
  if (!looksAhead && (type === pooling.none || type === pooling.last)) return undefined
  return "its file asks for a pooling that Parley does not do: serve it by llama-server --embedding, and engine: openai"
}

function tokensOf(model: LlamaModel, vocabularySize: number, input: EmbeddingInput): ReadonlyArray<number> {
  // What a person wrote is plain text: the name of a mark is its letters, and never the token.
  if (typeof input === "string") return model.tokenize(input, false)
  const unknown = input.find((token) => token >= vocabularySize)
  if (unknown === undefined) return input
  throw new JobRefused("input", `there is no token ${unknown}: the model has ${vocabularySize}`)
}

/** As the model was trained to see the beginning and the end of a text. */
function framed({ tokens: marks }: LlamaModel, tokens: ReadonlyArray<number>): ReadonlyArray<number> {
  const { bos, eos } = marks
  const start = marks.shouldPrependBosToken && bos !== null && tokens[0] !== bos ? [bos] : []
  const end = marks.shouldAppendEosToken && eos !== null && tokens.at(-1) !== eos ? [eos] : []
  const all = [...start, ...tokens, ...end]
  if (all.length > 0) return all.map((token) => Number(token))
  throw new JobRefused("input", "an input has no token")
}
