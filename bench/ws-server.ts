/**
 * The server of bench/ws.ts, in a process of its own: pages are connected, and shown what a model would say. With
 * `parley` it is the web chat behind its upgrade; with `bare` it is `ws` alone, which sends the same frames to all.
 */
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { Effect, Exit, Scope } from "effect"
import { type WebSocket, WebSocketServer } from "ws"
import { openWeb } from "../src/adapters/web/web.ts"
import { openSockets } from "../src/http/ws.ts"
import { nowMs } from "./load.ts"

export type Order =
  /** To every page a frame, `frames` times as fast as they are taken, or at so many frames a second over all. */
  { readonly type: "say"; readonly seconds: number; readonly perSecond?: number } | { readonly type: "weigh" }

export type Report =
  | { readonly type: "listening"; readonly port: number }
  | { readonly type: "said"; readonly frames: number; readonly cpuMs: number }
  | { readonly type: "weighed"; readonly rssBytes: number }

setFlagsFromString("--expose-gc")
const collect = runInNewContext("gc") as () => void
const report = (message: Report) => process.send?.(message)

const answerTokens = 512

/** As long as a token in English; ends with the time at which it was said. */
const tokenOf = () => ` token ${nowMs().toFixed(3)} `

interface Speaker {
  readonly sockets: Set<WebSocket>
  /** Says the text to each page. */
  readonly say: (text: string) => void
}

async function parley(server: Server): Promise<Speaker> {
  const scope = await Effect.runPromise(Scope.make())
  const sockets = new Set<WebSocket>()
  const threads = new Map<string, { turn: number; at: number }>()
  const opening = Effect.gen(function* () {
    const adapter = yield* openWeb({
      account: "chat",
      history: (thread) =>
        Effect.sync(() => {
          threads.set(thread, { turn: 0, at: Number.POSITIVE_INFINITY })
          return { seq: 0, messages: [] }
        }),
      wait: () => Effect.undefined,
      typing: () => {}
    })
    const connect = (socket: WebSocket) => {
      sockets.add(socket)
      socket.on("close", () => sockets.delete(socket))
      adapter.connect?.(socket)
    }
    yield* openSockets(server, { connect: () => connect, refuse: () => undefined })
    yield* Effect.forkScoped(adapter.listen(() => Effect.never))
    return adapter
  })
  const adapter = await Effect.runPromise(Effect.provideService(opening, Scope.Scope, scope))
  process.once("disconnect", () => void Effect.runPromise(Scope.close(scope, Exit.void)))
  return {
    sockets,
    say: (text) => {
      for (const [thread, answer] of threads) {
        if (answer.at > answerTokens * text.length) {
          Object.assign(answer, { turn: answer.turn + 1, at: 0 })
          adapter.show?.(thread, { type: "recorded", seq: 0, turn: answer.turn, attempt: 1, value: "awaiting-model" })
        }
        adapter.show?.(thread, { type: "text", turn: answer.turn, attempt: 1, at: answer.at, text })
        answer.at += text.length
      }
    }
  }
}

function bare(server: Server): Speaker {
  const wss = new WebSocketServer({ server, path: "/ws", perMessageDeflate: false })
  wss.on("connection", (socket) => socket.once("message", () => socket.send('{"type":"welcome"}')))
  const at = new Map<WebSocket, number>()
  return {
    sockets: wss.clients,
    say: (text) => {
      for (const socket of wss.clients) {
        const before = at.get(socket) ?? 0
        socket.send(JSON.stringify({ type: "delta", turn: 1, attempt: 1, at: before, text }))
        at.set(socket, (before + text.length) % (answerTokens * text.length))
      }
    }
  }
}

const tick = () => new Promise<void>((resolve) => setImmediate(resolve))

/** Both servers are held to the same: nobody is told more while a socket has not taken what was said before. */
async function sayAll(speaker: Speaker, { perSecond, seconds }: Extract<Order, { type: "say" }>): Promise<void> {
  const isAhead = () => [...speaker.sockets].some(({ bufferedAmount }) => bufferedAmount > 16_384)
  const startMs = nowMs()
  const before = process.cpuUsage()
  let rounds = 0
  while (nowMs() < startMs + seconds * 1_000) {
    const dueMs = perSecond === undefined ? 0 : startMs + (rounds * speaker.sockets.size * 1_000) / perSecond
    if (nowMs() >= dueMs && !isAhead()) {
      speaker.say(tokenOf())
      rounds++
    }
    await tick()
  }
  const { system, user } = process.cpuUsage(before)
  report({ type: "said", frames: rounds * speaker.sockets.size, cpuMs: (user + system) / 1_000 })
}

const server = createServer()
const speaker = process.argv[2] === "bare" ? bare(server) : await parley(server)
process.on("message", (order: Order) => {
  if (order.type === "say") void sayAll(speaker, order)
  else {
    collect()
    report({ type: "weighed", rssBytes: process.memoryUsage().rss })
  }
})
process.once("disconnect", () => process.exit())
server.listen(0, "127.0.0.1", 4_096, () => report({ type: "listening", port: (server.address() as AddressInfo).port }))
