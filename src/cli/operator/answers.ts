/** What a running server answers under `/api/operator`, as this command reads it. */
import * as Schema from "effect/Schema"

const Text = Schema.NullOr(Schema.String)
const Time = Schema.Number

export const Status = Schema.Struct({
  nowMs: Time,
  startedAtMs: Time,
  ready: Schema.Boolean,
  durability: Schema.String,
  parts: Schema.Record(Schema.String, Schema.String),
  models: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      state: Schema.String,
      why: Schema.optionalKey(Schema.String),
      slots: Schema.Number,
      running: Schema.Number,
      interactive: Schema.Number,
      background: Schema.Number,
      turnMs: Schema.Number
    })
  ),
  conversations: Schema.Struct({ live: Schema.Number, busy: Schema.Number }),
  outbox: Schema.NullOr(Schema.Struct({ due: Schema.Number, deadLetters: Schema.Number })),
  events: Schema.NullOr(
    Schema.Array(
      Schema.Struct({
        account: Schema.String,
        accepted: Schema.Number,
        answered: Schema.Number,
        ignored: Schema.Number,
        superseded: Schema.Number,
        shed: Schema.Number,
        dead: Schema.Number,
        pending: Schema.Number
      })
    )
  )
})
export type Status = typeof Status.Type

const row = {
  id: Schema.String,
  value: Schema.Unknown,
  turn: Schema.NullOr(Schema.Number),
  atMs: Time,
  pending: Schema.Number,
  due: Schema.Number,
  dead: Schema.Number
}

export const Conversations = Schema.Struct({
  nowMs: Time,
  conversations: Schema.Array(Schema.Struct(row)),
  next: Text
})
export type Conversations = typeof Conversations.Type

const LetterRow = Schema.Struct({
  id: Schema.Number,
  kind: Schema.String,
  conversation: Schema.String,
  reference: Schema.String,
  reason: Schema.String,
  state: Schema.String,
  atMs: Time
})

export const Letters = Schema.Struct({
  nowMs: Time,
  deadLetters: Schema.Array(LetterRow),
  next: Schema.NullOr(Schema.Number)
})
export type Letters = typeof Letters.Type

const Deed = Schema.Struct({
  atMs: Time,
  operator: Schema.String,
  address: Schema.String,
  action: Schema.String,
  subject: Schema.String
})
export type Deed = typeof Deed.Type

export const Letter = Schema.Struct({
  ...LetterRow.fields,
  nowMs: Time,
  message: Schema.optionalKey(
    Schema.Struct({
      key: Schema.String,
      turn: Schema.Number,
      outcome: Schema.String,
      inReplyTo: Schema.Array(Schema.String),
      characters: Schema.Number,
      text: Text,
      state: Schema.String,
      atMs: Time
    })
  ),
  attempts: Schema.Array(Schema.Struct({ n: Schema.Number, atMs: Time, result: Text, reason: Text })),
  audit: Schema.Array(Deed)
})
export type Letter = typeof Letter.Type

export const ClosedLetter = LetterRow

export const Inspection = Schema.Struct({
  nowMs: Time,
  id: Schema.String,
  isConfigured: Schema.Boolean,
  isLive: Schema.Boolean,
  /** Its turn waits for a slot of the model. */
  queue: Schema.NullOr(Schema.Struct({ ahead: Schema.Number, waitMs: Schema.Number })),
  conversation: Schema.NullOr(
    Schema.Struct({
      ...row,
      account: Schema.String,
      machine: Schema.String,
      version: Schema.Number,
      seq: Schema.Number,
      context: Schema.Unknown,
      timers: Schema.Array(
        Schema.Struct({ id: Schema.String, event: Schema.String, armed: Schema.Number, dueAtMs: Time })
      ),
      defects: Schema.Number
    })
  ),
  pending: Schema.Struct({ count: Schema.Number, oldestAtMs: Schema.NullOr(Time) }),
  outbox: Schema.Array(
    Schema.Struct({
      key: Schema.String,
      turn: Schema.Number,
      outcome: Schema.String,
      atMs: Time,
      dueAtMs: Time,
      attempts: Schema.Number,
      result: Text,
      reason: Text,
      endedAtMs: Schema.NullOr(Time)
    })
  ),
  deadLetters: Schema.Array(LetterRow),
  messages: Schema.Array(
    Schema.Struct({
      seq: Schema.Number,
      role: Schema.String,
      turn: Schema.Number,
      atMs: Time,
      characters: Schema.Number,
      text: Text
    })
  ),
  audit: Schema.Array(Deed)
})
export type Inspection = typeof Inspection.Type

export const Forgotten = Schema.Struct({
  messages: Schema.Number,
  replies: Schema.Number,
  deadLetters: Schema.Number,
  events: Schema.Number
})
export type Forgotten = typeof Forgotten.Type

export const Problem = Schema.fromJsonString(
  Schema.Struct({ error: Schema.Struct({ code: Schema.String, message: Schema.String }) })
)
