/** What a PromQL expression asks for, by Prometheus' own grammar. */
import { parser } from "@prometheus-io/lezer-promql"

export interface Asked {
  readonly metrics: ReadonlyArray<string>
  /** The metrics of which growth is asked: they have to be counters. */
  readonly grown: ReadonlyArray<string>
  readonly errors: ReadonlyArray<string>
}

const growth = ["rate", "irate", "increase"]

/** Variables of Grafana stand in texts, or for a duration. */
export function askedBy(expression: string): Asked {
  const text = expression.replaceAll("$__rate_interval", "5m")
  const metrics: Array<string> = []
  const grown: Array<string> = []
  const errors: Array<string> = []
  parser.parse(text).iterate({
    enter: ({ from, name, node, to, type }) => {
      if (type.isError) errors.push(`${expression}: ${text.slice(Math.max(0, from - 10), to + 10)}`)
      if (name !== "VectorSelector") return
      const named = metricsOf(text.slice(from, to))
      metrics.push(...named)
      const call = node.parent?.parent?.parent
      if (call?.name === "FunctionCall" && growth.includes(text.slice(call.from, call.to).split("(")[0]!.trim()))
        grown.push(...named)
    }
  })
  return { metrics, grown, errors }
}

/** `name{…}`, or a list of whole names in `{__name__=~"…|…"}`. */
function metricsOf(selector: string): ReadonlyArray<string> {
  const list = /__name__=~"([^"]*)"/.exec(selector)?.[1]
  return list?.split("|") ?? [/^[a-zA-Z_:][\w:]*/.exec(selector)?.[0] ?? selector]
}
