/**
 * A server of the chat page and the network before it, which lose, repeat and cut whatever the script says; with a real
 * `Session` on the other side. What is true is in `log` and `texts`.
 */
import type { ClientFrame, Rejection, ServerFrame } from "../../src/adapters/web/frames.ts"
import type { Socket } from "../../web/src/connection.ts"
import { Session } from "../../web/src/session.ts"
import { Shelf } from "../../web/src/shelf.ts"

export type Happening =
  | {
      readonly type: "write" | "write-elsewhere" | "open" | "cut" | "restart" | "reload" | "begin" | "finish" | "retry"
    }
  | { readonly type: "up" | "down" | "down-twice"; readonly count: number }
  | { readonly type: "grow"; readonly length: number; readonly how: "all" | "overlap" | "lost" }
  /** What the page said is lost, and nobody notices. */
  | { readonly type: "swallow" }
  /** A delta of some time ago comes once more. */
  | { readonly type: "late"; readonly back: number }
  | { readonly type: "refuse"; readonly reason: Rejection }
  | { readonly type: "pass"; readonly ms: number }

type Message = ServerFrame & { type: "message" }

/** What the server sends to one that says no `since`. */
const newestMax = 6

export class World {
  readonly log: Array<Message> = []
  /** What each attempt said, all of it. */
  readonly texts = new Map<string, string>()
  readonly written: Array<string> = []
  readonly #deltas: Array<ServerFrame> = []
  readonly refused = new Set<string>()
  /** Written before the page was loaded the last time. */
  beforeReload: ReadonlyArray<string> = []
  readonly shelf: Shelf
  session: Session
  #nowMs = 0
  #ids = 0
  #conversation: string | undefined
  #turn = 0
  #running: { readonly turn: number; readonly attempt: number } | undefined
  #socket: Socket | undefined
  #isOpen = false
  #greeted = false
  #up: Array<ClientFrame> = []
  #down: Array<ServerFrame> = []
  #refuseNext: Rejection | undefined
  #timers: Array<{ readonly atMs: number; readonly then: () => void }> = []

  constructor() {
    const stored = new Map<string, string>()
    this.shelf = new Shelf({ get: (name) => stored.get(name), set: (name, text) => void stored.set(name, text) })
    this.session = this.#begin()
  }

  happen(what: Happening): void {
    switch (what.type) {
      case "write":
        this.session.write(`text ${this.#ids}`)
        return
      case "write-elsewhere":
        if (this.log.length > 0) this.#store(`elsewhere ${++this.#ids}`, "from another tab")
        return
      case "up":
        for (let i = 0; i < what.count; i++) this.#hear(this.#up.shift())
        return
      case "down":
      case "down-twice":
        for (let i = 0; i < what.count; i++) this.#deliver(what.type === "down-twice")
        return
      case "pass":
        this.pass(what.ms)
        return
      default:
        this.#disturb(what)
        return
    }
  }

  pass(ms: number): void {
    const untilMs = this.#nowMs + ms
    for (;;) {
      const next = this.#timers.toSorted((a, b) => a.atMs - b.atMs)[0]
      if (next === undefined || next.atMs > untilMs) break
      this.#timers.splice(this.#timers.indexOf(next), 1)
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.then()
    }
    this.#nowMs = untilMs
  }

  /** Nothing is lost any more, and all that is under way arrives. */
  calm(): void {
    this.#refuseNext = undefined
    for (let i = 0; i < 40; i++) {
      this.#open()
      while (this.#up.length + this.#down.length > 0) {
        this.#hear(this.#up.shift())
        this.#deliver(false)
      }
      this.pass(1_000)
    }
  }

  /** What the running attempt said so far. */
  get truth(): { readonly turn: number; readonly attempt: number; readonly text: string } | undefined {
    return this.#running && { ...this.#running, text: this.textOf(this.#running) }
  }

  textOf({ turn, attempt }: { readonly turn: number; readonly attempt: number }): string {
    return this.texts.get(`${turn}.${attempt}`) ?? ""
  }

  #begin(): Session {
    return new Session("key", {
      now: () => this.#nowMs,
      random: () => 0.5,
      after: (delayMs, then) => {
        const timer = { atMs: this.#nowMs + delayMs, then }
        this.#timers.push(timer)
        return () => {
          this.#timers = this.#timers.filter((other) => other !== timer)
        }
      },
      open: () => this.#connect(),
      uuid: () => {
        const id = `id ${++this.#ids}`
        this.written.push(id)
        return id
      },
      shelf: this.shelf,
      changed: () => {},
      refused: () => {}
    })
  }

  #connect(): Socket {
    this.#forget()
    const socket: Socket = {
      onopen: null,
      onmessage: null,
      onclose: null,
      send: (data) => {
        if (this.#socket === socket) this.#up.push(JSON.parse(data))
      },
      close: () => {
        if (this.#socket === socket) this.#forget()
      }
    }
    this.#socket = socket
    return socket
  }

  #forget(): void {
    this.#socket = undefined
    this.#isOpen = this.#greeted = false
    this.#up = []
    this.#down = []
  }

