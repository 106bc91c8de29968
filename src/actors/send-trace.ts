/** One attempt to deliver a reply, as the span `send`. */
import * as Effect from "effect/Effect"
import { accountOf } from "../domain/ids.ts"
import { type Traces, traceOfAll } from "../domain/trace.ts"
import type { DeliveryEvent } from "../machines/delivery.ts"
import type { Due } from "../store/journal.ts"

export const tracedSend = <E extends DeliveryEvent, Error>(
  send: Effect.Effect<E, Error>,
  { outbound }: Due,
  n: number,
  traces: Traces
): Effect.Effect<E, Error> => {
  const trace = traceOfAll(outbound.conversation, outbound.inReplyTo)
  if (trace === undefined) return send
  const { links, root } = trace
  return Effect.suspend(() => {
    const startNs = traces.nowNs()
    return Effect.tap(send, ({ type }) =>
      Effect.sync(() =>
        traces.take({
          name: "send",
          context: { traceId: root.traceId, spanId: traces.newSpanId() },
          parentId: root.spanId,
          startNs,
          endNs: traces.nowNs(),
          attributes: {
            "parley.account": accountOf(outbound.conversation),
            "parley.turn": outbound.turn,
            "parley.outcome": outbound.outcome,
            "parley.attempt": n
          },
          links,
          failure: type === "send.succeeded" ? undefined : type.replace("send.", "")
        })
      )
    )
  })
}
