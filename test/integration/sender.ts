/** A platform that sends signed events to a webhook account, each until it is acknowledged, always with the same id. */
import type { KeyObject } from "node:crypto"
import { Clock, Data, Effect, Schedule, Schema } from "effect"
import { keyOf, sign } from "../../src/adapters/webhook/signature.ts"

export interface SenderOptions {
  readonly url: string
  readonly secret: string
  /** Between two attempts; what `Retry-After` asks for is not waited for, so that tests of restarts are short. */
  readonly retryMs: number
  /** For one attempt, and for all attempts of one event. */
  readonly attemptMaxMs: number
  readonly eventMaxMs: number
}

export interface SentEvent {
  readonly id: string
  readonly conversation: string
  readonly user: { readonly id: string; readonly name?: string }
  readonly text: string
}

export interface Acknowledgement {
  readonly id: string
  /** In milliseconds since 1970. */
  readonly at: number
  readonly attempts: number
  readonly duplicate: boolean
}

export interface Sender {
  /** Succeeds with the acknowledgement: until then nothing may be concluded of the event. */
  readonly send: (event: SentEvent) => Effect.Effect<Acknowledgement, Refused | Unacknowledged>
  /** All of them, in the order in which they came; an event that is sent again has several. */
  readonly acknowledgements: () => ReadonlyArray<Acknowledgement>
}

/** An answer that no repetition changes. */
export class Refused extends Data.TaggedError("Refused")<{ readonly status: number; readonly body: string }> {}

/** It was sent for `eventMaxMs` without an answer that counts. */
export class Unacknowledged extends Data.TaggedError("Unacknowledged")<{ readonly id: string; readonly why: string }> {}

const Answer = Schema.fromJsonString(Schema.Struct({ accepted: Schema.Literal(true), duplicate: Schema.Boolean }))

export const makeSender = (options: SenderOptions): Sender => {
  const key = keyOf(options.secret)
  if (key === undefined) throw new Error("the secret is not of the form whsec_…")
  const acknowledgements: Array<Acknowledgement> = []

  const send = Effect.fn("Sender.send")(function* (event: SentEvent) {
    let attempts = 0
    const { id } = event
    const { duplicate } = yield* Effect.suspend(() => {
      attempts++
      return attempt(key, options.url, event)
    }).pipe(
      Effect.timeoutOrElse({
        duration: options.attemptMaxMs,
        orElse: () => Effect.fail(new Unacknowledged({ id, why: "no answer in time" }))
      }),
      Effect.retry({ schedule: Schedule.spaced(options.retryMs), while: ({ _tag }) => _tag === "Unacknowledged" }),
      Effect.timeoutOrElse({
        duration: options.eventMaxMs,
        orElse: () => Effect.fail(new Unacknowledged({ id, why: `${attempts} attempts` }))
      })
    )
    const acknowledgement = { id, at: yield* Clock.currentTimeMillis, attempts, duplicate }
    acknowledgements.push(acknowledgement)
    return acknowledgement
  })

  return { send, acknowledgements: () => acknowledgements }
}

const attempt = Effect.fn("Sender.attempt")(function* (key: KeyObject, url: string, { id, ...message }: SentEvent) {
  const body = JSON.stringify(message)
  const headers = { "content-type": "application/json", ...sign(key, id, yield* Clock.currentTimeMillis, body) }
  const { status, text } = yield* Effect.tryPromise({
    try: async (signal) => {
      const response = await fetch(url, { method: "POST", headers, body, signal })
      return { status: response.status, text: await response.text() }
    },
    catch: (error) => new Unacknowledged({ id, why: String(error) })
  })
  if (status === 202) return yield* Effect.orDie(Schema.decodeUnknownEffect(Answer)(text))
  if (status >= 500 || status === 429) return yield* new Unacknowledged({ id, why: `${status} ${text}` })
  return yield* new Refused({ status, body: text })
})
