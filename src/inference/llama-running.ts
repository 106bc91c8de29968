/** What a worker is answering: each request as a job, and what the worker says of it as tokens. */
import * as Cause from "effect/Cause"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import type { EngineError, EngineRefused, InferenceRequest, Token } from "./engine.ts"
import { answerGrammar } from "./shape/answer-grammar.ts"
import { endOf, hearText, type ToolAnswer, toolAnswer } from "./shape/tool-answer.ts"
import { callStart, withTools } from "./shape/tool-text.ts"
import type { Decoded, Embedded, Job, ToWorker } from "./worker/wire.ts"

export type Tokens = Queue.Queue<Token, EngineError | Cause.Done>

export interface Running {
  readonly tokens: Tokens
  /** Present when the answer may have calls. */
  readonly toolAnswer: ToolAnswer | undefined
}

export type AllRunning = Map<number, Running>

/** With the grammar of what it asks for, if one can be made of it. */
export function jobOf(
  key: number,
  request: InferenceRequest & { readonly seed: number }
): Result.Result<Job, EngineRefused> {
  const { id: _id, mayDrop = true, messages, shape, toolUse, user: _user, ...asked } = request
  return Result.map(answerGrammar(shape, toolUse), (grammar) => ({
    ...asked,
    key,
    mayDrop,
    messages: withTools(messages, toolUse),
    grammar,
    stopUntil: toolUse && callStart
  }))
}

export function runningOf(work: Extract<ToWorker, { readonly job: unknown }>, tokens: Tokens): Running {
  const mayCall = work.type === "generate" && work.job.stopUntil !== undefined
  return { tokens, toolAnswer: mayCall ? toolAnswer() : undefined }
}

export function hearStep(running: AllRunning, { ends, texts }: Decoded): void {
  // A key that is not there was interrupted after the step began.
  for (const [key, text] of texts) {
    const one = running.get(key)
    if (one !== undefined) Queue.offerAllUnsafe(one.tokens, tokensOf(one, text))
  }
  for (const [key, reason, usage] of ends) {
    const one = running.get(key)
    if (one === undefined) continue
    const end = one.toolAnswer === undefined ? { said: [], reason } : endOf(one.toolAnswer, reason)
    Queue.offerAllUnsafe(one.tokens, [...end.said, { type: "finish", reason: end.reason, usage }])
    Queue.endUnsafe(one.tokens)
    running.delete(key)
  }
}

export function hearVector(running: AllRunning, { key, promptTokens, vector }: Embedded): void {
  const one = running.get(key)
  if (one === undefined) return
  if (vector === undefined) Queue.offerUnsafe(one.tokens, progress)
  else Queue.offerUnsafe(one.tokens, { type: "vector", index: vector[0], vector: vector[1] })
  if (promptTokens === undefined) return
  const usage = { promptTokens, cachedTokens: 0, answerTokens: 0 }
  Queue.offerUnsafe(one.tokens, { type: "finish", reason: "stop", usage })
  Queue.endUnsafe(one.tokens)
  running.delete(key)
}

function tokensOf({ toolAnswer }: Running, text: string): ReadonlyArray<Token> {
  if (text === "") return [progress]
  const said = toolAnswer === undefined ? [{ type: "text" as const, text }] : hearText(toolAnswer, text)
  return said.length === 0 ? [progress] : said
}

const progress: Token = { type: "progress" }

export function refuse(running: AllRunning, key: number, error: EngineError): void {
  const one = running.get(key)
  running.delete(key)
  if (one !== undefined) Queue.failCauseUnsafe(one.tokens, Cause.fail(error))
}

export function loseAll(running: AllRunning, error: EngineError): void {
  const lost = Cause.fail(error)
  for (const { tokens } of running.values()) Queue.failCauseUnsafe(tokens, lost)
  running.clear()
}
