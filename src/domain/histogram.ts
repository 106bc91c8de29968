/** How often what was measured was at most so much: a histogram of Prometheus. */
export interface Histogram {
  /** Upper ends, ascending; one more counts what is above. */
  readonly bounds: ReadonlyArray<number>
  /** Of each bound what is at most that, and above the one before. */
  readonly counts: Array<number>
  sum: number
}

export function emptyHistogram(bounds: ReadonlyArray<number>): Histogram {
  return { bounds, counts: new Array<number>(bounds.length + 1).fill(0), sum: 0 }
}

/** Changes it in place. */
export function observe(histogram: Histogram, value: number): void {
  const at = histogram.bounds.findIndex((bound) => value <= bound)
  histogram.counts[at < 0 ? histogram.bounds.length : at]!++
  histogram.sum += value
}
