/** Numbers of several repetitions, and how a person reads them: median, range, floor, ratio, target. */

export function median(values: ReadonlyArray<number>): number {
  return quantile(values, 0.5)
}

/** The nearest-rank quantile: a value that was seen. */
export function quantile(values: Iterable<number>, q: number): number {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN
}

/** One line of the table. Each list has a value a repetition. */
export interface Figure {
  readonly name: string
  readonly unit: string
  readonly values: ReadonlyArray<number>
  /** What the same was for the floor, in the same repetitions. */
  readonly floor?: ReadonlyArray<number>
  readonly target?: Target
}

/** Of the median, or of the ratio of the medians. */
export interface Target {
  readonly of: "value" | "ratio"
  readonly bound: "at most" | "at least"
  readonly limit: number
}

export const atMost = (limit: number): Target => ({ of: "value", bound: "at most", limit })
export const atLeast = (limit: number): Target => ({ of: "value", bound: "at least", limit })
export const ratioAtMost = (limit: number): Target => ({ of: "ratio", bound: "at most", limit })

/** A Markdown table. */
export function tableOf(figures: ReadonlyArray<Figure>): string {
  const head = ["figure", "median", "lowest … highest", "floor", "ratio", "target", ""]
  const rows = figures.map((figure) => {
    const { floor, name, target, unit, values } = figure
    const seen = median(values)
    const ratio = floor === undefined ? undefined : seen / median(floor)
    return [
      name,
      `${rounded(seen)} ${unit}`.trim(),
      `${rounded(Math.min(...values))} … ${rounded(Math.max(...values))}`,
      floor === undefined ? "" : `${rounded(median(floor))} ${unit}`.trim(),
      ratio === undefined ? "" : `${rounded(ratio)}×`,
      target === undefined ? "" : `${target.bound === "at most" ? "≤" : "≥"} ${wordsOf(target, unit)}`,
      target === undefined ? "" : isMet(target, seen, ratio) ? "met" : "MISSED"
    ]
  })
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => [...(row[column] ?? "")].length)))
  const line = (row: ReadonlyArray<string>) =>
    `| ${row.map((cell, column) => cell + " ".repeat(widths[column]! - [...cell].length)).join(" | ")} |`
  return [line(head), `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`, ...rows.map(line)].join("\n")
}

function wordsOf({ limit, of }: Target, unit: string): string {
  return of === "ratio" ? `${limit}×` : `${limit} ${unit}`.trim()
}

function isMet({ bound, limit, of }: Target, seen: number, ratio: number | undefined): boolean {
  const value = of === "ratio" ? (ratio ?? Number.NaN) : seen
  return bound === "at most" ? value <= limit : value >= limit
}

export function rounded(value: number): string {
  if (!Number.isFinite(value)) return "–"
  const size = Math.abs(value)
  return size >= 1000 ? String(Math.round(value)) : value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2)
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
