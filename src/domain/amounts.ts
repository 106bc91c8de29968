/** Times and sizes as a person writes them into a configuration: `10m`, `8GiB`. */

const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const unitBytes = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, KB: 1e3, MB: 1e6, GB: 1e9 }

/** In milliseconds; infinite for `always`, undefined for what is no time. */
export function durationMsOf(text: string | number): number | undefined {
  if (text === "always") return Number.POSITIVE_INFINITY
  return String(text) === "0" ? 0 : amountOf(String(text), unitMs)
}

/** Undefined for what is no size. */
export function bytesOf(text: string): number | undefined {
  return amountOf(text, unitBytes)
}

/** Up to eight digits, so that no product is out of bounds. */
function amountOf(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const [, digits, unit = ""] = /^([0-9]{1,8}(?:\.[0-9]{1,3})?) ?([A-Za-z]+)$/.exec(text) ?? []
  const factor = Object.hasOwn(units, unit) ? units[unit] : undefined
  return digits === undefined || factor === undefined ? undefined : Math.round(Number(digits) * factor)
}
