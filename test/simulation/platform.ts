/** A platform: it posts what people write until it is told that it was kept, and shows what it is sent. */
import type { Dice } from "./dice.ts"
import type { Fault, Point } from "./failpoints.ts"
import type { DeliveryClass, Observation, Received, Wrote } from "./history.ts"
import type { Timeline } from "./timeline.ts"

export interface Post {
  readonly key: string
  readonly thread: string
  readonly user: string
  readonly text: string
}

export type Reply = "accepted" | "duplicate" | { readonly retryAfterMs: number }

/** Where a process takes posts: it replies, or does not. */
export type Door = (post: Post, reply: (reply: Reply) => void) => void

export interface Sent {
  readonly key: string
  readonly thread: string
  readonly text: string
  readonly turn: number
  readonly inReplyTo: ReadonlyArray<string>
  readonly outcome: string
}

export type SendReply =
  | { readonly is: "shown"; readonly receipt: string }
  | { readonly is: "throttled"; readonly retryAfterMs: number }
  | { readonly is: "failed" }
  | { readonly is: "rejected" }

export interface PlatformParts {
  readonly account: string
  readonly class: DeliveryClass
  /** It posts the next event of a thread when the last one was taken. */
  readonly isOrdered: boolean
  readonly timeline: Timeline
  readonly dice: Dice
  readonly pass: (point: Point) => Fault | undefined
  readonly observe: (observation: Observation) => void
}

/** How long it waits for an answer before it posts again. */
const answerMaxMs = 12_000

export class Platform {
  readonly account: string
  readonly class: DeliveryClass
  readonly #parts: PlatformParts
  /** By process. */
  readonly #doors = new Map<string, Door>()
  /** Of each thread what was not taken yet. */
  readonly #waiting = new Map<string, Array<Post>>()
  readonly #taken = new Set<string>()
  readonly #posted = new Set<string>()
  readonly #shown = new Map<string, string>()
  #unanswered = 0

  constructor(parts: PlatformParts) {
    this.account = parts.account
    this.class = parts.class
    this.#parts = parts
  }

  /** Events that it has not been told are kept. */
  get unanswered(): number {
    return this.#unanswered
  }

  /** Returns what closes it. */
  openDoor(process: string, door: Door): () => void {
    this.#doors.set(process, door)
    return () => this.closeDoor(process)
  }

  closeDoor(process: string): void {
    this.#doors.delete(process)
  }

  write(thread: string, user: string, key: string, text: string): void {
    const { observe, pass, timeline } = this.#parts
    const wrote: Wrote = {
      type: "wrote",
      atMs: timeline.nowMs,
      account: this.account,
      thread,
      user,
      key,
      text,
      isCommand: text === "/stop"
    }
    observe(wrote)
    this.#unanswered++
    const post = { key, thread, user, text }
    const fault = pass("inbound.posted")
    if (fault === "duplicate") {
      for (const againMs of [1, 700, 40_000]) timeline.after(againMs, () => this.#post(post, () => {}))
    }
    const delayMs = fault === "delay" ? 20_000 : fault === "reorder" ? 3_000 : 0
    if (!this.#parts.isOrdered) return void timeline.after(delayMs, () => this.#repeat(post, () => {}))
    const queue = this.#waiting.get(thread) ?? []
    this.#waiting.set(thread, queue)
    queue.push(post)
    if (queue.length === 1) timeline.after(delayMs, () => this.#next(queue))
  }

  /** A send arrives. Of class A the key is known, of the others every send shows something. */
  receive(sent: Sent, isHeard: boolean, fault: Fault | undefined): SendReply {
    const { observe, timeline } = this.#parts
    const reply = this.#decide(sent, fault)
    const isKnown = this.#shown.has(sent.key)
    const result: Received["result"] = reply.is === "shown" && isKnown && this.class === "A" ? "known" : reply.is
    if (reply.is === "shown" && !isKnown) this.#shown.set(sent.key, reply.receipt)
    const { account, class: of } = this
    const retry = reply.is === "throttled" ? { retryAfterMs: reply.retryAfterMs } : {}
    observe({ type: "received", atMs: timeline.nowMs, account, class: of, ...sent, result, isHeard, ...retry })
    return reply
  }

  find(key: string): string | undefined {
    return this.#shown.get(key)
  }

  #decide({ key }: Sent, fault: Fault | undefined): SendReply {
    if (fault === "throttled") return { is: "throttled", retryAfterMs: this.#parts.dice.int(1, 20) * 1_000 }
    if (fault === "server-error") return { is: "failed" }
    if (fault === "rejected") return { is: "rejected" }
    return { is: "shown", receipt: this.#shown.get(key) ?? `${this.account}-${this.#shown.size}` }
  }

  #next(queue: Array<Post>): void {
    const post = queue[0]
    if (post === undefined) return
    this.#repeat(post, () => {
      queue.shift()
      this.#next(queue)
    })
  }

  #repeat(post: Post, taken: () => void): void {
    this.#post(post, (reply) => {
      const { dice, timeline } = this.#parts
      if (reply === "accepted" || reply === "duplicate") return taken()
      timeline.after(reply.retryAfterMs + dice.int(0, 500), () => this.#repeat(post, taken))
    })
  }

  /** `done` is called once. */
  #post(post: Post, done: (reply: Reply) => void): void {
    const { dice, observe, timeline } = this.#parts
    const { key } = post
    if (!this.#posted.has(key)) {
      this.#posted.add(key)
      observe({ type: "posted", atMs: timeline.nowMs, key })
    }
    let isOver = false
    const end = (reply: Reply) => {
      if (isOver) return
      isOver = true
      done(reply)
    }
    const hear = (reply: Reply) => {
      // What comes after its patience it does not hear.
      if (isOver) return
      const answer = typeof reply === "string" ? reply : "refused"
      observe({ type: "told", atMs: timeline.nowMs, key, answer })
      if (answer !== "refused" && !this.#taken.has(key)) {
        this.#taken.add(key)
        this.#unanswered--
      }
      end(reply)
    }
    timeline.after(dice.int(1, 40), () => {
      const doors = [...this.#doors.values()]
      if (doors.length === 0) return end({ retryAfterMs: 1_000 })
      dice.pick(doors)(post, (reply) => timeline.after(dice.int(1, 20), () => hear(reply)))
    })
    timeline.after(answerMaxMs, () => end({ retryAfterMs: 1_000 }))
  }
}
