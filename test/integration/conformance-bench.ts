/** What the conformance kit needs to know of a platform, and how a check is run: virtual time, real sockets. */
import assert from "node:assert/strict"
import { Effect, Fiber, type Scope } from "effect"
import { TestClock } from "effect/testing"
import type { Accept, Adapter, NotAccepted, WebRequest } from "../../src/adapters/adapter.ts"
import type { Accepted, Inbound } from "../../src/domain/inbound.ts"
import type { Outbound } from "../../src/domain/outbound.ts"

/** A fresh account with a fresh platform behind it, for one check. */
export type Harness = Effect.Effect<Bench, unknown, Scope.Scope>

export interface Bench {
  readonly adapter: Adapter
  readonly platform: Platform
  /** Texts that may not stand in anything the adapter says. */
  readonly secrets: ReadonlyArray<string>
  /** Of platforms that call us. */
  readonly http?: HttpBench
}

export interface PlatformEvent {
  readonly key: string
  readonly thread: string
  readonly user: { readonly id: string; readonly name?: string }
  readonly text: string
}

/** What the platform learnt of an event that it delivered. */
export type Told =
  /** Not every platform is told of duplicates. */
  | { readonly as: "acknowledged"; readonly duplicate?: boolean }
  | { readonly as: "later"; readonly afterMs: number }
  | { readonly as: "refused"; readonly words: string }

/**
 * What a send meets at the platform. `cut-before` loses the connection before the message is taken, `cut-after` after
 * it is shown and before that is answered; `silent` shows it and answers after `sendMaxMs`. `nobody`: the platform reads
 * from us, and nobody looks.
 */
export type Meeting =
  | "taken"
  | "cut-before"
  | "cut-after"
  | "silent"
  | "failed"
  | "overloaded"
  | "throttled"
  | "refused"
  | "gone"
  | "moved"
  | "nobody"

export interface Arrival {
  readonly key: string
  readonly bytes: string
  /** A person sees it: it was taken, and the platform does not know it for a repetition. */
  readonly shown: boolean
}

export interface Platform {
  /** Delivers one event once. */
  readonly deliver: (event: PlatformEvent) => Effect.Effect<Told>
  /** What the next sends meet, one each; the ones after them are taken. */
  readonly meet: (...meetings: ReadonlyArray<Meeting>) => void
  readonly throttleMs: number
  readonly arrivals: () => ReadonlyArray<Arrival>
  readonly arrived: (count: number) => Effect.Effect<void>
  /** From here on nobody listens. */
  readonly stop: Effect.Effect<void>
}

export interface HttpBench {
  readonly signed: (event: PlatformEvent) => Effect.Effect<WebRequest>
  readonly sealed: (body: Uint8Array) => Effect.Effect<WebRequest>
  /** The headers of which no byte may change. */
  readonly signedHeaders: ReadonlyArray<string>
  /** For how long a request may be repeated as it is. */
  readonly replayMaxMs: number
  readonly textMax: number
  /** Bodies that are not of the form, and the field that the answer has to name. */
  readonly malformed: ReadonlyArray<{
    readonly body: string | Uint8Array
    readonly names: string
    readonly status: number
  }>
}

export interface Check {
  readonly title: string
  /** Rejects when the adapter breaks what the title says. */
  readonly run: () => Promise<void>
}

export const check = (title: string, run: Effect.Effect<void, unknown, Scope.Scope>): Check => ({
  title,
  run: () => Effect.runPromise(Effect.scoped(run).pipe(Effect.provide(TestClock.layer())))
})

export interface Intake {
  readonly accept: Accept
  /** In the order in which they were handed over. */
  readonly received: Array<Inbound>
}

/** Keeps what it is given, after `before`, and knows a key that it has seen. */
export function intakeOf(before: (nth: number) => Effect.Effect<void, NotAccepted> = () => Effect.void): Intake {
  const received: Array<Inbound> = []
  const accept = (inbound: Inbound): Effect.Effect<Accepted, NotAccepted> =>
    Effect.suspend(() => {
      const duplicate = received.some(({ eventKey }) => eventKey === inbound.eventKey)
      const position = received.push(inbound)
      return Effect.as(before(position), { conversation: inbound.thread, position, duplicate })
    })
  return { accept, received }
}

/** The bench with its account listening. */
export const listening = Effect.fnUntraced(function* (harness: Harness, intake: Intake) {
  const bench = yield* harness
  const listener = yield* Effect.forkScoped(Effect.scoped(bench.adapter.listen(intake.accept)))
  yield* settle
  return { ...bench, stopListening: Effect.andThen(Fiber.interrupt(listener), settle) }
})

/** Whatever was under way on this machine's sockets has arrived. Not time: turns of the event loop. */
export const settle: Effect.Effect<void> = Effect.repeat(
  Effect.promise(() => new Promise<void>((resume) => setImmediate(resume))),
  { times: 50 }
)

export const eventOf = (nth: number, text = `message ${nth}`): PlatformEvent => ({
  key: `event-${nth}`,
  thread: "thread-1",
  user: { id: "user-1", name: "Ada" },
  text
})

export const outboundOf = (nth: number): Outbound => ({
  key: `msg_${nth}`,
  conversation: "channel/account/thread-1",
  thread: "thread-1",
  turn: nth,
  text: `answer ${nth} – „grüße“ 🙂`,
  outcome: "answered",
  inReplyTo: [`event-${nth}`]
})

export function assertTold(told: Told, as: Told["as"]): void {
  assert.equal(told.as, as, `the platform was told ${JSON.stringify(told)}`)
}
