/** The way of a message as an OTLP receiver sees it: whole, whoever takes it up, and without a word of it. */
import { it } from "@effect/vitest"
import { Effect } from "effect"
import { expect } from "vitest"
import { readLine } from "../../src/cli/log-line.ts"
import { traceOf } from "../../src/domain/trace.ts"
import { openDesk, token, until } from "./operator-bench.ts"
import { type OtlpReceiver, openOtlpReceiver, type SeenSpan } from "./otlp-receiver.ts"

const trace = (thread: string, event: string) => traceOf(`webhook/demo/${thread}`, event)

/** The spans of a trace, once a reply was sent in it, by their beginnings. */
const sent = ({ spans }: OtlpReceiver, traceId: string) => {
  const ofTrace = Effect.sync(() => spans().filter((span) => span.traceId === traceId))
  const isWhole = (found: ReadonlyArray<SeenSpan>) => found.some(({ name }) => name === "send")
  return Effect.map(until(ofTrace, isWhole), (found) =>
    found.toSorted((a, b) => (a.startNs < b.startNs ? -1 : a.startNs > b.startNs ? 1 : 0))
  )
}

it.live("a message is one trace from its arrival to its reply, and nothing of it is told", () =>
  Effect.gen(function* () {
    const receiver = yield* openOtlpReceiver()
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: `${receiver.endpoint}/`, AI_DEBUG: "true" }
    const desk = yield* openDesk("take", undefined, env)
    yield* desk.write("secret-room", "event-1", "a secret question")
    const { spanId: root, traceId } = trace("secret-room", "event-1")
    const spans = yield* sent(receiver, traceId)
    const [accept, ...rest] = spans
    expect(accept).toMatchObject({ name: "accept", spanId: root, kind: 5, links: [] })
    expect(accept?.parentSpanId).toBeUndefined()
    expect(accept?.attributes).toEqual({ "parley.account": "webhook/demo", "parley.duplicate": false })
    const one = (name: string) => {
      const found = spans.filter((span) => span.name === name)
      expect([name, found.length]).toEqual([name, 1])
      return found[0]!
    }
    const [turn, queue, prefill, generate, send] = ["turn", "queue", "prefill", "generate", "send"].map(one)
    const parts = [turn, queue, prefill, generate, send].map((span) => span?.parentSpanId)
    expect(parts).toEqual([root, turn?.spanId, turn?.spanId, turn?.spanId, root])
    expect([queue?.endNs, prefill?.endNs]).toEqual([prefill?.startNs, generate?.startNs])
    expect(turn?.endNs).toBeGreaterThanOrEqual(generate!.endNs)
    expect(send?.startNs).toBeGreaterThanOrEqual(generate!.endNs)
    expect(turn?.attributes).toMatchObject({ "parley.turn": 1, "parley.attempt": 1, "parley.outcome": "answered" })
    expect(generate?.attributes).toMatchObject({ "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 8 })
    expect(send?.attributes).toMatchObject({ "parley.attempt": 1, "parley.outcome": "answered" })
    const commits = rest.filter(({ name }) => name === "commit")
    expect(commits.map(({ attributes, parentSpanId }) => [attributes["parley.event"], parentSpanId])).toEqual([
      ["inbound", root],
      ["user.message", root],
      ["inference.finished", turn?.spanId]
    ])
    expect(spans.every(({ status }) => status.code === 1)).toBe(true)
    expect(receiver.text()).not.toMatch(new RegExp(`secret|question|echo|whsec|event-1|ann|${token}`))
    const lines = desk.main
      .output()
      .split("\n")
      .flatMap((line) => readLine(line) ?? [])
    const streaming = lines.find(({ message }) => message.startsWith("streaming"))
    expect(streaming?.annotations).toEqual({ trace: traceId })
  })
)

it.live("whoever goes on after a crash goes on with the same trace", () =>
  Effect.gen(function* () {
    const receiver = yield* openOtlpReceiver()
    const desk = yield* openDesk("take", undefined, { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint })
    yield* desk.write("room", "event-1", "!once hang 1")
    const { spanId: root, traceId } = trace("room", "event-1")
    yield* until(Effect.sync(receiver.spans), (spans) => spans.some(({ name }) => name === "prefill"))
    desk.main.child.kill("SIGKILL")
    yield* Effect.promise(() => desk.main.ended)
    const before = receiver.spans().map(({ name }) => name)
    expect(before.toSorted()).toEqual(["accept", "commit", "commit", "prefill", "queue"])
    desk.start()
    const spans = yield* sent(receiver, traceId)
    const turn = spans.find(({ name }) => name === "turn")
    expect(turn).toMatchObject({ parentSpanId: root, attributes: { "parley.attempt": 2, "parley.turn": 1 } })
    expect(spans.filter(({ name }) => name === "accept")).toHaveLength(1)
    expect(new Set(receiver.spans().map((span) => span.traceId))).toEqual(new Set([traceId]))
  })
)

it.live("what is answered together is linked, and what comes again stands below what came first", () =>
  Effect.gen(function* () {
    const receiver = yield* openOtlpReceiver()
    const desk = yield* openDesk("take", undefined, { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint })
    yield* desk.write("room", "event-1", "!hang 1")
    yield* until(Effect.sync(desk.model.stats), ({ streaming }) => streaming === 1)
    yield* desk.write("room", "event-2", "two")
    yield* desk.write("room", "event-3", "three")
    expect(yield* desk.write("room", "event-3", "three")).toBe(true)
    yield* desk.write("room", "event-4", "/stop")
    yield* desk.write("room", "event-5", "five")
    yield* sent(receiver, trace("room", "event-5").traceId)
    const spans = receiver.spans()
    const repeated = spans.filter(
      ({ name, traceId }) => name === "accept" && traceId === trace("room", "event-3").traceId
    )
    expect(repeated.map(({ parentSpanId }) => parentSpanId)).toEqual([undefined, trace("room", "event-3").spanId])
    const stopped = spans.find(
      ({ attributes }) => attributes["parley.outcome"] === "stopped" && "parley.turn" in attributes
    )
    expect(stopped?.traceId).toBe(trace("room", "event-1").traceId)
    const reply = spans.find(({ name, links }) => name === "send" && links.length > 0)
    expect(reply?.traceId).toBe(trace("room", "event-3").traceId)
    expect(reply?.links).toMatchObject([trace("room", "event-1"), trace("room", "event-2")])
  })
)

it.live("a receiver that refuses, is silent or is not there holds nobody up, and is told of", () =>
  Effect.gen(function* () {
    const silent = yield* openOtlpReceiver(() => undefined)
    const refusing = yield* openOtlpReceiver((response) => response.writeHead(503, { "retry-after": "3600" }).end())
    for (const [endpoint, words] of [
      [silent.endpoint, "it does not answer"],
      [refusing.endpoint, "it answers 503"],
      ["http://127.0.0.1:9", "nothing listens there"]
    ] as const) {
      const desk = yield* openDesk("take", undefined, { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint })
      yield* desk.write("room", "event-1", "hello")
      yield* desk.callback.arrived(1)
      yield* until(Effect.sync(desk.main.output), (output) => output.includes("spans are lost"))
      yield* desk.write("room", "event-2", "hello")
      yield* desk.callback.arrived(2)
      desk.main.child.kill("SIGTERM")
      expect(yield* Effect.promise(() => desk.main.ended)).toBe(0)
      expect(desk.main.output()).toContain(words)
    }
  })
)
