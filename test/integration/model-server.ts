/**
 * A small server that speaks OpenAI's chat completions, for kill tests and benches. It answers `echo: ` and the last
 * user message, in a few deltas. As a process of its own: `node test/integration/model-server.ts PORT DELAY_MS`; it
 * prints `listening PORT`. `GET /stats` is all it did. The message may tell it to misbehave, `once` or whenever it is
 * asked:
 *
 *   `!status 429`  answers with that status        `!drop 2`     cuts the connection after two deltas
 *   `!hang 2`      is silent after two deltas       `!once drop 2` does so for the first request with this text
 *   `!call f {}`   calls the function f
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { text as textOf } from "node:stream/consumers"
import { scheduler } from "node:timers/promises"
import { pathToFileURL } from "node:url"

export interface ServedRequest {
  /** The last user message, cut to 200 characters. */
  readonly text: string
  readonly model: string | undefined
  /** All but its messages, which are there when it is told to call. */
  readonly body: Readonly<Record<string, unknown>>
  readonly beganMs: number
  firstDeltaMs?: number
  endedMs?: number
  /** `aborted`: the client went away before the end. */
  outcome: "streaming" | "finished" | "aborted" | "dropped" | "refused"
}

export interface ServerStats {
  readonly begun: number
  readonly finished: number
  readonly aborted: number
  readonly inFlight: number
  readonly inFlightMost: number
  readonly streaming: number
  readonly connections: number
  readonly requests: ReadonlyArray<ServedRequest>
}

export interface ModelServer {
  /** With `/v1`, as in `baseUrl`. */
  readonly url: string
  readonly port: number
  readonly stats: () => ServerStats
  /** Cuts all connections. */
  readonly close: () => Promise<void>
}

interface Desk {
  readonly delayMs: number
  readonly requests: Array<ServedRequest>
  readonly seen: Set<string>
  connections: number
  inFlight: number
  inFlightMost: number
}

type Body = { model?: string; stream?: boolean; messages: ReadonlyArray<{ role: string; content: string }> }

const nowMs = () => performance.timeOrigin + performance.now()

/** `port` 0 takes a free one; `delayMs` lies before each delta. */
export async function startModelServer({ port = 0, delayMs = 0 } = {}): Promise<ModelServer> {
  const desk: Desk = { delayMs, requests: [], seen: new Set(), connections: 0, inFlight: 0, inFlightMost: 0 }
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    handle(desk, request, response).catch((error: unknown) => response.destroy(error as Error))
  })
  server.on("connection", () => desk.connections++)
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", 1_024, resolve))
  const bound = (server.address() as AddressInfo).port
  return {
    url: `http://127.0.0.1:${bound}/v1`,
    port: bound,
    stats: () => statsOf(desk),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}

function statsOf({ connections, inFlight, inFlightMost, requests }: Desk): ServerStats {
  const count = (outcome: ServedRequest["outcome"]) => requests.filter((request) => request.outcome === outcome).length
  return {
    begun: requests.length,
    finished: count("finished"),
    aborted: count("aborted"),
    inFlight,
    inFlightMost,
    streaming: requests.filter(({ firstDeltaMs, outcome }) => firstDeltaMs && outcome === "streaming").length,
    connections,
    requests
  }
}

async function handle(desk: Desk, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const json = (status: number, body: unknown) => {
    response.writeHead(status, { "content-type": "application/json", ...(status === 429 && { "retry-after": "1" }) })
    response.end(JSON.stringify(body))
  }
  const { method, url } = request
  if (method === "GET" && url === "/stats") return json(200, statsOf(desk))
  if (method === "GET" && url === "/v1/models") return json(200, { object: "list", data: [{ id: "echo" }] })
  if (method !== "POST" || url !== "/v1/chat/completions") return json(404, { error: { message: "No such path." } })
  const body = JSON.parse(await textOf(request)) as Body
  const text = body.messages.findLast(({ role }) => role === "user")?.content ?? ""
  const called = /^!call (\w+) (.*)$/.exec(text)
  const { messages, ...asked } = body
  const served: ServedRequest = {
    text: text.slice(0, 200),
    model: body.model,
    body: called === null ? asked : { ...asked, messages },
    beganMs: nowMs(),
    outcome: "streaming"
  }
  desk.requests.push(served)
  desk.inFlightMost = Math.max(desk.inFlightMost, ++desk.inFlight)
  response.on("close", () => {
    desk.inFlight--
    served.endedMs = nowMs()
    if (served.outcome === "streaming") served.outcome = "aborted"
  })
  const trick = trickOf(desk, text)
  if (trick?.name === "status") {
    served.outcome = "refused"
    return json(trick.number, { error: { message: `It was told to answer ${trick.number}.` } })
  }
  const answer = `echo: ${text}`
  if (body.stream !== true) {
    served.outcome = "finished"
    return json(200, {
      choices: [{ index: 0, message: { role: "assistant", content: answer }, finish_reason: "stop" }]
    })
  }
  if (called !== null) return call(served, response, called[1]!, called[2]!)
  await stream(desk, served, response, answer, trick)
}

