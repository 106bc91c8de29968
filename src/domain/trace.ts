/**
 * The way of one message as spans, which is what OpenTelemetry calls a step with its times. Which trace a step belongs
 * to is derived from the message it is about, never drawn or handed on: whoever takes it up, after a crash too, finds
 * the same one.
 */
import { createHash } from "node:crypto"

export interface TraceContext {
  /** 16 bytes in hexadecimal. */
  readonly traceId: string
  /** 8 bytes in hexadecimal. */
  readonly spanId: string
}

export type SpanName = "accept" | "commit" | "turn" | "queue" | "prefill" | "generate" | "send"

/** A step that is over. */
export interface Span {
  readonly name: SpanName
  readonly context: TraceContext
  /** A span of the same trace; the first one of a trace has none. */
  readonly parentId: string | undefined
  /** Nanoseconds since the epoch. */
  readonly startNs: bigint
  readonly endNs: bigint
  /** Numbers and names of ours. Nothing that a person wrote, and no conversation: that of the web chat is its key. */
  readonly attributes: Readonly<Record<string, string | number | boolean>>
  readonly links: ReadonlyArray<TraceContext>
  /** Why it came to nothing, in a word of ours; undefined when it did not. */
  readonly failure?: string | undefined
}

/** Where spans go. */
export interface Traces {
  /** Nanoseconds since the epoch. */
  readonly nowNs: () => bigint
  /** 8 random bytes in hexadecimal. */
  readonly newSpanId: () => string
  /** Neither waits nor throws. */
  readonly take: (span: Span) => void
}

/** Where a message comes in: the first span of its trace. The trace's id stands in log lines as well. */
export function traceOf(conversation: string, eventKey: string): TraceContext {
  const hash = createHash("sha256").update(`trace\n${conversation}\n${eventKey}`).digest("hex")
  return { traceId: hash.slice(0, 32), spanId: hash.slice(32, 48) }
}

const linksMax = 64

/**
 * What answers several messages belongs to the trace of the last one, and is linked to those of the others. Undefined
 * for none.
 */
export function traceOfAll(
  conversation: string,
  eventKeys: ReadonlyArray<string>
): { readonly root: TraceContext; readonly links: ReadonlyArray<TraceContext> } | undefined {
  const last = eventKeys.at(-1)
  if (last === undefined) return undefined
  const others = eventKeys.slice(0, -1).slice(-linksMax)
  return { root: traceOf(conversation, last), links: others.map((key) => traceOf(conversation, key)) }
}
