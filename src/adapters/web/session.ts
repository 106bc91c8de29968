/**
 * One page's connection. It is shown what it has not yet been shown, as fast as it reads: what waits for a slow reader
 * is not a queue of frames but the difference between what is there and what it has.
 */
import type { WebSocket } from "ws"
import type { ServerFrame } from "./frames.ts"
import { type Next, next, nothingShown, type Scene, type Shown } from "./view.ts"
import { textOf } from "./wire.ts"

type MessageFrame = Extract<ServerFrame, { readonly type: "message" }>

/** Bytes that may wait in a socket before it is shown more. */
const bufferedMaxBytes = 65_536
/** A reader who takes nothing for so long may come back later. */
export const stalledMaxMs = 15_000
/** Pings without a pong after which nobody is there. */
const missedMax = 2
/** Frames of one page within a second. */
const framesMax = 100

/** https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1 and the IANA registry. */
export const close = {
  restarting: [1012, "the server stops: come back in a moment"],
  notOfTheForm: [1008, "the frame is not of the form"],
  tooMany: [1008, "too many frames"],
  silent: [1008, "expected a hello"],
  later: [1013, "try again later"]
} as const

export class Session {
  readonly #socket: WebSocket
  /** Reads the messages after that `seq`, and gives them to `showMessages`. */
  readonly #read: (session: Session, since: number) => void
  #scene: (() => Scene) | undefined
  #shown: Shown = nothingShown
  /** What the read that is under way was begun for. */
  #readTo: number | undefined
  #isWaiting = false
  #isClosed = false
  #drainedAtMs = 0
  #typedAtMs = 0
  #missed = 0
  #frames = 0
  /** Messages that were sent and are not yet known to be on disk. */
  accepting = 0

  constructor(socket: WebSocket, read: (session: Session, since: number) => void, nowMs: number) {
    this.#socket = socket
    this.#read = read
    this.#drainedAtMs = nowMs
    socket.on("pong", () => {
      this.#missed = 0
    })
  }

  get isOpen(): boolean {
    return !this.#isClosed
  }

  /** Shows the first messages, those after `seq`, and from here on what `scene` says. */
  begin(scene: () => Scene, seq: number, messages: ReadonlyArray<MessageFrame>): void {
    this.#shown = { ...nothingShown, seq }
    this.#scene = scene
    if (messages.length > 0) this.showMessages(messages)
    else this.update()
  }

  /** What there is has changed: shows what of it can be shown now. */
  update(): void {
    for (;;) {
      if (this.#isClosed || this.#readTo !== undefined || this.#scene === undefined || !this.#hasRoom()) return
      const step: Next | undefined = next(this.#scene(), this.#shown)
      if (step === undefined) return
      if (step.type === "read") {
        this.#readTo = this.#scene().seq
        this.#read(this, this.#shown.seq)
        return
      }
      this.#shown = step.shown
      this.send(step.frame)
    }
  }

  /** The messages that a read found. Where there are none, they were forgotten, and are not asked for again. */
  showMessages(messages: ReadonlyArray<MessageFrame>): void {
    const readTo = this.#readTo ?? 0
    this.#readTo = undefined
    if (messages.length === 0) this.#shown = { ...this.#shown, seq: readTo }
    for (const message of messages) {
      this.#shown = { ...this.#shown, seq: message.seq }
      this.send(message)
    }
    this.update()
  }

  send(frame: ServerFrame): void {
    if (!this.#isClosed) this.#socket.send(textOf(frame), this.#sent)
  }

  /** Counts a frame of the page; false when there are too many. */
  heard(): boolean {
    return ++this.#frames <= framesMax
  }

  /** One word of it in a second is enough. */
  mayType(nowMs: number): boolean {
    const isNews = nowMs - this.#typedAtMs >= 1_000
    if (isNews) this.#typedAtMs = nowMs
    return isNews
  }

  /** Once a second. False when the reader is stalled. */
  tick(nowMs: number): boolean {
    this.#frames = 0
    if (this.#socket.bufferedAmount <= bufferedMaxBytes) this.#drainedAtMs = nowMs
    return nowMs - this.#drainedAtMs < stalledMaxMs
  }

  /** False when nobody answered the last ones. */
  ping(): boolean {
    if (this.#missed >= missedMax) return false
    this.#missed++
    this.#socket.ping()
    return true
  }

  close([code, reason]: (typeof close)[keyof typeof close]): void {
    this.#isClosed = true
    this.#socket.close(code, reason)
  }

  /** Nobody is there to be told. */
  abandon(): void {
    this.#isClosed = true
    this.#socket.terminate()
  }

  ended(): void {
    this.#isClosed = true
  }

  #hasRoom(): boolean {
    this.#isWaiting = this.#socket.bufferedAmount > bufferedMaxBytes
    return !this.#isWaiting
  }

  readonly #sent = (): void => {
    if (this.#isWaiting) this.update()
  }
}
