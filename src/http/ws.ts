/** `GET /ws`: opens WebSockets, and hands them to the web chat (RFC 6455). */
import type { IncomingMessage, Server } from "node:http"
import type { Duplex } from "node:stream"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type WebSocket, WebSocketServer } from "ws"
import { frameMaxBytes } from "../adapters/web/wire.ts"
import { headersOfRefusals } from "./security-headers.ts"

export interface SocketOptions {
  /** Takes a socket over; undefined while the web chat is being opened. */
  readonly connect: () => ((socket: WebSocket) => void) | undefined
  /** Why a request is not let in, if it is not. */
  readonly refuse: (request: IncomingMessage) => Refusal | undefined
}

export interface Refusal {
  readonly status: number
  readonly code: string
  readonly message: string
  readonly headers?: Readonly<Record<string, string>>
}

const socketsMax = 20_000
/** For pages to answer that they are closed. */
const goodbyeMaxMs = 500

const nothing: Refusal = { status: 404, code: "not_found", message: "There is nothing here." }
const notOpen: Refusal = {
  status: 503,
  code: "not_open",
  message: "The web chat cannot take you just now.",
  headers: { "retry-after": "1" }
}

/** Takes the server's upgrades over. What is open is closed with the scope, and told to come back. */
export const openSockets = Effect.fn("Http.openSockets")(function* (
  server: Server,
  { connect, refuse }: SocketOptions
): Effect.fn.Return<void, never, Scope.Scope> {
  // With compression, 9,500 sockets that are written to take 2.3 GB and 99 of 100 messages longer.
  const sockets = new WebSocketServer({ noServer: true, maxPayload: frameMaxBytes, perMessageDeflate: false })
  const upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", () => {}) // it closes by itself
    const take = sockets.clients.size < socketsMax ? connect() : undefined
    const path = (request.url ?? "").split("?", 1)[0]
    const refusal = refuse(request) ?? (path !== "/ws" ? nothing : take === undefined ? notOpen : undefined)
    if (refusal !== undefined) return socket.end(answerOf(refusal))
    sockets.handleUpgrade(request, socket, head, (opened) => take?.(opened))
  }
  server.removeAllListeners("upgrade")
  server.on("upgrade", upgrade)
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      server.off("upgrade", upgrade)
      for (const open of sockets.clients) open.close(1012, "the server stops: come back in a moment")
      const ended = Effect.callback<void>((resume) => sockets.close(() => resume(Effect.void)))
      return Effect.timeoutOption(ended, goodbyeMaxMs)
    }).pipe(
      Effect.andThen(
        Effect.sync(() => {
          for (const open of sockets.clients) open.terminate()
        })
      )
    )
  )
})

function answerOf({ code, headers = {}, message, status }: Refusal): string {
  const body = JSON.stringify({ error: { code, message } })
  const lines = Object.entries({
    ...headersOfRefusals,
    ...headers,
    connection: "close",
    "content-type": "application/json",
    "content-length": String(Buffer.byteLength(body))
  }).map(([name, value]) => `${name}: ${value}`)
  return [`HTTP/1.1 ${status} ${code}`, ...lines, "", body].join("\r\n")
}
