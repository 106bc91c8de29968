/** A page without a browser: it speaks `/ws`, comes back after a loss, and shows each `seq` once. */
import { randomUUID } from "node:crypto"
import { WebSocket } from "ws"
import type { ClientFrame, ServerFrame } from "../../src/adapters/web/frames.ts"

export type MessageFrame = Extract<ServerFrame, { readonly type: "message" }>

export class PageClient {
  readonly #url: string
  readonly #headers: Readonly<Record<string, string>>
  readonly frames: Array<ServerFrame> = []
  /** What it shows for good, by `seq`. */
  readonly messages = new Map<number, MessageFrame>()
  /** Messages that were sent to it again. */
  repeated = 0
  conversation: string | undefined
  closed: { readonly code: number; readonly reason: string } | undefined
  #socket: WebSocket | undefined
  #waiting: Array<() => void> = []

  constructor(url: string, conversation?: string, headers: Readonly<Record<string, string>> = {}) {
    this.#url = url
    this.#headers = headers
    this.conversation = conversation
  }

  get socket(): WebSocket {
    if (this.#socket === undefined) throw new Error("the page is not connected")
    return this.#socket
  }

  get seq(): number {
    return Math.max(0, ...this.messages.keys())
  }

  /** Opens it, and says hello: `since` what it has shown, if that is anything. */
  async connect(): Promise<void> {
    await this.open()
    const { conversation, seq } = this
    this.send({ type: "hello", ...(conversation !== undefined && { conversation }), ...(seq > 0 && { since: seq }) })
    const count = this.frames.length
    await this.until(() => this.frames.slice(count).some(({ type }) => type === "welcome"))
  }

  async open(): Promise<void> {
    this.closed = undefined
    const socket = new WebSocket(this.#url, { headers: this.#headers })
    this.#socket = socket
    socket.on("message", (data) => this.#take(JSON.parse(String(data)) as ServerFrame))
    socket.on("error", () => {})
    socket.on("close", (code, reason) => {
      if (this.#socket === socket) this.closed = { code, reason: String(reason) }
      this.#wake()
    })
    let isIn = false
    socket.once("open", () => {
      isIn = true
    })
    await this.until(() => socket.readyState !== WebSocket.CONNECTING)
    if (!isIn) throw new Error("the page was not let in")
  }

  send(frame: ClientFrame): void {
    this.socket.send(JSON.stringify(frame))
  }

  /** Sends a message, and gives what it was told of it; undefined when the connection was lost before. */
  async write(text: string, id: string = randomUUID()): Promise<ServerFrame | undefined> {
    const { socket } = this
    this.send({ type: "message", id, text })
    const isOfIt = (frame: ServerFrame) => (frame.type === "accepted" || frame.type === "rejected") && frame.id === id
    const from = this.frames.length
    const told = () => this.frames.slice(from).find(isOfIt)
    await this.until(() => told() !== undefined || socket.readyState === WebSocket.CLOSED)
    return told()
  }

  /** Cuts the connection, without a word. */
  cut(): void {
    this.#socket?.terminate()
  }

  /** What it shows for good, in order. */
  get texts(): ReadonlyArray<string> {
    return [...this.messages.values()].toSorted((a, b) => a.seq - b.seq).map(({ role, text }) => `${role}: ${text}`)
  }

  /** Checked after each frame: waiting takes no time of its own. */
  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve)
        this.#socket?.once("open", resolve)
      })
    }
  }

  #take(frame: ServerFrame): void {
    this.frames.push(frame)
    if (frame.type === "welcome") this.conversation = frame.conversation
    if (frame.type === "message") {
      if (this.messages.has(frame.seq)) this.repeated++
      this.messages.set(frame.seq, frame)
    }
    this.#wake()
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
