/**
 * The web chat. The record is what a page shows: it reads messages by their `seq`, and what is sent to it, and what is
 * under way, only tells it that there is something to read.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { WebSocket } from "ws"
import { randomId } from "../../domain/random-id.ts"
import type { Accept, Adapter } from "../adapter.ts"
import type { ClientFrame, Rejection, Role, ServerFrame } from "./frames.ts"
import { type Room, Rooms } from "./rooms.ts"
import { close, Session } from "./session.ts"
import type { Wait } from "./view.ts"
import { eventOf, frameOf, idOf, inboundOf, textMaxBytes } from "./wire.ts"

export interface WebOptions {
  readonly account: string
  /** The first `max` messages of the thread after `since`, in order; without it the newest ones. */
  readonly history: (thread: string, since: number | undefined, max: number) => Effect.Effect<Page, unknown>
  /** Of a turn that waits for the model; undefined for one that does not. */
  readonly wait: (thread: string, turn: number) => Effect.Effect<Wait | undefined>
  /** The person is still writing. */
  readonly typing: (thread: string) => void
}

export interface Page {
  /** Of the newest message; 0 when there is none. */
  readonly seq: number
  readonly messages: ReadonlyArray<{
    readonly seq: number
    readonly role: Role
    readonly text: string
    readonly turn: number
    readonly atMs: number
    readonly eventKey?: string
  }>
}

/** Messages of a page that are on their way to the disk at the same time. */
const acceptingMax = 32
/** Pages that show one conversation. */
const sessionsMax = 64
const historyMax = 200
const pageMax = 50
const helloMaxMs = 10_000
const pingEvery = 30
const tickMs = 1_000

/** Its pages are closed when `listen` ends, and come back by themselves. */
export const openWeb = (options: WebOptions): Effect.Effect<Adapter, never, Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const run = Effect.runForkWith(yield* Effect.context<never>())
    const rooms = new Rooms()
    const host = new Host(options, rooms, clock, (effect) => void run(effect))
    return {
      channel: "web",
      account: options.account,
      delivery: "idempotent",
      limits: { textMax: textMaxBytes, textUnit: "utf8-bytes", sendMaxMs: tickMs },
      capabilities: { edit: false, typing: true, attachments: false },
      listen: (accept) =>
        Effect.andThen(
          Effect.acquireRelease(
            Effect.sync(() => host.open(accept)),
            () => Effect.sync(() => host.close())
          ),
          Effect.forever(Effect.andThen(Effect.sleep(tickMs), host.tick))
        ),
      connect: (socket) => host.connect(socket),
      show: (thread, glimpse) => rooms.show(thread, glimpse),
      // It stands in the record, from where every page reads it, be it open or not.
      send: ({ thread }) =>
        Effect.sync(() => {
          for (const session of rooms.get(thread)?.sessions ?? []) session.update()
          return ""
        })
    } satisfies Adapter
  })

type Message = Extract<ClientFrame, { readonly type: "message" }>
type Hello = Extract<ClientFrame, { readonly type: "hello" }>

class Host {
  readonly #options: WebOptions
  readonly #rooms: Rooms
  readonly #clock: Clock.Clock
  readonly #run: (effect: Effect.Effect<void>) => void
  /** Those that have not said hello, with the time at which they came. */
  readonly #strangers = new Map<Session, number>()
  readonly #sessions = new Set<Session>()
  #accept: Accept | undefined
  #ticks = 0

  constructor(options: WebOptions, rooms: Rooms, clock: Clock.Clock, run: (effect: Effect.Effect<void>) => void) {
    this.#options = options
    this.#rooms = rooms
    this.#clock = clock
    this.#run = run
  }

  open(accept: Accept): void {
    this.#accept = accept
  }

