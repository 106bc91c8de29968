/**
 * The vectors of texts, beside the answers: after each step of these one piece of one text is read.
 *
 *   E1. A piece has at most `pieceTokensMax` tokens: nobody's answer waits for more than that between two steps.
 *   E2. Jobs are done one after another, in the order in which they came, and their inputs in theirs.
 *   E3. Where the pieces of a text begin depends on the text alone, so that its vector is the same every time.
 *   E4. Of what was aborted nothing more is read, and nothing is said.
 */
import type { EmbeddingInput } from "../engine.ts"
import { JobRefused } from "./job-refused.ts"
import type { EmbeddingJob, FromWorker } from "./wire.ts"

/** What the model does for it. One text at a time. */
export interface EmbeddingModel {
  /** Throws `JobRefused` for what is no input of this model. */
  readonly tokensOf: (input: EmbeddingInput) => ReadonlyArray<number>
  /** Of one input. */
  readonly tokensMax: number
  readonly dimensions: number
  /** Allocates what reading takes, the first time; throws `JobRefused` when the model or the memory cannot do it. */
  readonly open: () => Promise<void>
  /** More of a text, from its first token on. */
  readonly read: (tokens: ReadonlyArray<number>, position: number) => Promise<void>
  /** After the last token of a text; the next one begins anew. */
  readonly vector: () => ArrayLike<number>
}

export interface Embeddings {
  readonly embed: (job: EmbeddingJob) => void
  /** One that is over, or never was, is nothing. */
  readonly abort: (key: number) => void
  readonly isIdle: () => boolean
  /** Reads one piece, or begins a job. Rejects when llama.cpp cannot go on. */
  readonly step: () => Promise<void>
}

interface Work {
  readonly job: EmbeddingJob
  /** Once it is begun: of each input. */
  texts: ReadonlyArray<ReadonlyArray<number>> | undefined
  /** Which of them is read, and how far. */
  index: number
  position: number
  isAborted: boolean
}

/** So few that a step of answers is not much longer with them: llama.cpp weighs the whole vocabulary for each. */
export const pieceTokensMax = 64

export function openEmbeddings(model: EmbeddingModel, send: (message: FromWorker) => void): Embeddings {
  const waiting: Array<Work> = []
  return {
    embed: (job) => waiting.push({ job, texts: undefined, index: 0, position: 0, isAborted: false }),
    abort: (key) => {
      const at = waiting.findIndex(({ job }) => job.key === key)
      if (at < 0) return
      waiting[at]!.isAborted = true
      waiting.splice(at, 1)
    },
    isIdle: () => waiting.length === 0,
    step: async () => {
      const [work] = waiting
      if (work === undefined) return
      const isOver = work.texts === undefined ? !(await begin(model, work, send)) : await read(model, work, send)
      if (isOver && waiting[0] === work) waiting.shift()
    }
  }
}

/** False when it was refused, and said so. */
async function begin(model: EmbeddingModel, work: Work, send: (message: FromWorker) => void): Promise<boolean> {
  const { dimensions = model.dimensions, inputs, key } = work.job
  try {
    await model.open()
    if (dimensions !== model.dimensions) {
      throw new JobRefused("dimensions", `its vectors have ${model.dimensions} dimensions, and are not cut`)
    }
    const texts = inputs.map(model.tokensOf)
    const { tokensMax } = model
    const long = texts.find(({ length }) => length > tokensMax)
    if (long !== undefined) {
      send({ type: "too-long", key, tokens: long.length, tokensMax })
      return false
    }
    work.texts = texts
    return true
  } catch (cause) {
    if (!(cause instanceof JobRefused)) throw cause
    send({ type: "refused", key, part: cause.part, reason: cause.message })
    return false
  }
}

/** True when that was the last piece of the last text. */
async function read(model: EmbeddingModel, work: Work, send: (message: FromWorker) => void): Promise<boolean> {
  const { index, job, position } = work
  const texts = work.texts!
  const text = texts[index]!
  const piece = text.slice(position, position + pieceTokensMax)
  await model.read(piece, position)
  if (work.isAborted) return true
  work.position += piece.length
  const { key } = job
  if (work.position < text.length) {
    send({ type: "embedded", key })
    return false
  }
  const isLast = index + 1 === texts.length
  work.index++
  work.position = 0
  const promptTokens = isLast ? texts.reduce((sum, { length }) => sum + length, 0) : undefined
  send({ type: "embedded", key, vector: [index, encoded(model.vector())], promptTokens })
  return isLast
}

/** Of length 1, unless it has none. */
function encoded(vector: ArrayLike<number>): string {
  const values = Array.from(vector)
  const length = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0))
  const unit = Float32Array.from(values, (value) => (length > 0 ? value / length : 0))
  return Buffer.from(unit.buffer).toString("base64")
}
