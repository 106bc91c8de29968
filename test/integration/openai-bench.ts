/** What the tests of the engine for OpenAI's protocol share: servers on loopback that answer as a test says. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo, Socket } from "node:net"
import { text as textOf } from "node:stream/consumers"
import { it } from "@effect/vitest"
import { Effect, type Scope, Stream } from "effect"
import type { Engine, EngineError, Token } from "../../src/inference/engine.ts"
import { type OpenaiOptions, openOpenai } from "../../src/inference/openai.ts"

export interface Heard {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly body: Record<string, unknown>
}
export type Answering = (heard: Heard) => void | Promise<void>

export interface Serving {
  readonly port?: number
  /** What it answers to probes; 200 unless it is told otherwise. */
  readonly probed?: (path: string, response: ServerResponse) => void
}

const healthy = (_: string, response: ServerResponse) => void response.end("{}")

/** A server that answers as the test says, and counts its connections. */
export const serve = Effect.fnUntraced(function* (answer: Answering, { port = 0, probed = healthy }: Serving = {}) {
  const sockets: Array<Socket> = []
  const server = createServer({ keepAliveTimeout: 30_000 }, async (request, response) => {
    if (request.method === "GET") return probed(request.url ?? "", response)
    await answer({ request, response, body: JSON.parse(await textOf(request)) })
  })
  server.on("connection", (socket) => sockets.push(socket))
  const close = Effect.sync(() => {
    server.closeAllConnections()
    server.close()
  })
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => void server.listen(port, "127.0.0.1", () => resume(Effect.void))),
    () => close
  )
  const bound = (server.address() as AddressInfo).port
  return { sockets, close, port: bound, baseUrl: `http://127.0.0.1:${bound}/v1` }
})

/** While a test lasts. */
const unprobed = { probeEveryMs: 3_600_000 }
export const limits = {
  name: "remote",
  slotsMax: 4,
  connectMaxMs: 2_000,
  firstTokenMaxMs: 2_000,
  nextTokenMaxMs: 2_000,
  ...unprobed
}

export const open = (baseUrl: string, options: Partial<OpenaiOptions> = {}) =>
  openOpenai({ ...limits, baseUrls: [baseUrl], ...options })

export const requestOf = (text: string, answerTokensMax = 100) => ({
  id: "turn",
  user: "ann",
  messages: [{ role: "user" as const, content: text }],
  answerTokensMax,
  temperature: 0,
  stop: []
})

export const answerOf = (engine: Engine, text = "hello") => Stream.runCollect(engine.generate(requestOf(text)))
export const textOfTokens = (tokens: ReadonlyArray<Token>) =>
  tokens.map((token) => (token.type === "text" ? token.text : "")).join("")
export const errorOf = (engine: Engine): Effect.Effect<EngineError, unknown> => Effect.flip(answerOf(engine))

export const delta = (content: string) => `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`
export const ending = `data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n`

export function stream(response: ServerResponse): ServerResponse {
  return response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" })
}

export const test = (title: string, run: () => Effect.Effect<void, unknown, Scope.Scope>) =>
  it.live(title, () => Effect.scoped(run()))

export function writeForEver(response: ServerResponse, text: string): void {
  if (!response.destroyed) response.write(text, () => setImmediate(writeForEver, response, text))
}

const patient = { connectMaxMs: 60_000, firstTokenMaxMs: 60_000, nextTokenMaxMs: 60_000, slotsMax: 8 }

/** Servers that answer with their own letter, or as they are told, and count what they were asked. */
export const pool = Effect.fnUntraced(function* (
  tricks: ReadonlyArray<Answering | "answer">,
  options: Partial<OpenaiOptions> = {},
  serving: Serving = {}
) {
  const asked = tricks.map(() => 0)
  const servers = yield* Effect.forEach(tricks, (trick, index) =>
    serve((heard) => {
      asked[index]!++
      return trick === "answer" ? say(heard.response, letterOf(index)) : trick(heard)
    }, serving)
  )
  const engine = yield* openOpenai({
    ...{ ...limits, ...patient, baseUrls: servers.map(({ baseUrl }) => baseUrl) },
    ...options
  })
  const states = Effect.map(engine.servers!, (all) => all.map(({ isUp }) => isUp))
  return { engine, servers, asked, states }
})

const letterOf = (index: number) => "abc"[index]!
export const say = (response: ServerResponse, text: string) => void stream(response).end(delta(text) + ending)
export const answerTextOf = (engine: Engine) => Effect.map(answerOf(engine), textOfTokens)
