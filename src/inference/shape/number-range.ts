/** Grammars of the numbers between two whole bounds. */

/** Digits before the point, and after it: every such number is exact as a double. */
const digitsMax = 15
const largest = 10 ** digitsMax - 1
const digit = "[0-9]"

/** Undefined when there is none, or a bound has too many digits. `from` and `to` are both among them. */
export function wholeNumbers(from: number, to: number): string | undefined {
  return signed(from, to, 1, between)
}

/** The same with fractions; no exponents. */
export function numbers(from: number, to: number): string | undefined {
  return signed(from, to, 0, (low, high) => {
    const below = high > low ? `(${between(low, high - 1)}) ("." ${digit}{1,${digitsMax}})? | ` : ""
    return `${below}${quoted(high)} ("." "0"{1,${digitsMax}})?`
  })
}

function signed(
  from: number,
  to: number,
  negativeMin: number,
  write: (low: number, high: number) => string
): string | undefined {
  const low = Math.max(Math.ceil(from), -largest)
  const high = Math.min(Math.floor(to), largest)
  if (low > high) return undefined
  const least = Math.max(-high, negativeMin)
  const negative = low < 0 && least <= -low ? [`"-" (${write(least, -low)})`] : []
  const positive = high >= 0 ? [write(Math.max(low, 0), high)] : []
  return [...negative, ...positive].join(" | ")
}

/** Without a sign and without leading zeros. */
function between(low: number, high: number): string {
  const parts: Array<string> = []
  for (let length = String(low).length; length <= String(high).length; length++) {
    const first = Math.max(low, length === 1 ? 0 : 10 ** (length - 1))
    parts.push(sameLength(String(first), String(Math.min(high, 10 ** length - 1))))
  }
  return parts.join(" | ")
}

function sameLength(low: string, high: string): string {
  const [a = "", b = ""] = [low[0], high[0]]
  if (low === high) return quoted(low)
  if (a === b) return `${quoted(a)} (${sameLength(low.slice(1), high.slice(1))})`
  if (/^0*$/.test(low.slice(1)) && /^9*$/.test(high.slice(1))) return `[${a}-${b}] ${digits(low.length - 1)}`
  const rest = low.length - 1
  const between = Number(b) - Number(a) > 1 ? [`[${Number(a) + 1}-${Number(b) - 1}] ${digits(rest)}`] : []
  const lowest = `${quoted(a)} (${sameLength(low.slice(1), "9".repeat(rest))})`
  const highest = `${quoted(b)} (${sameLength("0".repeat(rest), high.slice(1))})`
  return [lowest, ...between, highest].join(" | ")
}

function digits(count: number): string {
  return count === 0 ? "" : `${digit}{${count}}`
}

function quoted(text: string | number): string {
  return `"${text}"`
}
