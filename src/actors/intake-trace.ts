/** How a message came in, as spans: `accept`, and within it the `commit` that made it durable. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Accept, NotAccepted } from "../adapters/adapter.ts"
import { accountId, conversationId } from "../domain/ids.ts"
import type { Accepted, Inbound } from "../domain/inbound.ts"
import { type Span, type TraceContext, type Traces, traceOf } from "../domain/trace.ts"
import type { Journal } from "../store/journal.ts"

export function traceOfInbound({ account, channel, eventKey, thread }: Inbound): TraceContext {
  return traceOf(conversationId(channel, account, thread), eventKey)
}

export const tracedAccept =
  (accept: Accept, traces: Traces): Accept =>
  (inbound) =>
    Effect.suspend(() => {
      const startNs = traces.nowNs()
      return Effect.onExit(accept(inbound), (exit) =>
        Effect.sync(() => traces.take(acceptSpan(inbound, exit, { traces, startNs })))
      )
    })

export function tracedIntake(journal: Journal["Service"], traces: Traces): Journal["Service"] {
  return {
    ...journal,
    accept: (inbound, onAccepted) =>
      Effect.suspend(() => {
        const startNs = traces.nowNs()
        return Effect.onExit(journal.accept(inbound, onAccepted), (exit) =>
          Effect.sync(() => traces.take(commitSpan(inbound, exit, { traces, startNs })))
        )
      })
  }
}

interface Begun {
  readonly traces: Traces
  readonly startNs: bigint
}

/** The first that is accepted of an event is the root of its trace; what was refused, or came again, stands below. */
function acceptSpan(inbound: Inbound, exit: Exit.Exit<Accepted, NotAccepted>, { startNs, traces }: Begun): Span {
  const root = traceOfInbound(inbound)
  const isRoot = Exit.isSuccess(exit) && !exit.value.duplicate
  const refusal = Exit.findErrorOption(exit)
  return {
    name: "accept",
    context: isRoot ? root : { ...root, spanId: traces.newSpanId() },
    parentId: isRoot ? undefined : root.spanId,
    startNs,
    endNs: traces.nowNs(),
    attributes: {
      "parley.account": accountId(inbound.channel, inbound.account),
      ...(Exit.isSuccess(exit) && { "parley.duplicate": exit.value.duplicate })
    },
    links: [],
    failure: Exit.isSuccess(exit) ? undefined : refusal._tag === "Some" ? refusal.value.reason : "interrupted"
  }
}

function commitSpan(inbound: Inbound, exit: Exit.Exit<unknown, unknown>, { startNs, traces }: Begun): Span {
  const { spanId, traceId } = traceOfInbound(inbound)
  return {
    name: "commit",
    context: { traceId, spanId: traces.newSpanId() },
    parentId: spanId,
    startNs,
    endNs: traces.nowNs(),
    attributes: { "parley.event": "inbound" },
    links: [],
    failure: Exit.isSuccess(exit) ? undefined : "database"
  }
}
