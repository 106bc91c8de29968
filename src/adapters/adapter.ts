/** What a chat platform must do for people to be answered there; the runtime does all the rest. */
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { WebSocket } from "ws"
import type { Glimpse } from "../domain/glimpse.ts"
import type { Accepted, Inbound } from "../domain/inbound.ts"
import type { Outbound } from "../domain/outbound.ts"

/**
 * What the platform lets us promise about one message sent once; the conformance kit proves it (DESIGN.md, O3).
 *
 *   idempotent  A: it takes our key, and a second send with it shows nothing
 *   readable    B: we can read back whether a send arrived before we repeat it
 *   editable    C: a placeholder is sent once, its content by edits, which may be repeated
 *   none        D: at least once, and every ambiguous send is listed for the operator
 */
export type DeliveryClass = "idempotent" | "readable" | "editable" | "none"

export interface Limits {
  /** Longest text of one message, in the unit the platform counts in. */
  readonly textMax: number
  readonly textUnit: "utf8-bytes" | "utf16-units" | "code-points"
  /** Longest wait for the platform's answer to one send. */
  readonly sendMaxMs: number
}

export interface Capabilities {
  readonly edit: boolean
  readonly typing: boolean
  readonly attachments: boolean
}

/** What one account of a platform does when a request for it arrives over HTTP. */
export interface WebRequest {
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>
  /** Already within `bodyMaxBytes`. */
  readonly body: Uint8Array
}

export interface WebResponse {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: unknown
}

/** Succeeds once the event is durable, and only then may the platform be told so. Interrupting does not undo it. */
export type Accept = (inbound: Inbound) => Effect.Effect<Accepted, NotAccepted>

export interface Adapter {
  readonly channel: string
  readonly account: string
  readonly delivery: DeliveryClass
  readonly limits: Limits
  readonly capabilities: Capabilities
  /**
   * Runs the connection of the account until it is lost: its supervisor opens the next, after this scope is closed.
   * A platform that calls us over HTTP installs `receive` for as long as the scope is open.
   */
  readonly listen: (accept: Accept) => Effect.Effect<never, Disconnected, Scope.Scope>
  /** Handles one HTTP request to the account; answers 503 while `listen` does not run. */
  readonly receive?: (request: WebRequest) => Effect.Effect<WebResponse>
  /** Takes over a WebSocket that was opened to the account; closes it while `listen` does not run. */
  readonly connect?: (socket: WebSocket) => void
  /** Shows what is under way in a thread, as far as the platform can. Must not throw, and must not wait. */
  readonly show?: (thread: string, glimpse: Glimpse) => void
  /** Sends one message within `limits`, once: the runtime splits, paces and repeats. */
  readonly send: (outbound: Outbound) => Effect.Effect<Receipt, SendError>
  /** The receipt of an earlier send with this key, if it arrived. Class `readable` has it. */
  readonly find?: (outbound: Outbound) => Effect.Effect<Receipt | undefined, NotSent>
}

/** The platform's id of a message that it shows; empty where it names none. */
export type Receipt = string

export type SendError = NotSent | Rejected | Throttled | Ambiguous

/** It did not reach the platform, or the platform said that it did not take it: repeating it is safe. */
export class NotSent extends Data.TaggedError("NotSent")<{ readonly reason: string }> {}

/** The platform refuses it, and will again. */
export class Rejected extends Data.TaggedError("Rejected")<{ readonly status: number; readonly reason: string }> {}

/** Nothing was shown; the platform says when to come back. */
export class Throttled extends Data.TaggedError("Throttled")<{ readonly retryAfterMs: number }> {}

/** The answer was lost: it may be shown or not. What to do is decided by `delivery`. */
export class Ambiguous extends Data.TaggedError("Ambiguous")<{ readonly reason: string }> {}

export class Disconnected extends Data.TaggedError("Disconnected")<{ readonly reason: string }> {}

/** The event is not durable, and the platform should send it again (DESIGN.md, I5). */
export class NotAccepted extends Data.TaggedError("NotAccepted")<{
  readonly reason: "database" | "inbox-full" | "stopping"
  readonly retryAfterMs: number
}> {}
