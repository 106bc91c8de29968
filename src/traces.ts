/**
 * Spans to an OTLP receiver, by Effect's exporter. What the receiver is too slow for is dropped: nobody waits for it,
 * and nothing is kept for long.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as OtlpExporter from "effect/observability/OtlpExporter"
import { entriesToAttributes, make as makeResource } from "effect/observability/OtlpResource"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import type { ScopeSpan } from "effect/observability/OtlpTracer"
import type * as Scope from "effect/Scope"
import { ask, inWords } from "./cli/web-ask.ts"
import { randomId } from "./domain/random-id.ts"
import type { Span, Traces } from "./domain/trace.ts"

/** Spans of a request; they leave when there are so many, or every `intervalMs`. */
const batchMax = 512
const intervalMs = 2_000
/** Requests at once. Spans that end while there are so many are dropped. */
const requestsMax = 4
/** At the end of the server. */
const flushMaxMs = 1_000

type OtlpSpan = ScopeSpan["spans"][number]

/** `endpoint` is the address without `/v1/traces`. What is left is sent when the scope closes. */
export const openTraces = Effect.fn("openTraces")(
  function* (
    endpoint: string
  ): Effect.fn.Return<Traces, never, Scope.Scope | OtlpExporter.Flusher | OtlpSerialization.OtlpSerialization> {
    const clock = yield* Clock.Clock
    const url = `${endpoint.replace(/\/$/, "")}/v1/traces`
    const resource = makeResource({ serviceName: "parley" })
    const { traces: bodyOf } = yield* OtlpSerialization.OtlpSerialization
    let requests = 0
    const left = Effect.sync(() => {
      requests--
    })
    const client = HttpClient.make((request) => Effect.ensuring(send(request), left))
    const exporter = OtlpExporter.make({
      url,
      headers: undefined,
      label: "parley",
      exportInterval: intervalMs,
      maxBatchSize: batchMax,
      shutdownTimeout: flushMaxMs,
      body: (spans: Array<OtlpSpan>) => {
        requests++
        return [
          bodyOf({ resourceSpans: [{ resource, scopeSpans: [{ scope: { name: "parley" }, spans }] }] }),
          Effect.void
        ]
      }
    })
    const { push } = yield* Effect.provideService(exporter, HttpClient.HttpClient, client)
    yield* Effect.logInfo(`traces go to ${new URL(url).origin}`)
    return {
      nowNs: () => clock.currentTimeNanosUnsafe(),
      newSpanId: () => randomId().slice(16),
      take: (span) => {
        if (requests < requestsMax) push(otlpOf(span))
      }
    }
  },
  Effect.provide([OtlpExporter.layerFlusher, OtlpSerialization.layerJson])
)

/** What the exporter would try again fails for good: it would hold the spans for as long as the receiver says. */
const send = (request: HttpClientRequest.HttpClientRequest) => {
  const { body, headers, url } = request
  const bytes = body._tag === "Uint8Array" ? body.body : new Uint8Array()
  const given = { ...headers, "content-type": "application/json", "content-length": String(bytes.length) }
  return ask(url, { method: "POST", headers: given, body: bytes }).pipe(
    Effect.mapError(({ code }) => inWords(code)),
    Effect.filterOrFail(
      ({ status }) => status >= 200 && status < 300,
      ({ status }) => `it answers ${status}`
    ),
    Effect.map(({ status }) => HttpClientResponse.fromWeb(request, new Response(null, { status }))),
    Effect.tapError((why) => Effect.logWarning(`spans are lost, and none are sent for a minute: ${why}`)),
    Effect.mapError((description) => {
      const reason = new HttpClientError.EncodeError({ request, description })
      return new HttpClientError.HttpClientError({ reason })
    })
  )
}

const kinds = { internal: 1, client: 3, consumer: 5 }
const status = { ok: 1, error: 2 } as const

function otlpOf(span: Span): OtlpSpan {
  const { attributes, context, endNs, failure, links, name, parentId, startNs } = span
  return {
    ...context,
    parentSpanId: parentId,
    name,
    kind: name === "accept" ? kinds.consumer : name === "send" ? kinds.client : kinds.internal,
    startTimeUnixNano: String(startNs),
    endTimeUnixNano: String(endNs),
    attributes: entriesToAttributes(Object.entries(attributes)),
    droppedAttributesCount: 0,
    events: [],
    droppedEventsCount: 0,
    status: failure === undefined ? { code: status.ok } : { code: status.error, message: failure },
    links: links.map((link) => ({ ...link, attributes: [], droppedAttributesCount: 0 })),
    droppedLinksCount: 0
  }
}
