/** The spans of a conversation's turns, whatever happens in them. */
import { Duration } from "effect"
import fc from "fast-check"
import { expect, test } from "vitest"
import { TurnTrace } from "../../src/actors/turn-trace.ts"
import { type Span, traceOf, traceOfAll } from "../../src/domain/trace.ts"
import type { Signal } from "../../src/inference/scheduler.ts"
import type { Entry } from "../../src/store/journal.ts"

type Deed =
  | { readonly type: "ask"; readonly events: number }
  | { readonly type: "keep" | "commit" | "started" | "text" | "restarted" | "finished" | "answered" | "failed" }

const conversation = "web/chat/0123456789abcdef"
const deeds: fc.Arbitrary<Deed> = fc.oneof(
  fc.record({ type: fc.constant("ask" as const), events: fc.integer({ min: 0, max: 3 }) }),
  fc.record({
    type: fc.constantFrom("keep", "commit", "started", "text", "restarted", "finished", "answered", "failed")
  })
)

/** Each deed takes a second. */
function lived(story: ReadonlyArray<Deed>): ReadonlyArray<Span> {
  const spans: Array<Span> = []
  let nowNs = 0n
  let ids = 0
  const newSpanId = () => (++ids).toString(16).padStart(16, "0")
  const trace = new TurnTrace(conversation, { nowNs: () => nowNs, newSpanId, take: (span) => void spans.push(span) })
  const usage = { promptTokens: 1, answerTokens: 1 }
  for (const [n, deed] of story.entries()) {
    nowNs += 1_000_000_000n
    switch (deed.type) {
      case "ask":
        trace.ask(
          n,
          1,
          Array.from({ length: deed.events }, (_, index) => `${n}.${index}`)
        )
        break
      case "keep":
        trace.keep(`${n}`)
        break
      case "commit":
        trace.committed({ event: { type: "some.event" } } as Entry, Duration.millis(2))
        break
      case "answered":
      case "failed":
        trace.end(deed.type, deed.type === "failed")
        break
      case "text":
        trace.hear({ type: "text", attempt: 1, text: "a secret" })
        break
      case "finished":
        trace.hear({ type: "finished", attempt: 1, reason: "stop", usage })
        break
      default:
        trace.hear({ type: deed.type, attempt: 1, reason: "" } as Signal)
    }
  }
  nowNs += 1_000_000_000n
  trace.end("parked")
  return spans
}

test("each request for an answer to somebody is one turn, in the trace of the last whom it answers", () => {
  fc.assert(
    fc.property(fc.array(deeds, { size: "max", maxLength: 60 }), (story) => {
      const asked = story.flatMap((deed, n) =>
        deed.type === "ask" && deed.events > 0 ? [Array.from({ length: deed.events }, (_, i) => `${n}.${i}`)] : []
      )
      const turns = lived(story).filter(({ name }) => name === "turn")
      expect(turns.map(({ context, links, parentId }) => [context.traceId, parentId, links])).toEqual(
        asked.map((keys) => {
          const { links, root } = traceOfAll(conversation, keys)!
          return [root.traceId, root.spanId, links]
        })
      )
    })
  )
})

test("the phases of a turn fill it without a gap, and nothing stands outside of its parent", () => {
  fc.assert(
    fc.property(fc.array(deeds, { size: "max", maxLength: 60 }), (story) => {
      const spans = lived(story)
      expect(new Set(spans.map(({ context }) => context.spanId)).size).toBe(spans.length)
      for (const { context, endNs, startNs } of spans.filter(({ name }) => name === "turn")) {
        const within = spans.filter(({ parentId }) => parentId === context.spanId)
        const phases = within.filter(({ name }) => name !== "commit")
        expect(phases[0]).toMatchObject({ name: "queue", startNs })
        for (const [index, phase] of phases.entries()) {
          expect(phase.startNs).toBe(index === 0 ? startNs : phases[index - 1]!.endNs)
          expect(phase.endNs).toBeLessThanOrEqual(endNs)
        }
        for (const span of within) expect(span.context.traceId).toBe(context.traceId)
      }
    })
  )
})

test("what says who or what stands in no span", () => {
  fc.assert(
    fc.property(fc.array(deeds, { size: "max", maxLength: 60 }), (story) => {
      const text = JSON.stringify(lived(story), (_, value) => (typeof value === "bigint" ? String(value) : value))
      expect(text).not.toMatch(/0123456789abcdef|a secret/)
    })
  )
})

test("a trace is derived: the same for the same event, another for every other", () => {
  fc.assert(
    fc.property(fc.tuple(fc.string(), fc.string()), fc.tuple(fc.string(), fc.string()), (a, b) => {
      expect(traceOf(...a)).toEqual(traceOf(...a))
      expect(traceOf(...a).traceId === traceOf(...b).traceId).toBe(a.join("\n") === b.join("\n"))
      expect(`${traceOf(...a).traceId} ${traceOf(...a).spanId}`).toMatch(/^[0-9a-f]{32} [0-9a-f]{16}$/)
    })
  )
})
