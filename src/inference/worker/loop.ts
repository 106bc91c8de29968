/** Decodes all answers together, one step at a time. What goes into a step is decided in step.ts. */
import type { RequestPart, Usage } from "../engine.ts"
import { type AnswerText, answerText } from "./answer-text.ts"
import type { Awaited, Past, Reading } from "./cache.ts"
import { openEmbeddings } from "./embeddings.ts"
import { JobRefused } from "./job-refused.ts"
import type { DecodeRow, Model, Sampler } from "./model.ts"
import { openPrefixCache, type PrefixCache } from "./prefix-cache.ts"
import * as Step from "./step.ts"
import type { Decoded, EmbeddingJob, EndReason, FromWorker, Job, Room } from "./wire.ts"

export interface Loop {
  /** No more at once than there are slots. */
  readonly generate: (job: Job) => void
  readonly embed: (job: EmbeddingJob) => void
  /** Seen between two steps. One that has ended, or never was, is nothing. */
  readonly abort: (key: number) => void
  /** Between two steps, all that is kept of answers that have ended. */
  readonly forget: () => void
  readonly isIdle: () => boolean
  readonly room: () => Room
  /** Never returns; rejects when llama.cpp cannot go on. */
  readonly run: () => Promise<never>
}

interface LoopLimits {
  readonly slotsMax: number
  readonly stepTokensMax: number
  /** Of what is kept of past answers beside the sequences themselves. */
  readonly cacheBytesMax: number
}

interface Answer {
  readonly key: number
  readonly prompt: ReadonlyArray<number>
  readonly tokens: Array<number>
  readonly answerTokensMax: number
  readonly text: AnswerText
  readonly sampler: Sampler
  /** Tokens of its sequence that are decoded, and of the prompt those that were before. */
  decoded: number
  cachedTokens: number
}

export function openLoop(model: Model, limits: LoopLimits, send: (message: FromWorker) => void): Loop {
  const { cacheBytesMax, slotsMax, stepTokensMax } = limits
  const prefixes = openPrefixCache(model, { sequences: slotsMax, bytesMax: cacheBytesMax, stepTokensMax })
  const table: Table = {
    ...{ model, prefixes, send, answers: new Map(), waiting: new Map(), plan: Step.empty(slotsMax, stepTokensMax) },
    untold: undefined
  }
  const { answers, waiting } = table
  let arrived: Array<Job> = []
  const embeddings = openEmbeddings(model.embedding, send)
  const aborted: Array<number> = []
  let isForgetting = false
  let wake: () => void = () => {}
  const isIdle = () => answers.size + waiting.size + arrived.length === 0 && embeddings.isIdle()
  return {
    generate: (job) => {
      arrived.push(job)
      wake()
    },
    embed: (job) => {
      embeddings.embed(job)
      wake()
    },
    abort: (key) => {
      embeddings.abort(key)
      arrived = arrived.filter((job) => job.key !== key)
      if (answers.has(key) || waiting.has(key)) aborted.push(key)
    },
    forget: () => {
      isForgetting = true
      wake()
    },
    isIdle,
    room: () => roomOf(answers.values(), prefixes),
    run: async () => {
      for (;;) {
        if (isIdle()) await new Promise<void>((resolve) => (wake = resolve))
        if (arrived.length + waiting.size > 0) tell(table)
        do {
          await seatWaiting(table)
          // Whoever was stopped has made room for who comes.
          for (const key of aborted.splice(0)) leave(table, key)
          if (isForgetting) prefixes.clear()
          isForgetting = false
          const job = arrived.shift()
          if (job !== undefined) await enter(table, job)
        } while (arrived.length > 0 || aborted.length > 0)
        if (answers.size > 0) await step(table)
        if (answers.size === 0 || !embeddings.isIdle()) tell(table)
        await embeddings.step()
      }
    }
  }
}

/** Changed in place, by the functions below alone. */
interface Table {
  readonly model: Model
  readonly prefixes: PrefixCache
  readonly send: (message: FromWorker) => void
  readonly answers: Map<number, Answer>
  /** Those that have no sequence yet, and whom each waits for. */
  readonly waiting: Map<number, { readonly answer: Answer; readonly awaited: Awaited }>
  plan: Step.Plan
  /** Of the last step: to be told while the next one is computed, as telling wakes another process. */
  untold: Omit<Decoded, "room"> | undefined
}

function tell(table: Table): void {
  const { answers, prefixes, send, untold } = table
  table.untold = undefined
  if (untold !== undefined) send({ ...untold, room: roomOf(answers.values(), prefixes) })
}

