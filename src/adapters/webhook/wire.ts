/** What goes over the wire of a webhook account (DESIGN.md, §8), and what the answers to a callback mean. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import { type Inbound, storable } from "../../domain/inbound.ts"
import type { Outbound } from "../../domain/outbound.ts"
import { Ambiguous, NotSent, type Receipt, Rejected, type SendError, Throttled, type WebResponse } from "../adapter.ts"

/** For the HTTP layer, which reads no more. */
export const bodyMaxBytes = 1_048_576
export const textMaxBytes = 65_536
export const idMaxBytes = 256
export const nameMaxBytes = 256
/** A platform that names a longer pause is asked again after this one. */
export const retryAfterMaxMs = 3_600_000

const Id = Schema.String.check(Schema.makeFilter(isId))
const Message = Schema.Struct({
  conversation: Id,
  user: Schema.Struct({ id: Id, name: Schema.optionalKey(Schema.String.check(Schema.makeFilter(isName))) }),
  text: Schema.NonEmptyString
})

const idForm = `a string of 1 to ${idMaxBytes} bytes of UTF-8 without control characters`
/** What each field has to be, in the words of a refusal. */
const forms: Readonly<Record<string, string>> = {
  body: 'a JSON object {"conversation", "user": {"id", "name"?}, "text"}',
  conversation: idForm,
  user: 'an object {"id", "name"?}',
  "user.id": idForm,
  "user.name": `a string of at most ${nameMaxBytes} bytes of UTF-8, or no such field`,
  text: "a string that is not empty"
}

const utf8 = new TextDecoder("utf-8", { fatal: true })
const decodeMessage = Schema.decodeUnknownResult(Message)
const pathsOf = SchemaIssue.makeFormatterStandardSchemaV1()

/** The event in a body, or the answer that says which of its fields is wrong. */
export function toInbound(account: string, eventKey: string, body: Uint8Array): Result.Result<Inbound, WebResponse> {
  const text = Result.try(() => utf8.decode(body))
  if (Result.isFailure(text)) return notOfTheForm("body", "UTF-8")
  const json = Result.try((): unknown => JSON.parse(text.success))
  if (Result.isFailure(json)) return notOfTheForm("body", "JSON")
  const message = decodeMessage(json.success)
  if (Result.isFailure(message)) {
    const path = pathsOf(message.failure.issue).issues[0]?.path ?? []
    return notOfTheForm(path.length === 0 ? "body" : path.join("."))
  }
  return fromMessage(account, eventKey, message.success)
}

function fromMessage(account: string, eventKey: string, message: typeof Message.Type) {
  const { conversation, user } = message
  const text = storable(message.text)
  const bytes = Buffer.byteLength(text)
  if (bytes > textMaxBytes) {
    return Result.fail(problem(413, "too_large", `text: ${bytes} bytes of UTF-8, at most ${textMaxBytes} are taken`))
  }
  const name = user.name === undefined ? {} : { name: storable(user.name) }
  return Result.succeed({
    channel: "webhook",
    account,
    eventKey,
    thread: conversation,
    user: { id: user.id, ...name },
    text
  })
}

/** An id is part of keys and of one line of a log: it is refused rather than changed. */
function isId(id: string): boolean {
  return id !== "" && Buffer.byteLength(id) <= idMaxBytes && id.isWellFormed() && !/\p{Cc}/u.test(id)
}

function isName(name: string): boolean {
  return Buffer.byteLength(storable(name)) <= nameMaxBytes
}

function notOfTheForm(field: string, form = forms[field] ?? forms["body"]): Result.Result<never, WebResponse> {
  return Result.fail(problem(422, "not_of_the_form", `${field}: expected ${form}`))
}

export function problem(status: number, code: string, message: string): WebResponse {
  return { status, body: { error: { code, message } } }
}

/** The body of a callback: the same bytes on every attempt. */
export function fromOutbound({ inReplyTo, outcome, text, thread, turn }: Outbound): string {
  return JSON.stringify({ conversation: thread, text, turn, in_reply_to: inReplyTo, outcome })
}

/** The head of an answer to a callback. */
export interface Answer {
  readonly status: number
  readonly retryAfter: string | undefined
  readonly location: string | undefined
}

/**
 * An error of the 500s may come from a proxy whose other end has taken the message: ambiguous, unless it asks for
 * patience.
 */
export function receiptOf(answer: Answer, nowMs: number): Result.Result<Receipt, SendError> {
  const { location, retryAfter, status } = answer
  if (status >= 200 && status < 300) return Result.succeed("")
  if (status >= 300 && status < 400) return Result.fail(new Rejected({ status, reason: redirected(location) }))
  const reason = `the callback answered ${status}`
  const isLater = status >= 500 || status === 408 || status === 425 || status === 429
  if (!isLater) return Result.fail(new Rejected({ status, reason }))
  const retryAfterMs = retryAfterOf(retryAfter, nowMs)
  if (retryAfterMs !== undefined) return Result.fail(new Throttled({ retryAfterMs }))
  return Result.fail(status < 500 ? new NotSent({ reason }) : new Ambiguous({ reason }))
}

/** Names the host only: paths and queries of callbacks carry tokens. */
function redirected(location: string | undefined): string {
  const host = location !== undefined && URL.canParse(location) ? ` to ${new URL(location).host}` : ""
  return `the callback redirects${host}, and redirects are not followed: set \`callback\` to the address it ends at`
}

/** Whole seconds, or an HTTP date (RFC 9110, 10.2.3). */
function retryAfterOf(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined
  const waitMs = /^\d+$/.test(header) ? Number(header) * 1000 : /GMT$/.test(header) ? Date.parse(header) - nowMs : NaN
  return Number.isNaN(waitMs) ? undefined : Math.min(Math.max(waitMs, 0), retryAfterMaxMs)
}
