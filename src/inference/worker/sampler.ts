/** The sampler of one answer: what is asked for, in llama.cpp's own terms. */
import type { LlamaModel } from "node-llama-cpp"
import { type GrammarState, type InternalSampler, type Internals, tokenOf } from "./internals.ts"
import { JobRefused } from "./job-refused.ts"
import type { Job } from "./wire.ts"

/** What is left of the candidates at a temperature above 0: the habit of the field, and node-llama-cpp's defaults. */
const defaults = { topK: 40, topP: 0.95, minP: 0 }

/** A bias of 100 is nothing else, and of −100 never: beyond all logits, but finite, as a grammar may leave no other. */
const biasMost = 100
const logitMost = 1_000

export function samplersOf(model: LlamaModel, internals: Internals) {
  const marks = marksOf(model, internals.vocabularySize)
  /** Throws `JobRefused`. The penalties look back at the whole answer. */
  return (
    job: Omit<Job, "key" | "messages" | "mayDrop" | "answerTokensMax" | "stop" | "stopUntil">,
    answerTokensMax: number
  ): InternalSampler => {
    const biases = biasesOf(job, marks, internals.vocabularySize)
    const grammar = job.grammar === undefined ? undefined : grammarState(internals, job.grammar)
    const sampler = internals.newSampler()
    sampler.applyConfig({
      temperature: job.temperature,
      topK: job.topK ?? defaults.topK,
      topP: job.topP ?? defaults.topP,
      minP: job.minP ?? defaults.minP,
      seed: job.seed,
      repeatPenaltyTokens: new Uint32Array(),
      repeatPenaltyMaxTokens: answerTokensMax,
      repeatPenalty: job.repeatPenalty ?? 1,
      repeatPenaltyFrequencyPenalty: job.frequencyPenalty ?? 0,
      repeatPenaltyPresencePenalty: job.presencePenalty ?? 0,
      tokenBiasKeys: Uint32Array.from(biases.keys()),
      tokenBiasValues: Float32Array.from(biases.values()),
      ...(grammar !== undefined && { grammarEvaluationState: grammar })
    })
    return sampler
  }
}

function grammarState(internals: Internals, grammar: string): GrammarState {
  try {
    return internals.newGrammarState(grammar)
  } catch {
    throw new JobRefused("grammar", "llama.cpp does not understand the grammar")
  }
}

function biasesOf(
  { grammar, logitBias = [] }: Pick<Job, "grammar" | "logitBias">,
  marks: ReadonlyArray<number>,
  vocabularySize: number
): ReadonlyMap<number, number> {
  const unknown = logitBias.find(([token]) => token >= vocabularySize)
  if (unknown !== undefined) {
    throw new JobRefused("logitBias", `there is no token ${unknown[0]}: the model has ${vocabularySize}`)
  }
  // A grammar takes the name of a mark for text, of which nothing would be shown.
  const never = grammar === undefined ? [] : marks.map((token) => [token, -logitMost] as const)
  return new Map([...logitBias.map(([token, bias]) => [token, logitOf(bias)] as const), ...never])
}

function logitOf(bias: number): number {
  return Math.abs(bias) < biasMost ? bias : Math.sign(bias) * logitMost
}

/** Tokens that steer and have no text, but those that end an answer. */
function marksOf(model: LlamaModel, vocabularySize: number): ReadonlyArray<number> {
  const tokens = Array.from({ length: vocabularySize }, (_, id) => tokenOf(id))
  return tokens.filter((token) => {
    const { control, unknown } = model.getTokenAttributes(token)
    return (control || unknown) && !model.isEogToken(token)
  })
}
