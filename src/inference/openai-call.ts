/** One request to one server that speaks OpenAI's protocol, from its connection to its end, and the watch over both. */
import type * as Http from "node:http"
import type * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import { refuse, type Sent, sentOf } from "./aimd-limit.ts"
import {
  type EmbeddingRequest,
  type EngineError,
  EngineLost,
  EngineRefused,
  type EngineRequest,
  type Token
} from "./engine.ts"
import { noVectors, vectorsMaxBytes, vectorsOf } from "./openai-embeddings.ts"
import { hearFirst, pathOf, requestTo, type Server } from "./openai-server.ts"
import { type Answer, emptyAnswer, errorOf, finishOf, tokensOf } from "./openai-wire.ts"
import { readSse, type SseReader, sseReader } from "./sse.ts"

export type Tokens = Queue.Queue<Token, EngineError | Cause.Done>

export interface Question {
  readonly request: EngineRequest
  readonly body: string
  /** As estimated. */
  readonly promptTokens: number
}

/** How it ended without an answer. */
export interface Ending {
  readonly error: EngineError
  /** `unsent`: the server never had it. `unheard`: nothing of an answer was said. `begun`: something was. */
  readonly stage: "unsent" | "unheard" | "begun"
  /** What is wrong is the server's address, key or model, and not the request. */
  readonly isMisplaced: boolean
}

/** A line holds a delta, or a whole answer of a server that does not stream well. */
const lineMaxChars = 262_144
const errorBodyMaxBytes = 65_536
/** For the last bytes after `[DONE]`, so that the connection can be used again. */
const drainMaxMs = 1_000

interface Call {
  readonly server: Server
  readonly question: Question
  readonly tokens: Tokens
  readonly answer: Answer
  readonly reader: SseReader
  readonly ended: Deferred.Deferred<Ending>
  readonly sent: Sent
  request: Http.ClientRequest | undefined
  response: Http.IncomingMessage | undefined
  isResent: boolean
  sentMs: number | undefined
  isHeard: boolean
  isBegun: boolean
  /** When silence becomes a loss. */
  dueMs: number
  isSettled: boolean
}

/**
 * Says the answer and ends `tokens`, or returns how it ended; it ends `tokens` only after a whole answer. Interrupting
 * closes the connection, by which the server knows. `server.inFlight` counts it already.
 */
export const converse = Effect.fnUntraced(function* (
  server: Server,
  question: Question,
  tokens: Tokens
): Effect.fn.Return<Ending | undefined> {
  const { clock, inFlight, limit, options } = server
  const call: Call = {
    ...{ server, question, tokens, answer: emptyAnswer(textOf(question)), reader: sseReader(lineMaxChars) },
    ...{ ended: Deferred.makeUnsafe(), sent: sentOf(limit, inFlight, question.promptTokens) },
    ...{ request: undefined, response: undefined, isResent: false, sentMs: undefined, isHeard: false, isBegun: false },
    ...{ dueMs: clock.currentTimeMillisUnsafe() + options.connectMaxMs, isSettled: false }
  }
  const ending = Effect.acquireUseRelease(
    Effect.sync(() => send(call)),
    () => watch(call),
    () => Effect.suspend(() => hangUp(call))
  )
  return yield* ending
})

/** Vectors have none. */
const textOf = ({ request }: Question) => ("inputs" in request ? { answerTokensMax: 0 } : request)

/** Until it has ended, or nothing was heard for too long. */
const watch = Effect.fnUntraced(function* (call: Call) {
  const { clock, limit, options } = call.server
  for (;;) {
    const leftMs = call.dueMs - clock.currentTimeMillisUnsafe()
    if (call.answer.isOver) return undefined
    if (leftMs <= 0) {
      if (call.sentMs !== undefined && !call.isHeard) refuse(limit, call.sent, call.server.inFlight)
      lose(call, "was silent for too long")
    }
    // A connection or a first text may come meanwhile, and bring the end of patience nearer.
    const waitMs = Math.max(0, Math.min(leftMs, options.firstTokenMaxMs, options.nextTokenMaxMs))
    const ended = yield* Effect.timeoutOption(Deferred.await(call.ended), waitMs)
    if (Option.isSome(ended)) return ended.value
  }
})

function send(call: Call): void {
  const { question, server } = call
  const path = "inputs" in question.request ? "/embeddings" : "/chat/completions"
  const request = requestTo(server, "POST", pathOf(server.address, path), question.body)
  call.request = request
  request.on("socket", (socket) => {
    const sent = () => {
      call.sentMs = server.clock.currentTimeMillisUnsafe()
      postpone(call, server.options.firstTokenMaxMs)
    }
    if (socket.connecting) socket.once("connect", sent)
    else sent()
  })
  request.on("response", (response) => receive(call, response))
  request.on("error", (error) => {
    const isStale = request.reusedSocket && call.response === undefined && !call.isResent && !call.isSettled
    if (!isStale) return lose(call, `cannot be reached: ${error.message}`)
    // The server closed an idle connection as we took it: that says nothing about this request.
    call.isResent = true
    call.sentMs = undefined
    send(call)
  })
}

function receive(call: Call, response: Http.IncomingMessage): void {
  call.response = response
  response.on("error", (error) => lose(call, `cut the connection: ${error.message}`))
  const type = response.headers["content-type"] ?? "text/event-stream"
  const { request } = call.question
  if (response.statusCode !== 200) receiveError(call, response, response.statusCode ?? 0)
  else if ("inputs" in request) receiveVectors(call, request, response)
  else if (type.startsWith("text/event-stream")) receiveAnswer(call, response)
  else {
    const reason = `The model server streams no events, but answers with content of type ${type}. Is its baseUrl right?`
    settle(call, new EngineRefused({ reason }), true)
  }
}

