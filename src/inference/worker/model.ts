/** A loaded model: prompts to tokens, steps to sampled tokens, tokens to bytes. */
import { scheduler } from "node:timers/promises"
import { getLlama, LlamaLogLevel } from "node-llama-cpp"
import type { ChatMessage } from "../engine.ts"
import * as Apart from "./apart.ts"
import { type Copy, copiesOf } from "./copies.ts"
import { embeddingModelOf } from "./embedding-model.ts"
import type { EmbeddingModel } from "./embeddings.ts"
import { type InternalSampler, type Internals, internalsOf } from "./internals.ts"
import type { Prompt } from "./prompt.ts"
import { samplersOf } from "./sampler.ts"
import { promptsOf } from "./template.ts"
import { loadOf, type Tuner } from "./tuner.ts"
import { vocabularyOf } from "./vocabulary.ts"
import type { Unopened, WorkerOptions } from "./wire.ts"

/** The port that the loop drives. */
export interface Model {
  /** Throws what the model's chat template throws, when it does not know such a conversation. */
  readonly prompt: (
    messages: ReadonlyArray<ChatMessage>,
    tokensMax: number,
    mayDrop: boolean
  ) => Prompt<ReadonlyArray<number>>
  /** Of a token in an answer; `before` are the ones before it. */
  readonly bytesOf: (token: number, before: ReadonlyArray<number>) => Uint8Array
  /** Whether an answer ends with it; it has no text. */
  readonly isEnd: (token: number) => boolean
  /** Throws `JobRefused` for what it cannot do. */
  readonly sampler: ReturnType<typeof samplersOf>
  /**
   * One step, in one call or several (apart.ts). The rows' ids are a run without a gap; returns the sampled token of
   * each row with a sampler.
   */
  readonly decode: (rows: ReadonlyArray<DecodeRow>) => Promise<ReadonlyArray<number | undefined>>
  readonly embedding: EmbeddingModel
  /** Done with the next step; until then neither sequence may be copied or restored. */
  readonly move: (from: number, to: number) => Promise<void>
  /** Empties a sequence. */
  readonly clear: (id: number) => void
  /** Of one sequence. */
  readonly contextTokens: number
  /** False where a sequence has to be continued at its end, as of recurrent models. */
  readonly canCut: boolean
  /** Leaves a sequence its first `tokens` cells; false where that is impossible. */
  readonly cut: (id: number, tokens: number) => boolean
  readonly canCopy: boolean
  /** Of a sequence of `tokens` cells, into memory; undefined when there is no room. */
  readonly copy: (id: number, tokens: number) => Promise<Copy | undefined>
  /** Gives an empty sequence the first `tokens` cells of the copied one; false when that failed. */
  readonly restore: (copy: Copy, tokens: number, id: number) => Promise<boolean>
}

export interface DecodeRow {
  readonly id: number
  readonly tokens: ReadonlyArray<number>
  /** Of its first token in its sequence. */
  readonly position: number
  /** Present when a token is to be sampled after its last one. */
  readonly sampler: Sampler | undefined
}

export type Sampler = InternalSampler

export async function openModel(options: WorkerOptions, tuner: Tuner): Promise<Model | Unopened> {
  let complaints: ReadonlyArray<string> = []
  const complain = (line: string) => {
    complaints = [...complaints.filter((other) => other !== line), line].slice(-complaintsMax)
  }
  const unopened = async (what: Unopened["what"], cause: unknown): Promise<Unopened> => {
    // llama.cpp's log comes from another thread, a little later, and says more than what is thrown.
    await scheduler.wait(50)
    const cruxes = complaints.flatMap(
      (line) => /(?:error loading model|initialize the context): (.*)/.exec(line)?.[1] ?? []
    )
    return { what, reason: cruxes[0] ?? [...complaints, messageOf(cause)].join("; ") }
  }
  const loaded = await load(options, complain).catch((cause: unknown) => unopened("file", cause))
  if ("what" in loaded) return loaded
  return await contextOf(options, loaded, tuner).catch((cause: unknown) => unopened("room", cause))
}

const messageOf = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause))

const complaintsMax = 4

async function load({ coresMax, file, gpu, threads = coresMax }: WorkerOptions, complain: (line: string) => void) {
  // Never compiled and never downloaded here: a server that starts must not need a network.
  const llama = await getLlama({
    gpu,
    maxThreads: threads,
    build: "never",
    skipDownload: true,
    progressLogs: false,
    logLevel: LlamaLogLevel.error,
    logger: (_, line) => complain(line.trim())
  })
  const model = await llama.loadModel({ modelPath: file })
  return { llama, model, prompt: promptsOf(model) }
}

async function contextOf(
  options: WorkerOptions,
  loaded: Awaited<ReturnType<typeof load>>,
  tuner: Tuner
): Promise<Model> {
  const { slotsMax, stepTokensMax } = options
  const { llama, model, prompt } = loaded
  const contextTokens = Math.min(options.contextTokens, model.trainContextSize)
  const context = await model.createContext({
    sequences: slotsMax,
    contextSize: contextTokens,
    batchSize: Math.max(stepTokensMax, slotsMax),
    failedCreationRemedy: false
  })
  const internals = internalsOf(llama, model, context)
  return {
    ...vocabularyOf(model),
    ...(await copiesOf(internals)),
    contextTokens,
    prompt,
    sampler: samplersOf(model, internals),
    decode: decoderOf(internals, tuner),
    embedding: embeddingModelOf(model, internals, contextTokens, (tokens) =>
      tuner.countFor({ kind: "prefill", tokens })
    ),
    move: async (from, to) => {
      await internals.context.copySequenceStateFromOtherSequence(to, from)
      internals.context.disposeSequence(from)
    },
    clear: (id) => internals.context.disposeSequence(id)
  }
}

function decoderOf({ context }: Internals, tuner: Tuner): Model["decode"] {
  const together = async (rows: ReadonlyArray<DecodeRow>) => {
    const load = loadOf(rows)
    // Threads are started for each step, so another number of them costs nothing.
    context.setThreads(tuner.countFor(load))
    context.initBatch(rows.reduce((sum, { tokens }) => sum + tokens.length, 0))
    const logits = rows.map(({ id, position, sampler, tokens }) => {
      const wanted = sampler === undefined ? [] : [tokens.length - 1]
      return context.addToBatch(id, position, Uint32Array.from(tokens), Uint32Array.from(wanted))[0]
    })
    const sinceMs = performance.now()
    await context.decodeBatch()
    tuner.heard(load, performance.now() - sinceMs)
    return await Promise.all(rows.map(({ sampler }, i) => sampler && sampled(context, logits[i]!, sampler)))
  }
  const inTurn = async (rows: ReadonlyArray<DecodeRow>) => {
    const all: Array<number | undefined> = []
    for (const row of rows) all.push(...(await together([row])))
    return all
  }
  let learnt = Apart.empty
  return async (rows) => {
    if (loadOf(rows).kind === "prefill") return await together(rows)
    const sinceMs = performance.now()
    const way = Apart.wayOf(learnt, rows.length, sinceMs)
    const all = await (way === "apart" ? inTurn(rows) : together(rows))
    learnt = Apart.heard(learnt, rows.length, way, performance.now() - sinceMs, performance.now())
    return all
  }
}

async function sampled(context: Internals["context"], logits: number, sampler: Sampler): Promise<number> {
  const token = await context.sampleToken(logits, sampler)
  if (token < 0) throw new Error("llama.cpp sampled no token")
  return token
}
