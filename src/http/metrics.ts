/** `GET /metrics`, for the operator. https://prometheus.io/docs/instrumenting/exposition_formats/ */
import { createHash, timingSafeEqual } from "node:crypto"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Redacted from "effect/Redacted"
import { problem } from "./problem.ts"

export interface Metric {
  readonly name: string
  readonly help: string
  readonly type: "counter" | "gauge"
  readonly samples: ReadonlyArray<{ readonly labels?: Readonly<Record<string, string>>; readonly value: number }>
}

export function textOf(metrics: ReadonlyArray<Metric>): string {
  return metrics
    .map(({ help, name, samples, type }) =>
      [
        `# HELP ${name} ${help}`,
        `# TYPE ${name} ${type}`,
        ...samples.map(({ labels = {}, value }) => `${name}${labelsOf(labels)} ${value}`)
      ].join("\n")
    )
    .join("\n")
    .concat("\n")
}

function labelsOf(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}=${JSON.stringify(value)}`)
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`
}

export const metricsRoute = (metrics: Effect.Effect<string>, token: Redacted.Redacted | undefined) =>
  HttpRouter.add(
    "GET",
    "/metrics",
    Effect.gen(function* () {
      const { headers } = yield* HttpServerRequest.HttpServerRequest
      if (token !== undefined && !isBearer(headers["authorization"], Redacted.value(token))) {
        return problem(401, "unauthorized", "Send `Authorization: Bearer` with PARLEY_TOKEN.", {
          "www-authenticate": "Bearer"
        })
      }
      return HttpServerResponse.text(yield* metrics, { contentType: "text/plain; version=0.0.4; charset=utf-8" })
    })
  )

/** In constant time: the digests are of one length, whatever was sent. */
function isBearer(header: string | undefined, token: string): boolean {
  const sent = /^Bearer (.{1,1024})$/.exec(header ?? "")?.[1] ?? ""
  const digest = (text: string) => createHash("sha256").update(text).digest()
  return timingSafeEqual(digest(sent), digest(token))
}