function leave(table: Table, key: number): void {
  const { answers, plan, prefixes, waiting } = table
  waiting.get(key)?.answer.sampler.dispose()
  waiting.delete(key)
  const answer = answers.get(key)
  if (answer === undefined) return
  answer.sampler.dispose()
  answers.delete(key)
  const id = plan.sequences.findIndex((sequence) => sequence?.key === key)
  prefixes.release(id, pastOf(answer))
  table.plan = Step.release(plan, key)
}

async function enter(table: Table, job: Job): Promise<void> {
  const { model, prefixes, send, waiting } = table
  const answer = begin(model, job, send)
  if (answer === undefined) return
  const awaited = prefixes.awaitedBy(answer.prompt, readingOf(table), () => inUseOf(table))
  if (awaited === undefined) await seat(table, answer)
  else waiting.set(job.key, { answer, awaited })
}

/** Those whose waiting is over. */
async function seatWaiting(table: Table): Promise<void> {
  for (const [key, { answer, awaited }] of table.waiting) {
    const reader = table.answers.get(awaited.key)
    if (reader !== undefined && reader.decoded < awaited.tokens) continue
    table.waiting.delete(key)
    await seat(table, answer)
  }
}

/** Gives it a sequence, with what is kept of its prompt. */
async function seat(table: Table, answer: Answer): Promise<void> {
  const { answers, plan, prefixes, send } = table
  const { key } = answer
  const inUse = inUseOf(table)
  // In it from here on, so that an abort finds it.
  answers.set(key, answer)
  const { found, id, tokens } = await prefixes.ready(answer.prompt, inUse)
  answer.decoded = answer.cachedTokens = tokens
  const promptTokens = answer.prompt.length
  table.plan = Step.admit(plan, id, key, promptTokens - tokens)
  send({ type: "begun", key, promptTokens, cachedTokens: tokens, found })
}

function inUseOf({ answers, plan }: Table): ReadonlyArray<Past | undefined> {
  return plan.sequences.map((sequence) => sequence && pastOf(answers.get(sequence.key)!))
}

function readingOf({ answers }: Table): ReadonlyArray<Reading> {
  return [...answers.values()].filter(({ decoded, prompt }) => decoded < prompt.length)
}

async function step(table: Table): Promise<void> {
  const { answers, model, prefixes } = table
  const sinceMs = performance.now()
  const [{ moves, rows }, after] = Step.next(table.plan)
  for (const { from, to } of moves) await prefixes.move(from, to)
  table.plan = after
  const decoding = rows.map((row) => ({ ...row, answer: answers.get(row.key)! }))
  const counts = countsOf(decoding)
  const asked = decoding.map(({ answer, id, isSampled, tokens }) => rowOf(id, answer, tokens, isSampled))
  const decoded = model.decode(asked)
  tell(table)
  const sampled = await decoded
  const texts: Array<Decoded["texts"][number]> = []
  const ends: Array<Decoded["ends"][number]> = []
  for (const [i, { answer, key, tokens }] of decoding.entries()) {
    answer.decoded += tokens
    const { reason, text } = take(model, answer, sampled[i])
    texts.push([key, text])
    if (reason === undefined) continue
    ends.push([key, reason, usageOf(answer)])
    leave(table, key)
  }
  const tookMs = performance.now() - sinceMs
  table.untold = { type: "decoded", ...counts, tookMs, texts, ends }
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
    return { key, prompt: prompt.tokens, tokens: [], answerTokensMax, text, sampler, decoded: 0, cachedTokens: 0 }
  } catch (cause) {
    if (cause instanceof JobRefused) return refuse(cause.part, cause.message)
    const reason = cause instanceof Error ? cause.message : String(cause)
    return refuse("messages", `the model's chat template does not take this conversation: ${reason}`)
  }
}

/** What its sequence holds. */
function pastOf({ decoded, prompt, tokens }: Answer): Past {
  const promptTokens = Math.min(decoded, prompt.length)
  return { tokens: [...prompt.slice(0, decoded), ...tokens.slice(0, decoded - promptTokens)], promptTokens }
}

function usageOf({ cachedTokens, prompt, tokens }: Answer): Required<Usage> {
  return { promptTokens: prompt.length, answerTokens: tokens.length, cachedTokens }
}

function roomOf(answers: Iterable<Answer>, prefixes: PrefixCache): Room {
  const room = { usedTokens: 0, reservedTokens: 0, ...prefixes.size() }
  for (const { answerTokensMax, decoded, prompt } of answers) {
    room.usedTokens += decoded
    room.reservedTokens += prompt.length + answerTokensMax
  }
  return room
}

function rowOf(id: number, { decoded, prompt, sampler, tokens }: Answer, count: number, isSampled: boolean): DecodeRow {
  const isPrompt = decoded < prompt.length
  return {
    id,
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