interface Trick {
  readonly name: string
  readonly number: number
}

function trickOf({ seen }: Desk, text: string): Trick | undefined {
  const [, once, name = "", number] = /!(once )?(status|drop|hang) (\d+)/.exec(text) ?? []
  const isOver = once !== undefined && seen.has(text)
  if (once !== undefined) seen.add(text)
  return name === "" || isOver ? undefined : { name, number: Number(number) }
}

async function stream(
  { delayMs }: Desk,
  served: ServedRequest,
  response: ServerResponse,
  answer: string,
  trick: Trick | undefined
): Promise<void> {
  response.writeHead(200, { "content-type": "text/event-stream" })
  const deltas = deltasOf(answer)
  // Without a delay all of it is one write, so that a bench measures its client.
  let unsent = ""
  for (const [index, content] of deltas.entries()) {
    if (delayMs > 0) await scheduler.wait(delayMs)
    if (response.destroyed) return
    if (trick?.number === index) return misbehave(served, response, trick, unsent)
    served.firstDeltaMs ??= nowMs()
    unsent += eventOf({ choices: [{ index: 0, delta: { content }, finish_reason: null }] })
    if (delayMs === 0) continue
    response.write(unsent)
    unsent = ""
  }
  const usage = { prompt_tokens: 10, completion_tokens: deltas.length, total_tokens: 10 + deltas.length }
  unsent += eventOf({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] }) + eventOf({ choices: [], usage })
  served.outcome = "finished"
  response.end(`${unsent}data: [DONE]\n\n`)
}

/** As llama-server does: the name first, then the arguments in pieces. */
function call(served: ServedRequest, response: ServerResponse, name: string, given: string): void {
  response.writeHead(200, { "content-type": "text/event-stream" })
  const delta = (tool_call: object) => eventOf({ choices: [{ index: 0, delta: { tool_calls: [tool_call] } }] })
  const head = delta({ index: 0, id: "call_echo", type: "function", function: { name, arguments: "" } })
  const pieces = (given.match(/.{1,5}/g) ?? []).map((piece) => delta({ index: 0, function: { arguments: piece } }))
  const end = eventOf({ choices: [{ index: 0, delta: {}, finish_reason: "tool_calls" }] })
  served.outcome = "finished"
  response.end(`${head}${pieces.join("")}${end}data: [DONE]\n\n`)
}

function misbehave(served: ServedRequest, response: ServerResponse, { name }: Trick, unsent: string): void {
  if (name === "hang") {
    response.write(unsent)
    return
  }
  served.outcome = "dropped"
  // What was written leaves before the connection is cut.
  response.write(unsent, () => response.destroy())
}

function eventOf(fields: object): string {
  const id = "chatcmpl-echo"
  return `data: ${JSON.stringify({ id, object: "chat.completion.chunk", created: 0, model: "echo", ...fields })}\n\n`
}

/** At most eight, and whole characters each. */
function deltasOf(answer: string): ReadonlyArray<string> {
  const characters = [...answer]
  const length = Math.max(1, Math.ceil(characters.length / 8))
  return Array.from({ length: Math.ceil(characters.length / length) }, (_, index) =>
    characters.slice(index * length, (index + 1) * length).join("")
  )
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const [port = 0, delayMs = 0] = process.argv.slice(2).map(Number)
  const server = await startModelServer({ port, delayMs })
  process.stdout.write(`listening ${server.port}\n`)
}
