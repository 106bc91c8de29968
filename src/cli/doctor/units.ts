/** Quantities as a person reads them. */
const kibi = 1024
const units = ["B", "KiB", "MiB", "GiB", "TiB"]

export function bytes(count: number): string {
  const power = count < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log(count) / Math.log(kibi)))
  return `${rounded(count / kibi ** power)} ${units[power]}`
}

/** 1.3 M, 7.2 B. */
export function parameters(count: number): string {
  return count >= 1e9 ? `${rounded(count / 1e9)} B` : `${rounded(count / 1e6)} M`
}

/** Two digits that say something. */
export function rounded(value: number): string {
  return value >= 10 ? String(Math.round(value)) : String(Number(value.toPrecision(2)))
}

export function ms(value: number): string {
  return `${rounded(value)} ms`
}
