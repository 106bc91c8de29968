/**
 * What a conversation does for a message, as spans:
 *
 *   commit               the message is taken into the conversation
 *   turn                 from the request for an answer to its end
 *     queue → prefill → generate     until it has a slot, until its first token, until its last; again for each attempt
 *     commit             the end of the turn
 */
import * as Duration from "effect/Duration"
import { accountOf } from "../domain/ids.ts"
import { type Span, type TraceContext, type Traces, traceOf, traceOfAll } from "../domain/trace.ts"
import type { Signal } from "../inference/scheduler.ts"
import type { Entry } from "../store/journal.ts"

type Phase = "queue" | "prefill" | "generate"

interface OpenTurn {
  readonly root: TraceContext
  readonly links: ReadonlyArray<TraceContext>
  readonly spanId: string
  readonly startNs: bigint
  readonly turn: number
  attempt: number
  phase: Phase | undefined
  phaseStartNs: bigint
}

type Attributes = Span["attributes"]

/** Of one conversation. A second call of an end changes nothing. */
export class TurnTrace {
  readonly #conversation: string
  readonly #traces: Traces
  /** Of the message that the entry to come takes in. */
  #kept: TraceContext | undefined
  #open: OpenTurn | undefined

  constructor(conversation: string, traces: Traces) {
    this.#conversation = conversation
    this.#traces = traces
  }

  keep(eventKey: string): void {
    this.#kept = traceOf(this.#conversation, eventKey)
  }

  /** The entry is durable, `took` after it was decided on. */
  committed({ event }: Entry, took: Duration.Duration): void {
    const kept = this.#kept
    this.#kept = undefined
    const open = this.#open
    const of = kept ?? (open && { traceId: open.root.traceId, spanId: open.spanId })
    if (of === undefined) return
    const endNs = this.#traces.nowNs()
    const startNs = endNs - Duration.toNanosUnsafe(took)
    this.#take("commit", of, startNs, { endNs, attributes: { "parley.event": event.type } })
  }

  /** Asks for an answer to these events. */
  ask(turn: number, attempt: number, eventKeys: ReadonlyArray<string>): void {
    this.end("superseded")
    const trace = traceOfAll(this.#conversation, eventKeys)
    if (trace === undefined) return
    const { nowNs, newSpanId } = this.#traces
    const startNs = nowNs()
    const phase = { phase: "queue" as const, phaseStartNs: startNs }
    this.#open = { ...trace, spanId: newSpanId(), startNs, turn, attempt, ...phase }
  }

  hear(signal: Signal): void {
    const open = this.#open
    if (open?.phase === undefined) return
    switch (signal.type) {
      case "started":
        this.#turnTo("prefill", {})
        break
      case "text":
      case "call":
        if (open.phase === "prefill") this.#turnTo("generate", {})
        break
      case "restarted":
        this.#turnTo("queue", {}, "restarted")
        open.attempt = signal.attempt
        break
      case "finished": {
        const { answerTokens, cachedTokens, promptTokens } = signal.usage
        this.#turnTo(undefined, {
          "gen_ai.usage.input_tokens": promptTokens,
          "gen_ai.usage.output_tokens": answerTokens,
          ...(cachedTokens !== undefined && { "parley.cached_tokens": cachedTokens })
        })
      }
    }
  }

  /** The turn is over, and that is durable. */
  end(outcome: string, isFailure = false): void {
    const open = this.#open
    if (open === undefined) return
    const failure = isFailure ? outcome : undefined
    this.#turnTo(undefined, { "parley.outcome": outcome }, failure)
    this.#open = undefined
    const { attempt, links, root, spanId, startNs, turn } = open
    this.#traces.take({
      name: "turn",
      context: { traceId: root.traceId, spanId },
      parentId: root.spanId,
      startNs,
      endNs: this.#traces.nowNs(),
      attributes: {
        "parley.account": accountOf(this.#conversation),
        "parley.turn": turn,
        "parley.attempt": attempt,
        "parley.outcome": outcome
      },
      links,
      failure
    })
  }

  /** Ends the phase that it is in, and begins the next one. */
  #turnTo(next: Phase | undefined, attributes: Attributes, failure?: string): void {
    const open = this.#open!
    const endNs = this.#traces.nowNs()
    if (open.phase !== undefined) {
      const of = { traceId: open.root.traceId, spanId: open.spanId }
      const numbered = { "parley.attempt": open.attempt, ...attributes }
      this.#take(open.phase, of, open.phaseStartNs, { endNs, attributes: numbered, failure })
    }
    open.phase = next
    open.phaseStartNs = endNs
  }

  #take(
    name: Span["name"],
    parent: TraceContext,
    startNs: bigint,
    more: Pick<Span, "endNs" | "attributes" | "failure">
  ): void {
    const context = { traceId: parent.traceId, spanId: this.#traces.newSpanId() }
    this.#traces.take({ name, context, parentId: parent.spanId, startNs, links: [], ...more })
  }
}
