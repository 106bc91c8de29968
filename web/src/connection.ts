/**
 * The WebSocket that comes back by itself.
 *
 *   connecting ──welcome──▶ live ──closed──▶ waiting ──delay or wake──▶ connecting
 *        └─────closed or no welcome─────────────▲
 *
 *   K1. While it is not closed for good, it is connected or has a time at which it tries again.
 *   K2. A delay is never more than `delayMaxMs`, nor less than half of what it grew to.
 *   K3. After `close` nothing is heard of it, and nothing is opened.
 */
import type { ClientFrame, ServerFrame } from "../../src/adapters/web/frames.ts"
import { parseFrame } from "./frame.ts"

/** The part of WebSocket that is used. */
export interface Socket {
  onopen: (() => void) | null
  onmessage: ((event: { readonly data: unknown }) => void) | null
  onclose: (() => void) | null
  send(data: string): void
  close(): void
}

export interface ConnectionPorts {
  readonly now: () => number
  /** 0 ≤ r < 1 */
  readonly random: () => number
  /** Returns what cancels it. */
  readonly after: (delayMs: number, then: () => void) => () => void
  readonly open: () => Socket
}

export type ConnectionStatus =
  | { readonly phase: "connecting" | "live" }
  | { readonly phase: "waiting"; readonly retryAtMs: number }

export interface ConnectionListener {
  readonly hello: () => ClientFrame
  readonly frame: (frame: ServerFrame) => void
  readonly status: (status: ConnectionStatus) => void
  /** It ended before it was welcome: the person may have to log in. */
  readonly refused: () => void
}

export const delayFirstMs = 500
export const delayMaxMs = 30_000
/** A server that takes longer to say welcome is tried anew. */
export const welcomeMaxMs = 10_000
/** A connection that lived shorter does not make the next delay short again. */
export const steadyMs = 5_000

export class Connection {
  readonly #ports: ConnectionPorts
  readonly #listener: ConnectionListener
  #socket: Socket | undefined
  #cancelTimer = () => {}
  #failures = 0
  #liveAtMs: number | undefined
  #isClosed = false

  constructor(ports: ConnectionPorts, listener: ConnectionListener) {
    this.#ports = ports
    this.#listener = listener
    this.#connect()
  }

  /** Returns whether it was handed to a live socket; not whether it arrived. */
  send(frame: ClientFrame): boolean {
    if (this.#liveAtMs === undefined) return false
    this.#socket?.send(JSON.stringify(frame))
    return true
  }

  /** The network or the page is back: no reason to wait any longer. */
  wake(): void {
    if (!this.#isClosed && this.#socket === undefined) this.#connect()
  }

  /** This connection is of no use any more. */
  restart(): void {
    if (this.#socket !== undefined) this.#ended()
  }

  close(): void {
    this.#isClosed = true
    this.#dropSocket()
  }

  #connect(): void {
    this.#dropSocket()
    const socket = this.#ports.open()
    this.#socket = socket
    this.#listener.status({ phase: "connecting" })
    this.#cancelTimer = this.#ports.after(welcomeMaxMs, () => this.#ended())
    socket.onopen = () => socket.send(JSON.stringify(this.#listener.hello()))
    socket.onmessage = ({ data }) => {
      const frame = parseFrame(data)
      if (frame === undefined) return
      if (frame.type === "welcome") this.#welcome()
      this.#listener.frame(frame)
    }
    socket.onclose = () => this.#ended()
  }

  #welcome(): void {
    this.#cancelTimer()
    this.#liveAtMs = this.#ports.now()
    this.#listener.status({ phase: "live" })
  }

  #ended(): void {
    const wasLive = this.#liveAtMs !== undefined
    const isSteady = this.#liveAtMs !== undefined && this.#ports.now() - this.#liveAtMs >= steadyMs
    this.#dropSocket()
    this.#failures = isSteady ? 0 : this.#failures + 1
    const delayMs = delayOf(this.#failures, this.#ports.random())
    this.#cancelTimer = this.#ports.after(delayMs, () => this.#connect())
    this.#listener.status({ phase: "waiting", retryAtMs: this.#ports.now() + delayMs })
    if (!wasLive) this.#listener.refused()
  }

  /** What it still says is of no interest: its handlers go first. */
  #dropSocket(): void {
    this.#cancelTimer()
    this.#cancelTimer = () => {}
    this.#liveAtMs = undefined
    const socket = this.#socket
    this.#socket = undefined
    if (socket === undefined) return
    socket.onopen = socket.onmessage = socket.onclose = null
    socket.close()
  }
}

/** Exponential, with half of it by chance, so that the pages of a restarted server do not come all at once. */
export function delayOf(failures: number, random: number): number {
  const grownMs = Math.min(delayMaxMs, delayFirstMs * 2 ** Math.min(failures, 16))
  return grownMs * (0.5 + random / 2)
}
