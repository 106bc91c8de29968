/** The engine that is another server: llama-server, vLLM, Ollama, whatever speaks OpenAI's chat completions. */

import * as Http from "node:http"
import * as Https from "node:https"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import {
  type Engine,
  EngineBroken,
  type EngineError,
  EngineLost,
  EngineRefused,
  type InferenceRequest,
  type OpenEngine,
  type Token
} from "./engine.ts"
import { type Answer, bodyOf, emptyAnswer, errorOf, finishOf, tokensOf } from "./openai-wire.ts"
import { readSse, type SseReader, sseReader } from "./sse.ts"

export interface OpenaiOptions {
  readonly name: string
  /** As OpenAI's clients take it: with `/v1`. */
  readonly baseUrl: string
  readonly apiKey?: string
  readonly model?: string
  /** Requests we have in flight there; the server should have as many slots. */
  readonly slotsMax: number
  readonly connectMaxMs: number
  /** From the connection to the first text: as long as the longest prompt may take, in the server's queue too. */
  readonly firstTokenMaxMs: number
  readonly nextTokenMaxMs: number
  /** The server's context, when it does not cut long histories itself. */
  readonly contextTokens?: number
}

/** A line holds a delta, or a whole answer of a server that does not stream well. */
const lineMaxChars = 262_144
const errorBodyMaxBytes = 65_536
/** For the last bytes after `[DONE]`, so that the connection can be used again. */
const drainMaxMs = 1_000

type Tokens = Queue.Queue<Token, EngineError | Cause.Done>

interface Server {
  readonly options: OpenaiOptions
  readonly address: URL
  readonly agent: Http.Agent
  readonly clock: Clock.Clock
  /** Why it is believed to be out of reach; asked again by `isReady`. */
  trouble: string | undefined
}

interface Call {
  readonly server: Server
  readonly tokens: Tokens
  readonly body: string
  readonly answer: Answer
  readonly reader: SseReader
  request: Http.ClientRequest | undefined
  response: Http.IncomingMessage | undefined
  isResent: boolean
  /** When silence becomes a loss. */
  dueMs: number
  isSettled: boolean
}

/**
 * Silence, a cut connection and an answer of 5xx are `EngineLost`, 429 and 503 are `EngineBusy`. Interrupting a
 * stream closes its connection, by which the server knows. It uses node:http: 60 µs of CPU a request (fetch 180,
 * undici 50, but that is a package).
 */
export const openOpenai = Effect.fnUntraced(function* (options: OpenaiOptions) {
  const address = yield* addressOf(options)
  const { Agent } = address.protocol === "https:" ? Https : Http
  const agent = yield* Effect.acquireRelease(
    Effect.sync(() => new Agent({ keepAlive: true, maxFreeSockets: options.slotsMax })),
    (agent) => Effect.sync(() => agent.destroy())
  )
  const server: Server = { options, address, agent, clock: yield* Clock.Clock, trouble: undefined }
  const engine: Engine = {
    name: options.name,
    slotsMax: options.slotsMax,
    generate: (request) => Stream.callback((tokens: Tokens) => converse(server, request, tokens)),
    isReady: Effect.suspend(() => (server.trouble === undefined ? Effect.succeed(true) : probe(server))),
    trouble: Effect.sync(() => server.trouble)
  }
  return engine
}) satisfies (options: OpenaiOptions) => OpenEngine

function addressOf({ baseUrl, name }: OpenaiOptions): Effect.Effect<URL, EngineBroken> {
  const address = URL.parse(baseUrl)
  if (address?.protocol === "http:" || address?.protocol === "https:") return Effect.succeed(address)
  const reason = "Its baseUrl is no http or https address; it should look like http://127.0.0.1:9000/v1."
  return Effect.fail(new EngineBroken({ model: name, reason }))
}

/** Lasts as long as the stream: it is the watch over the silence of the server. */
const converse = Effect.fnUntraced(function* (server: Server, request: InferenceRequest, tokens: Tokens) {
  const { clock, options } = server
  const call: Call = {
    server,
    tokens,
    body: bodyOf(request, options),
    answer: emptyAnswer(request),
    reader: sseReader(lineMaxChars),
    request: undefined,
    response: undefined,
    isResent: false,
    dueMs: clock.currentTimeMillisUnsafe() + options.connectMaxMs,
    isSettled: false
  }
  yield* Effect.acquireRelease(
    Effect.sync(() => send(call)),
    () => Effect.sync(() => hangUp(call))
  )
  for (;;) {
    const leftMs = call.dueMs - clock.currentTimeMillisUnsafe()
    if (leftMs <= 0) return lose(call, "was silent for too long")
    // A connection or a first text may come meanwhile, and bring the end of patience nearer.
    yield* Effect.sleep(Math.min(leftMs, options.firstTokenMaxMs, options.nextTokenMaxMs))
  }
})