function receiveAnswer(call: Call, response: Http.IncomingMessage): void {
  response.on("data", (chunk: Buffer) => {
    if (!call.isSettled) hear(call, chunk)
  })
  response.on("end", () => {
    if (call.isSettled) return
    const finish = finishOf(call.answer)
    if (Result.isFailure(finish)) settle(call, finish.failure)
    else say(call, [finish.success])
  })
}

function receiveVectors(call: Call, request: EmbeddingRequest, response: Http.IncomingMessage): void {
  const chunks: Array<Buffer> = []
  let size = 0
  response.on("data", (chunk: Buffer) => {
    if (call.isSettled) return
    chunks.push(chunk)
    size += chunk.length
    postpone(call, call.server.options.nextTokenMaxMs)
    if (size > vectorsMaxBytes) lose(call, "sent more than all vectors can be")
  })
  response.on("end", () => {
    if (call.isSettled) return
    const vectors = vectorsOf(request, Buffer.concat(chunks).toString())
    if (Result.isFailure(vectors)) return settle(call, vectors.failure)
    call.answer.isOver = true
    say(call, vectors.success)
  })
}

/** Of the statuses below 500 these are about the address, the key or the model, which are the same in every request. */
const misplacedStatuses: ReadonlyArray<number> = [401, 403, 404]

function receiveError(call: Call, response: Http.IncomingMessage, status: number): void {
  const { limit } = call.server
  const chunks: Array<Buffer> = []
  let size = 0
  const settleBy = () => {
    if (call.isSettled) return
    const nowMs = call.server.clock.currentTimeMillisUnsafe()
    const isMisplaced = misplacedStatuses.includes(status)
    const none = "inputs" in call.question.request ? noVectors(status) : undefined
    // One that makes no vectors has answers all the same.
    const error = none ?? errorOf(status, response.headers["retry-after"], Buffer.concat(chunks).toString(), nowMs)
    if (error._tag === "EngineBusy") refuse(limit, call.sent, call.server.inFlight)
    settle(call, error, none === undefined && error._tag === "EngineRefused" && isMisplaced)
  }
  // After the end, so that the connection is free for whoever asks next.
  response.on("close", settleBy)
  response.on("data", (chunk: Buffer) => {
    chunks.push(chunk)
    size += chunk.length
    if (size > errorBodyMaxBytes) settleBy()
  })
}

function hear(call: Call, chunk: Buffer): void {
  const said: Array<Token> = []
  let error: EngineError | undefined
  for (const event of readSse(call.reader, chunk)) {
    const tokens = tokensOf(call.answer, event)
    if (Result.isFailure(tokens)) error = tokens.failure
    else said.push(...tokens.success)
    if (call.answer.isOver || error !== undefined) break
  }
  if (said.length > 0) say(call, said)
  if (error !== undefined) settle(call, error)
  else if (call.reader.isOverlong) lose(call, "sent a line that is too long")
}

function say(call: Call, said: ReadonlyArray<Token>): void {
  const { answer, sent, sentMs, server, tokens } = call
  postpone(call, server.options.nextTokenMaxMs)
  server.words++
  if (!call.isHeard) {
    call.isHeard = true
    const nowMs = server.clock.currentTimeMillisUnsafe()
    hearFirst(server, sent, nowMs - (sentMs ?? nowMs))
  }
  call.isBegun ||= said.some(({ type }) => type !== "progress")
  Queue.offerAllUnsafe(tokens, said)
  if (!answer.isOver) return
  call.isSettled = true
  Queue.endUnsafe(tokens)
}

function postpone(call: Call, ms: number): void {
  call.dueMs = call.server.clock.currentTimeMillisUnsafe() + ms
}

function lose(call: Call, what: string): void {
  settle(call, new EngineLost({ reason: `The model server ${what}.` }))
}

function settle(call: Call, error: EngineError, isMisplaced = false): void {
  if (call.isSettled) return
  call.isSettled = true
  const told = "reason" in error ? withoutSecret(error, call.server.options.apiKey) : error
  const stage = call.isBegun ? "begun" : call.sentMs === undefined ? "unsent" : "unheard"
  Deferred.doneUnsafe(call.ended, Effect.succeed({ error: told, stage, isMisplaced }))
}

/** Servers quote the key that they refuse. */
function withoutSecret(error: EngineLost | EngineRefused, apiKey = ""): EngineLost | EngineRefused {
  const reason = apiKey === "" ? error.reason : error.reason.replaceAll(apiKey, "[key]")
  return error._tag === "EngineLost" ? new EngineLost({ reason }) : new EngineRefused({ ...error, reason })
}

/** Leaves the connection to the next request when this one got its whole answer, and closes it at once otherwise. */
function hangUp(call: Call): Effect.Effect<void> {
  const { answer, request, response, server } = call
  call.isSettled = true
  if (response?.complete) return Effect.void
  const close = Effect.sync(() => {
    if (call.response?.complete !== true) request?.destroy()
  })
  const isDraining = answer.isOver && answer.textChars <= answer.textMaxChars
  if (!isDraining) return close
  const later = Effect.interruptible(Effect.andThen(Effect.sleep(drainMaxMs), close))
  return Effect.asVoid(Effect.forkIn(later, server.scope))
}