  close(): void {
    this.#accept = undefined
    for (const session of this.#sessions) session.close(close.restarting)
  }

  connect(socket: WebSocket): void {
    const nowMs = this.#clock.currentTimeMillisUnsafe()
    const session = new Session(socket, (reader, since) => this.#read(reader, room, since), nowMs)
    let room: Room | undefined
    socket.on("error", () => {}) // `close` follows
    if (this.#accept === undefined) {
      session.close(close.later)
      return
    }
    this.#sessions.add(session)
    this.#strangers.set(session, nowMs)
    socket.on("close", () => {
      session.ended()
      this.#sessions.delete(session)
      this.#strangers.delete(session)
      if (room !== undefined) this.#rooms.leave(room, session)
    })
    socket.on("message", (data, isBinary) => {
      if (!session.isOpen) return
      const frame = isBinary ? undefined : frameOf(String(data))
      const objection = objectionTo(frame, session, room)
      if (objection !== undefined) session.close(objection)
      else if (frame?.type === "hello") room = this.#join(session, frame)
      else if (frame !== undefined && room !== undefined) this.#hear(session, room.thread, frame)
    })
  }

  readonly tick = Effect.suspend(() => {
    const nowMs = this.#clock.currentTimeMillisUnsafe()
    const isPinging = ++this.#ticks % pingEvery === 0
    for (const session of this.#sessions) {
      const since = this.#strangers.get(session)
      if (since !== undefined && nowMs - since >= helloMaxMs) session.close(close.silent)
      else if (!session.tick(nowMs)) session.close(close.later)
      else if (isPinging && !session.ping()) session.abandon()
    }
    return Effect.forEach(this.#rooms.all, (room) => this.#tellWait(room), { discard: true })
  })

  #tellWait(room: Room): Effect.Effect<void> {
    if (room.value !== "awaiting-model" || room.sessions.size === 0) return Effect.void
    return Effect.map(this.#options.wait(room.thread, room.turn), (wait) => {
      if (wait === undefined) delete room.wait
      else room.wait = wait
      for (const session of room.sessions) session.update()
    })
  }

  #join(session: Session, { conversation = randomId(), since }: Hello): Room | undefined {
    const room = this.#rooms.open(conversation)
    if (room.sessions.size >= sessionsMax) {
      session.close(close.later)
      return undefined
    }
    this.#strangers.delete(session)
    room.sessions.add(session)
    this.#run(
      this.#options.history(conversation, since, since === undefined ? historyMax : pageMax).pipe(
        Effect.flatMap(({ messages, seq }) => {
          // Those before the ones that are sent are left out on purpose.
          const from = since ?? (messages[0]?.seq ?? seq + 1) - 1
          room.seq = Math.max(room.seq, seq)
          session.send({ type: "welcome", conversation, seq })
          session.begin(() => room, Math.min(from, seq), messages.map(frameOfMessage))
          return this.#tellWait(room)
        }),
        Effect.catchCause(() => Effect.sync(() => session.close(close.later)))
      )
    )
    return room
  }

  #read(session: Session, room: Room | undefined, since: number): void {
    if (room === undefined) return
    this.#run(
      this.#options.history(room.thread, since, pageMax).pipe(
        Effect.map(({ messages }) => session.showMessages(messages.map(frameOfMessage))),
        Effect.catchCause(() => Effect.sync(() => session.close(close.later)))
      )
    )
  }

  #hear(session: Session, thread: string, frame: Exclude<ClientFrame, Hello>): void {
    if (frame.type === "message") this.#take(session, thread, frame)
    else if (frame.type === "stop") this.#stop(thread)
    else if (session.mayType(this.#clock.currentTimeMillisUnsafe())) this.#options.typing(thread)
  }

  #stop(thread: string): void {
    const event = eventOf(this.#options.account, thread, `stop-${randomId()}`, "/stop")
    if (this.#accept !== undefined) this.#run(Effect.ignore(this.#accept(event)))
  }

  #take(session: Session, thread: string, message: Message): void {
    const { id } = message
    const reject = (reason: Rejection, retryAfterMs?: number) =>
      session.send({ type: "rejected", id, reason, ...(retryAfterMs !== undefined && { retryAfterMs }) })
    const inbound = inboundOf(this.#options.account, thread, message)
    if (typeof inbound === "string") reject(inbound)
    else if (this.#accept === undefined || session.accepting >= acceptingMax) reject("inbox-full", tickMs)
    else {
      session.accepting++
      this.#run(
        Effect.match(this.#accept(inbound), {
          onSuccess: () => session.send({ type: "accepted", id }),
          onFailure: ({ reason, retryAfterMs }) => reject(reason, retryAfterMs)
        }).pipe(Effect.ensuring(Effect.sync(() => session.accepting--)))
      )
    }
  }
}

/** Why a page is sent away for a frame. */
function objectionTo(frame: ClientFrame | undefined, session: Session, room: Room | undefined) {
  if (!session.heard()) return close.tooMany
  if (frame === undefined || (frame.type === "hello" && room !== undefined)) return close.notOfTheForm
  return frame.type !== "hello" && room === undefined ? close.silent : undefined
}

function frameOfMessage({ eventKey, ...message }: Page["messages"][number]): Extract<ServerFrame, { type: "message" }> {
  return { type: "message", ...message, ...(eventKey === undefined ? {} : { id: idOf(eventKey) }) }
}
