/** An OTLP receiver of traces: JSON over HTTP, as https://opentelemetry.io/docs/specs/otlp/#otlphttp says. */
import { createServer, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { text } from "node:stream/consumers"
import { Effect } from "effect"
import { expect } from "vitest"

export interface SeenSpan {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly kind: number
  readonly startNs: bigint
  readonly endNs: bigint
  readonly attributes: Readonly<Record<string, string | number | boolean>>
  readonly status: { readonly code: number; readonly message?: string }
  readonly links: ReadonlyArray<{ readonly traceId: string; readonly spanId: string }>
}

export interface OtlpReceiver {
  /** As `otlpEndpoint` has it. */
  readonly endpoint: string
  readonly spans: () => ReadonlyArray<SeenSpan>
  /** Everything that was sent, as it was. */
  readonly text: () => string
}

/** `answer` is what it does with a request; left out, it takes it. */
export const openOtlpReceiver = Effect.fn("openOtlpReceiver")(function* (
  answer: (response: ServerResponse) => void = (response) => response.end("{}")
) {
  const bodies: Array<string> = []
  const server = createServer(async (request, response) => {
    expect([request.method, request.url]).toEqual(["POST", "/v1/traces"])
    expect(request.headers["content-type"]).toBe("application/json")
    bodies.push(await text(request))
    answer(response)
  })
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
    () => Effect.sync(() => server.close().closeAllConnections())
  )
  const receiver: OtlpReceiver = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans: () => bodies.flatMap((body) => spansOf(JSON.parse(body))),
    text: () => bodies.join("\n")
  }
  return receiver
})

type Value = Readonly<Record<"stringValue" | "intValue" | "doubleValue" | "boolValue", string | number | boolean>>

interface Body {
  readonly resourceSpans: ReadonlyArray<{
    readonly resource: { readonly attributes: ReadonlyArray<{ readonly key: string; readonly value: Value }> }
    readonly scopeSpans: ReadonlyArray<{ readonly spans: ReadonlyArray<WireSpan> }>
  }>
}

interface WireSpan extends Omit<SeenSpan, "startNs" | "endNs" | "attributes"> {
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: ReadonlyArray<{ readonly key: string; readonly value: Value }>
}

function spansOf({ resourceSpans }: Body): ReadonlyArray<SeenSpan> {
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    expect(valuesOf(resource.attributes)).toMatchObject({ "service.name": "parley" })
    return scopeSpans.flatMap(({ spans }) => spans.map(spanOf))
  })
}

function spanOf({ attributes, endTimeUnixNano, startTimeUnixNano, ...span }: WireSpan): SeenSpan {
  expect(span.traceId).toMatch(/^[0-9a-f]{32}$/)
  expect(span.spanId).toMatch(/^[0-9a-f]{16}$/)
  if (span.parentSpanId !== undefined) expect(span.parentSpanId).toMatch(/^[0-9a-f]{16}$/)
  const times = { startNs: BigInt(startTimeUnixNano), endNs: BigInt(endTimeUnixNano) }
  expect(times.endNs).toBeGreaterThanOrEqual(times.startNs)
  return { ...span, ...times, attributes: valuesOf(attributes) }
}

function valuesOf(attributes: WireSpan["attributes"]): SeenSpan["attributes"] {
  return Object.fromEntries(
    attributes.map(({ key, value }) => {
      const { boolValue, doubleValue, intValue, stringValue } = value
      return [key, stringValue ?? boolValue ?? doubleValue ?? Number(intValue)]
    })
  )
}