  #open(): void {
    if (this.#socket === undefined || this.#isOpen) return
    this.#isOpen = true
    this.#socket.onopen?.()
  }

  #deliver(isTwice: boolean): void {
    const frame = this.#down.shift()
    if (frame === undefined) return
    const socket = this.#socket
    for (let i = 0; i < (isTwice ? 2 : 1); i++) socket?.onmessage?.({ data: JSON.stringify(frame) })
  }

  #disturb(
    what: Exclude<Happening, { type: "write" | "write-elsewhere" | "up" | "down" | "down-twice" | "pass" }>
  ): void {
    switch (what.type) {
      case "open":
        this.#open()
        return
      case "cut":
        this.#cut()
        return
      case "swallow":
        this.#up = []
        return
      case "restart":
        this.#cut()
        this.#again()
        return
      case "retry":
        this.#again()
        return
      case "reload":
        this.session.close()
        this.beforeReload = [...this.written]
        this.session = this.#begin()
        return
      case "late": {
        const delta = this.#deltas.at(-what.back)
        if (delta !== undefined) this.#say(delta)
        return
      }
      case "refuse":
        this.#refuseNext = what.reason
        return
      case "begin":
        if (this.#running === undefined && this.log.length > 0) this.#running = { turn: ++this.#turn, attempt: 1 }
        this.#say({ type: "state", value: "streaming" })
        return
      case "finish":
        this.#finish()
        return
      case "grow":
        this.#grow(what.length, what.how)
        return
    }
  }

  #cut(): void {
    const socket = this.#socket
    this.#forget()
    socket?.onclose?.()
  }

  #again(): void {
    if (this.#running !== undefined) this.#running = { ...this.#running, attempt: this.#running.attempt + 1 }
  }

  #finish(): void {
    if (this.#running === undefined) return
    const { turn } = this.#running
    const text = this.textOf(this.#running)
    this.#running = undefined
    this.#append({ role: "assistant", text, turn })
    this.#say({ type: "state", value: "done" })
  }

  /** Each attempt says words of its own, so that a mixture of two is seen. */
  #grow(length: number, how: "all" | "overlap" | "lost"): void {
    if (this.#running === undefined) return
    const { turn, attempt } = this.#running
    const before = this.textOf(this.#running)
    const word = `${turn}.${attempt}.${before.length} `
    const text = before + word.repeat(length)
    this.texts.set(`${turn}.${attempt}`, text)
    if (how === "lost") return
    const at = how === "overlap" ? Math.floor(before.length / 2) : before.length
    const delta: ServerFrame = { type: "delta", turn, attempt, at, text: text.slice(at) }
    this.#deltas.push(delta)
    this.#say(delta)
  }

  #say(frame: ServerFrame): void {
    if (this.#greeted) this.#down.push(frame)
  }

  #append(message: Omit<Message, "type" | "seq" | "atMs">): void {
    const stored: Message = { type: "message", seq: this.log.length + 1, atMs: this.#nowMs, ...message }
    this.log.push(stored)
    this.#say(stored)
  }

  #store(id: string, text: string): void {
    if (!this.log.some((message) => message.id === id)) this.#append({ role: "user", id, text, turn: this.#turn + 1 })
  }

  #hear(frame: ClientFrame | undefined): void {
    if (frame?.type === "hello") this.#greet(frame)
    if (frame?.type !== "message") return
    const reason = this.#refuseNext
    this.#refuseNext = undefined
    if (reason !== undefined) {
      this.refused.add(frame.id)
      this.#say({ type: "rejected", id: frame.id, reason, retryAfterMs: 500 })
      return
    }
    // Both orders happen, and both are right.
    const isAcceptedFirst = this.log.length % 2 === 0
    if (isAcceptedFirst) this.#say({ type: "accepted", id: frame.id })
    this.#store(frame.id, frame.text)
    if (!isAcceptedFirst) this.#say({ type: "accepted", id: frame.id })
  }

  #greet({ conversation, since }: ClientFrame & { type: "hello" }): void {
    this.#conversation = conversation ?? `c${++this.#ids}`
    this.#greeted = true
    this.#say({ type: "welcome", conversation: this.#conversation, seq: this.log.length })
    const missed = since === undefined ? this.log.slice(-newestMax) : this.log.filter(({ seq }) => seq > since)
    for (const message of missed) this.#say(message)
    this.#say({ type: "state", value: this.#running === undefined ? "done" : "streaming" })
    const text = this.#running && this.textOf(this.#running)
    if (this.#running !== undefined && text) this.#say({ type: "delta", ...this.#running, at: 0, text })
  }
}
