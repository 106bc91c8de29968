/** One open conversation: the connection, what is known, and what must outlive the page, joined. */
import type { ClientFrame, ServerFrame } from "../../src/adapters/web/frames.ts"
import { Connection, type ConnectionPorts, type ConnectionStatus } from "./connection.ts"
import {
  begin,
  type Conversation,
  type ConversationEvent,
  isAnotherHistory,
  newestSeq,
  type Outgoing,
  step
} from "./conversation.ts"
import { type Shelf, titleOf } from "./shelf.ts"

/** The server says a word about each message; one that takes longer is behind a connection that died unnoticed. */
export const acceptMaxMs = 20_000
/** The server holds a turn back while the person writes, and forgets it after a few seconds. */
export const typingEveryMs = 2_000

export interface SessionPorts extends ConnectionPorts {
  readonly uuid: () => string
  readonly shelf: Shelf
  readonly changed: () => void
  readonly refused: () => void
}

export class Session {
  readonly key: string
  readonly #ports: SessionPorts
  readonly #connection: Connection
  readonly #cancels = new Map<string, () => void>()
  #state: Conversation
  #status: ConnectionStatus = { phase: "connecting" }
  #typedAtMs = Number.NEGATIVE_INFINITY

  /** `key` is of an entry of the shelf, or of a conversation that becomes one with its first message. */
  constructor(key: string, ports: SessionPorts) {
    this.key = key
    this.#ports = ports
    this.#state = begin(ports.shelf.entry(key)?.id)
    for (const unsent of ports.shelf.unsent(key)) this.#state = step(this.#state, { type: "write", message: unsent })
    this.#connection = new Connection(ports, {
      hello: () => this.#hello(),
      frame: (frame) => this.#hear(frame),
      status: (status) => this.#setStatus(status),
      refused: ports.refused
    })
  }

  get state(): Conversation {
    return this.#state
  }

  get status(): ConnectionStatus {
    return this.#status
  }

  write(text: string): void {
    const { shelf, now, uuid } = this.#ports
    const message = { id: uuid(), text, atMs: now() }
    const entry = shelf.entry(this.key) ?? { key: this.key, title: titleOf(text) }
    const id = this.#state.id
    shelf.put({ ...(id === undefined ? {} : { id }), ...entry, atMs: message.atMs })
    shelf.keep({ key: this.key, ...message })
    this.#typedAtMs = Number.NEGATIVE_INFINITY
    this.#take({ type: "write", message })
  }

  typing(): void {
    const nowMs = this.#ports.now()
    if (nowMs - this.#typedAtMs < typingEveryMs) return
    if (this.#connection.send({ type: "typing" })) this.#typedAtMs = nowMs
  }

  stop(): void {
    this.#connection.send({ type: "stop" })
  }

  sendAgain(id: string): void {
    const failed = this.#state.outgoing.find((one) => one.id === id)
    if (failed === undefined) return
    this.#ports.shelf.keep({ key: this.key, id, text: failed.text, atMs: failed.atMs })
    this.#take({ type: "send-again", id })
  }

  discard(id: string): void {
    this.#ports.shelf.drop(id)
    this.#take({ type: "discard", id })
  }

  wake(): void {
    this.#connection.wake()
  }

  close(): void {
    this.#connection.close()
    for (const cancel of this.#cancels.values()) cancel()
    this.#cancels.clear()
  }

  #hello(): ClientFrame {
    // Another tab may have been told the id meanwhile.
    const conversation = this.#state.id ?? this.#ports.shelf.entry(this.key)?.id
    const since = newestSeq(this.#state)
    return {
      type: "hello",
      ...(conversation === undefined ? {} : { conversation }),
      ...(since === undefined ? {} : { since })
    }
  }

  #hear(frame: ServerFrame): void {
    if (frame.type === "welcome" && !this.#isOurs(frame.conversation)) {
      this.#connection.restart()
      return
    }
    const isOther = frame.type === "welcome" && isAnotherHistory(this.#state, frame)
    this.#take(frame)
    if (frame.type === "accepted") this.#ports.shelf.drop(frame.id)
    if (frame.type === "message" && frame.id !== undefined) this.#ports.shelf.drop(frame.id)
    // It was asked to go on from where we were, which is no place of this history.
    if (isOther) this.#connection.restart()
  }

  /** Two tabs may begin the same conversation at once; the first id that is stored is its id. */
  #isOurs(id: string): boolean {
    if (this.#state.id === undefined) return this.#ports.shelf.adopt(this.key, id) === id
    if (this.#state.id !== id) this.#ports.shelf.rekey(this.key, id)
    return true
  }

  #setStatus(status: ConnectionStatus): void {
    this.#status = status
    if (status.phase === "waiting") this.#take({ type: "closed" })
    this.#ports.changed()
  }

  #take(event: ConversationEvent): void {
    this.#state = step(this.#state, event)
    for (const { id, text, status } of this.#state.outgoing) {
      if (status !== "waiting" || !this.#state.isLive) continue
      if (!this.#connection.send({ type: "message", id, text })) continue
      this.#state = step(this.#state, { type: "handed", id })
    }
    this.#watch()
    this.#ports.changed()
  }

  /** One timer for each message that must not stay as it is for long. */
  #watch(): void {
    const wanted = new Map(this.#state.outgoing.map((one) => [`${one.id} ${one.status}`, one]))
    for (const [name, cancel] of this.#cancels) {
      if (wanted.has(name)) continue
      cancel()
      this.#cancels.delete(name)
    }
    for (const [name, one] of wanted) {
      if (!this.#cancels.has(name)) this.#arm(name, one)
    }
  }

  #arm(name: string, one: Outgoing): void {
    if (one.status === "failed") {
      const { id, text, atMs, reason } = one
      this.#ports.shelf.keep({ key: this.key, id, text, atMs, ...(reason === undefined ? {} : { reason }) })
      this.#cancels.set(name, () => {})
    }
    if (one.status === "paused") {
      const again = () => this.#take({ type: "send-again", id: one.id })
      this.#cancels.set(name, this.#ports.after(one.retryAfterMs ?? 0, again))
    }
    if (one.status === "sending") {
      this.#cancels.set(
        name,
        this.#ports.after(acceptMaxMs, () => this.#connection.restart())
      )
    }
  }
}
