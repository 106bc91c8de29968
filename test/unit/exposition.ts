/**
 * What is wrong with a text of metrics, by our own reading of the format, and by a parser that is not ours.
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */
import { createRequire } from "node:module"

interface Sample {
  readonly name: string
  readonly labels: ReadonlyMap<string, string>
  readonly value: number
}

interface Family {
  readonly name: string
  readonly type: string
  readonly samples: Array<Sample>
}

const nameShape = "[a-zA-Z_:][a-zA-Z0-9_:]*"
const helpLine = new RegExp(`^# HELP (${nameShape}) (\\S.*)$`)
const typeLine = new RegExp(`^# TYPE (${nameShape}) (counter|gauge|histogram)$`)
const sampleLine = new RegExp(`^(${nameShape})(?:\\{(.*)\\})? (\\S+)$`)
const labelShape = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\[\\"n])*)"(?:,|$)/y

/** Empty when a scraper takes it. */
export function exposed(text: string): ReadonlyArray<string> {
  const wrong: Array<string> = []
  const families = new Map<string, Family>()
  let helped = ""
  let family: Family | undefined
  if (!text.endsWith("\n")) wrong.push("the last line is not ended")
  for (const line of text.split("\n").slice(0, -1)) {
    const help = helpLine.exec(line)?.[1]
    const type = typeLine.exec(line)
    if (help !== undefined) helped = help
    else if (type !== null) {
      const [, name = "", kind = ""] = type
      if (helped !== name) wrong.push(`${line}: its help does not stand before it`)
      if (families.has(name)) wrong.push(`${line}: a second time`)
      family = { name, type: kind, samples: [] }
      families.set(name, family)
    } else {
      const sample = sampleOf(line)
      if (sample === undefined) wrong.push(`${line}: no sample`)
      else if (family === undefined || !belongs(family, sample.name)) wrong.push(`${line}: in another family`)
      else family.samples.push(sample)
    }
  }
  return [...wrong, ...families.values().flatMap(faultsOf), ...readOtherwise(text, [...families.values()])]
}

interface Parsed {
  readonly name: string
  /** In capitals. */
  readonly type: string
  readonly metrics: ReadonlyArray<unknown>
}

/** It has no types, and is no module of ECMAScript. */
const parse: (text: string) => ReadonlyArray<Parsed> = createRequire(import.meta.url)("parse-prometheus-text-format")

/** Its families and samples must be those that we see. It joins the histograms of a family, whatever their labels. */
function readOtherwise(text: string, families: ReadonlyArray<Family>): ReadonlyArray<string> {
  const said = (name: string, type: string, samples: number) =>
    `${name} ${type.toLowerCase()}${type.toLowerCase() === "histogram" ? "" : `: ${samples}`}`
  const ours = families.filter(({ samples }) => samples.length > 0)
  const seen = ours.map(({ name, samples, type }) => said(name, type, samples.length))
  try {
    const theirs = parse(text).filter(({ metrics }) => metrics.length > 0)
    const read = theirs.map(({ metrics, name, type }) => said(name, type, metrics.length))
    const others = [...seen.filter((line) => !read.includes(line)), ...read.filter((line) => !seen.includes(line))]
    return others.map((line) => `another parser reads it otherwise: ${line}`)
  } catch (error) {
    return [`another parser refuses it: ${error}`]
  }
}

function sampleOf(line: string): Sample | undefined {
  const [, name, text = "", number] = sampleLine.exec(line) ?? []
  if (name === undefined || number === undefined) return undefined
  const value = number === "+Inf" ? Number.POSITIVE_INFINITY : Number(number)
  const labels = new Map<string, string>()
  for (let at = 0; at < text.length; at = labelShape.lastIndex) {
    labelShape.lastIndex = at
    const [, label, words] = labelShape.exec(text) ?? []
    if (label === undefined || labels.has(label)) return undefined
    labels.set(label, words!)
  }
  return Number.isNaN(value) ? undefined : { name, labels, value }
}

function belongs({ name, type }: Family, sample: string): boolean {
  const suffixes = type === "histogram" ? ["_bucket", "_sum", "_count"] : [""]
  return suffixes.some((suffix) => sample === name + suffix)
}

function faultsOf(family: Family): ReadonlyArray<string> {
  const { name, samples, type } = family
  const keys = samples.map((sample) => keyOf(sample))
  return [
    ...(new Set(keys).size < keys.length ? [`${name}: a series stands there twice`] : []),
    ...(type === "counter" && !name.endsWith("_total") ? [`${name}: a counter without _total`] : []),
    ...(type !== "gauge" && samples.some(({ value }) => value < 0) ? [`${name}: less than nothing`] : []),
    ...(type === "histogram" ? histogramFaults(family) : [])
  ]
}

function histogramFaults({ name, samples }: Family): ReadonlyArray<string> {
  const groups = Map.groupBy(samples, (sample) => keyOf(sample, "le").replace(/_(bucket|sum|count)\b/, ""))
  return [...groups].flatMap(([key, group]) => {
    const of = (suffix: string) => group.filter((sample) => sample.name === name + suffix)
    const buckets = of("_bucket").map(({ labels, value }) => ({ le: numberOf(labels.get("le")), value }))
    const [count] = of("_count")
    const isAscending = buckets.every(
      ({ le, value }, i) => i === 0 || (le > buckets[i - 1]!.le && value >= buckets[i - 1]!.value)
    )
    const last = buckets.at(-1)
    const isWhole = last?.le === Number.POSITIVE_INFINITY && last.value === count?.value && of("_sum").length === 1
    return [
      ...(isAscending ? [] : [`${key}: its buckets do not ascend`]),
      ...(isWhole ? [] : [`${key}: its ends do not fit`])
    ]
  })
}

function numberOf(text = ""): number {
  return text === "+Inf" ? Number.POSITIVE_INFINITY : Number(text)
}

function keyOf({ labels, name }: Sample, without?: string): string {
  const pairs = [...labels].filter(([label]) => label !== without).map(([label, value]) => `${label}=${value}`)
  return `${name}{${pairs.toSorted().join(",")}}`
}
