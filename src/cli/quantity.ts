/** Bytes, times and counts as people read them. */

const units = ["B", "KiB", "MiB", "GiB", "TiB"]

/** `4.37 GiB`: three digits that count. */
export function bytesText(bytes: number): string {
  return scaled(
    bytes,
    1024,
    units.map((unit) => ` ${unit}`)
  )
}

/** `135M` */
export function countText(count: number): string {
  return scaled(count, 1000, ["", "K", "M", "B", "T"])
}

/** Of tokens: `32k` for 32,768. */
export function tokensText(tokens: number): string {
  return tokens >= 1024 && tokens % 1024 === 0 ? `${tokens / 1024}k` : String(tokens)
}

/** Two digits that say something: `0.013`, `1.3`, `133`. */
export function rounded(value: number): string {
  return value >= 10 ? String(Math.round(value)) : String(Number(value.toPrecision(2)))
}

/** `2 d 01 h`, `1 h 02 min`, `3 min 05 s`, `12 s` */
export function durationText(ms: number): string {
  const seconds = Math.ceil(ms / 1000)
  const pad = (value: number) => String(value).padStart(2, "0")
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${pad(seconds % 60)} s`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${pad(Math.floor((seconds % 3600) / 60))} min`
  return `${Math.floor(seconds / 86_400)} d ${pad(Math.floor((seconds % 86_400) / 3600))} h`
}

function scaled(value: number, step: number, names: ReadonlyArray<string>): string {
  if (value < step) return `${Math.round(value)}${names[0]}`
  // What would be rounded up to 1000 is told in the next unit.
  const power = names.findIndex((_, at) => at > 0 && (value < 999.5 * step ** at || at === names.length - 1))
  return `${(value / step ** power).toPrecision(3)}${names[power]}`
}