function send(call: Call): void {
  const { server } = call
  const request = callServer(server, "POST", "/chat/completions", call.body)
  call.request = request
  request.on("socket", (socket) => {
    const sent = () => postpone(call, server.options.firstTokenMaxMs)
    if (socket.connecting) socket.once("connect", sent)
    else sent()
  })
  request.on("response", (response) => receive(call, response))
  request.on("error", (error) => {
    const isStale = request.reusedSocket && call.response === undefined && !call.isResent && !call.isSettled
    if (!isStale) return lose(call, `cannot be reached: ${error.message}`)
    // The server closed an idle connection as we took it: that says nothing about this request.
    call.isResent = true
    send(call)
  })
}

function callServer({ address, agent, options }: Server, method: string, path: string, body = ""): Http.ClientRequest {
  const request = address.protocol === "https:" ? Https.request : Http.request
  return request({
    agent,
    method,
    protocol: address.protocol,
    hostname: address.hostname,
    port: address.port,
    path: `${address.pathname.replace(/\/$/, "")}${path}${address.search}`,
    headers: {
      accept: "text/event-stream",
      "content-type": "application/json",
      "content-length": Buffer.byteLength(body),
      ...(options.apiKey !== undefined && { authorization: `Bearer ${options.apiKey}` })
    }
  }).end(body)
}

function receive(call: Call, response: Http.IncomingMessage): void {
  call.response = response
  response.on("error", (error) => lose(call, `cut the connection: ${error.message}`))
  const type = response.headers["content-type"] ?? "text/event-stream"
  if (response.statusCode !== 200) receiveError(call, response, response.statusCode ?? 0)
  else if (type.startsWith("text/event-stream")) receiveAnswer(call, response)
  else {
    const reason = `The model server streams no events, but answers with content of type ${type}. Is its baseUrl right?`
    settle(call, new EngineRefused({ reason }))
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

function receiveError(call: Call, response: Http.IncomingMessage, status: number): void {
  const chunks: Array<Buffer> = []
  let size = 0
  const settleBy = () => {
    const nowMs = call.server.clock.currentTimeMillisUnsafe()
    settle(call, errorOf(status, response.headers["retry-after"], Buffer.concat(chunks).toString(), nowMs))
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
  postpone(call, call.server.options.nextTokenMaxMs)
  Queue.offerAllUnsafe(call.tokens, said)
  if (!call.answer.isOver) return
  call.isSettled = true
  Queue.endUnsafe(call.tokens)
}

function postpone(call: Call, ms: number): void {
  call.dueMs = call.server.clock.currentTimeMillisUnsafe() + ms
}

function lose(call: Call, what: string): void {
  settle(call, new EngineLost({ reason: `The model server ${what}.` }))
}

function settle(call: Call, error: EngineError): void {
  if (call.isSettled) return
  call.isSettled = true
  const { options } = call.server
  const told = "reason" in error ? withoutSecret(error, options.apiKey) : error
  if (told._tag === "EngineLost") call.server.trouble = `${call.server.address.origin}: ${told.reason}`
  Queue.failCauseUnsafe(call.tokens, Cause.fail(told))
}

/** Servers quote the key that they refuse. */
function withoutSecret(error: EngineLost | EngineRefused, apiKey = ""): EngineLost | EngineRefused {
  const reason = apiKey === "" ? error.reason : error.reason.replaceAll(apiKey, "[key]")
  return error._tag === "EngineLost" ? new EngineLost({ reason }) : new EngineRefused({ reason })
}

/** Leaves the connection to the next request when this one got its whole answer, and closes it at once otherwise. */
function hangUp(call: Call): void {
  const { answer, request, response } = call
  call.isSettled = true
  if (response?.complete) return
  const isDraining = answer.isOver && answer.textChars <= answer.textMaxChars
  if (isDraining) request?.setTimeout(drainMaxMs, () => request.destroy())
  else request?.destroy()
}

/** Any answer but 5xx says that it is there. */
function probe(server: Server): Effect.Effect<boolean> {
  const answered = Effect.callback<boolean>((resume) => {
    const request = callServer(server, "GET", "/models")
    request.on("error", () => resume(Effect.succeed(false)))
    request.on("response", (response) => {
      response.resume()
      const isThere = (response.statusCode ?? 500) < 500
      if (isThere) server.trouble = undefined
      resume(Effect.succeed(isThere))
    })
    return Effect.sync(() => request.destroy())
  })
  const { connectMaxMs } = server.options
  return Effect.timeoutOrElse(answered, { duration: connectMaxMs, orElse: () => Effect.succeed(false) })
}
