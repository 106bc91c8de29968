/** `GET /metrics`, for the operator. https://prometheus.io/docs/instrumenting/exposition_formats/ */
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"

export interface Metric {
  readonly name: string
  readonly help: string
  readonly type: "counter" | "gauge" | "histogram"
  readonly samples: ReadonlyArray<Sample>
}

export interface Sample {
  /** Of a histogram. */
  readonly suffix?: "_bucket" | "_sum" | "_count"
  readonly labels?: Readonly<Record<string, string>>
  readonly value: number
}

export function textOf(metrics: ReadonlyArray<Metric>): string {
  return metrics
    .map(({ help, name, samples, type }) =>
      [
        `# HELP ${name} ${help}`,
        `# TYPE ${name} ${type}`,
        ...samples.map(({ labels = {}, suffix = "", value }) => `${name}${suffix}${labelsOf(labels)} ${value}`)
      ].join("\n")
    )
    .join("\n")
    .concat("\n")
}

function labelsOf(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}=${JSON.stringify(value)}`)
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`
}

export const metricsRoute = (metrics: Effect.Effect<string>) =>
  HttpRouter.add(
    "GET",
    "/metrics",
    Effect.map(metrics, (text) =>
      HttpServerResponse.text(text, { contentType: "text/plain; version=0.0.4; charset=utf-8" })
    )
  )
