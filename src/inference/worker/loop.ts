/** Decodes all answers together, one step at a time. What goes into a step is decided in step.ts. */
import type { RequestPart, Usage } from "../engine.ts"
import { type AnswerText, answerText } from "./answer-text.ts"
import { JobRefused } from "./job-refused.ts"
import type { DecodeRow, Model, Sampler } from "./model.ts"
import * as Step from "./step.ts"
import type { EndReason, FromWorker, Job } from "./wire.ts"

export interface Loop {
  /** No more at once than there are slots. */
  readonly generate: (job: Job) => void
  /** Seen between two steps. One that has ended, or never was, is nothing. */
  readonly abort: (key: number) => void
  readonly isIdle: () => boolean
  /** Never returns; rejects when llama.cpp cannot go on. */
  readonly run: () => Promise<never>
}

interface Answer {
  readonly key: number
  readonly prompt: ReadonlyArray<number>
  readonly tokens: Array<number>
  readonly answerTokensMax: number
  readonly text: AnswerText
  readonly sampler: Sampler
  /** Tokens of its sequence that are decoded. */
  decoded: number
}

export function openLoop(
  model: Model,
  { slotsMax, stepTokensMax }: { readonly slotsMax: number; readonly stepTokensMax: number },
  send: (message: FromWorker) => void
): Loop {
  let plan = Step.empty(slotsMax, stepTokensMax)
  let arrived: Array<Job> = []
  const aborted: Array<number> = []
  let wake: () => void = () => {}
  const answers = new Map<number, Answer>()

  const leave = (key: number) => {
    answers.get(key)?.sampler.dispose()
    answers.delete(key)
    model.clear(plan.sequences.findIndex((sequence) => sequence?.key === key))
    plan = Step.release(plan, key)
  }

  const enter = (job: Job) => {
    const answer = begin(model, job, send)
    if (answer === undefined) return
    const admitted = Step.admit(plan, job.key, answer.prompt.length)
    if (admitted === undefined) throw new Error(`more than ${slotsMax} requests were sent to the worker`)
    plan = admitted
    answers.set(job.key, answer)
    send({ type: "begun", key: job.key, promptTokens: answer.prompt.length })
  }

  const step = async () => {
    const sinceMs = performance.now()
    const [{ moves, rows }, after] = Step.next(plan)
    for (const { from, to } of moves) await model.move(from, to)
    plan = after
    const decoding = rows.map((row) => ({ ...row, answer: answers.get(row.key)! }))
    const counts = countsOf(decoding)
    const asked = decoding.map(({ answer, isSampled, tokens }) => rowOf(answer, tokens, isSampled))
    const sampled = await model.decode(asked)
    const texts: Array<readonly [key: number, text: string]> = []
    const ends: Array<readonly [key: number, reason: EndReason, usage: Usage]> = []
    for (const [i, { answer, key, tokens }] of decoding.entries()) {
      answer.decoded += tokens
      const { reason, text } = take(model, answer, sampled[i])
      texts.push([key, text])
      if (reason === undefined) continue
      ends.push([key, reason, { promptTokens: answer.prompt.length, answerTokens: answer.tokens.length }])
      leave(key)
    }
    send({ type: "decoded", ...counts, tookMs: performance.now() - sinceMs, texts, ends })
  }

  return {
    generate: (job) => {
      arrived.push(job)
      wake()
    },
    abort: (key) => {
      arrived = arrived.filter((job) => job.key !== key)
      if (answers.has(key)) aborted.push(key)
    },
    isIdle: () => answers.size === 0 && arrived.length === 0,
    run: async () => {
      for (;;) {
        if (answers.size === 0 && arrived.length === 0) await new Promise<void>((resolve) => (wake = resolve))
        for (const key of aborted.splice(0)) if (answers.has(key)) leave(key)
        for (const job of arrived.splice(0)) enter(job)
        if (answers.size > 0) await step()
      }
    }
  }
}

/** Undefined when it was refused, and said so. */
function begin(model: Model, job: Job, send: (message: FromWorker) => void): Answer | undefined {
  // An answer may have half of the context, so that some of the conversation is left to be answered.
  const answerTokensMax = Math.max(1, Math.min(job.answerTokensMax, Math.floor(model.contextTokens / 2)))
  const { key, stop, stopUntil } = job
  const refuse = (part: RequestPart, reason: string) => {
    send({ type: "refused", key, part, reason })
    return undefined
  }
  try {
    const prompt = model.prompt(job.messages, model.contextTokens - answerTokensMax, job.mayDrop)
    if (prompt.type === "too-long") {
      send({ ...prompt, key })
      return undefined
    }
    const sampler = model.sampler(job, answerTokensMax)
    const text = answerText(stop, stopUntil)
    return { key, prompt: prompt.tokens, tokens: [], answerTokensMax, text, sampler, decoded: 0 }
  } catch (cause) {
    if (cause instanceof JobRefused) return refuse(cause.part, cause.message)
    const reason = cause instanceof Error ? cause.message : String(cause)
    return refuse("messages", `the model's chat template does not take this conversation: ${reason}`)
  }
}

function rowOf({ decoded, prompt, sampler, tokens }: Answer, count: number, isSampled: boolean): DecodeRow {
  const isPrompt = decoded < prompt.length
  return {
    tokens: isPrompt ? prompt.slice(decoded, decoded + count) : tokens.slice(-1),
    position: decoded,
    sampler: isSampled ? sampler : undefined
  }
}

function countsOf(decoding: ReadonlyArray<{ readonly answer: Answer; readonly tokens: number }>) {
  const prompts = decoding.filter(({ answer }) => answer.decoded < answer.prompt.length)
  const sum = (rows: typeof decoding) => rows.reduce((sum, { tokens }) => sum + tokens, 0)
  return { tokens: sum(decoding), promptTokens: sum(prompts) }
}

function take(
  model: Model,
  answer: Answer,
  token: number | undefined
): { readonly text: string; readonly reason?: EndReason } {
  if (token === undefined) return { text: "" }
  if (model.isEnd(token)) return { text: answer.text.end(), reason: "stop" }
  const text = answer.text.push(model.bytesOf(token, answer.tokens.slice(-detokeniseTokens)))
  answer.tokens.push(token)
  if (answer.text.isStopped()) return { text, reason: "stop" }
  if (answer.tokens.length < answer.answerTokensMax) return { text }
  return { text: text + answer.text.end(), reason: "length" }
}

/** How many tokens before one decide whether its leading space is shown. */
const detokeniseTokens = 3
