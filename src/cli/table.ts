/** Tables that fit a terminal: columns leave in their order, then one is clipped, and no row is ever broken. */

export interface Column {
  readonly title: string
  /** It leaves where the terminal is narrow, the lowest first; never where this is left out. */
  readonly leaves?: number
  /** It is clipped in its middle, to no less than so many columns. */
  readonly clipsTo?: number
  readonly isRight?: boolean
}

const gap = "  "

/** One row of cells for each, under the titles. At most `width` wide, unless that is less than what may not leave. */
export function table(
  columns: ReadonlyArray<Column>,
  rows: ReadonlyArray<ReadonlyArray<string>>,
  width: number
): ReadonlyArray<string> {
  const cells = [columns.map(({ title }) => title), ...rows.map((row) => row.map(printable))]
  const widths = columns.map((_, at) => Math.max(...cells.map((row) => columnsOf(row[at] ?? ""))))
  const shown = columns.map((_, at) => at)
  const total = () => shown.reduce((sum, at) => sum + widths[at]! + gap.length, -gap.length)
  const leaving = columns.flatMap(({ leaves }, at) => (leaves === undefined ? [] : [{ leaves, at }]))
  for (const { at } of leaving.toSorted((a, b) => a.leaves - b.leaves)) {
    const clippable = shown.reduce(
      (sum, one) => sum + Math.max(0, widths[one]! - (columns[one]!.clipsTo ?? Infinity)),
      0
    )
    if (total() - clippable > width) shown.splice(shown.indexOf(at), 1)
  }
  for (const at of shown.toReversed()) {
    const { clipsTo = Infinity } = columns[at]!
    widths[at] = Math.min(widths[at]!, Math.max(clipsTo, widths[at]! - Math.max(0, total() - width)))
  }
  return cells.map((row) =>
    shown
      .map((at) => padded(clipped(row[at] ?? "", widths[at]!), widths[at]!, columns[at]!.isRight === true))
      .join(gap)
      .trimEnd()
  )
}

/** What somebody else wrote must not steer the terminal. */
export function printable(text: string): string {
  return text.replace(/\p{C}/gu, "?")
}

/** The head and the tail of a text: ids begin alike, and end differently. */
export function clipped(text: string, width: number): string {
  if (columnsOf(text) <= width) return text
  const letters = [...text]
  const tail = taken(letters.toReversed(), Math.floor((width - 1) / 2)).toReversed()
  const head = taken(letters, width - 1 - columnsOf(tail.join("")))
  return `${head.join("")}…${tail.join("")}`
}

function taken(letters: ReadonlyArray<string>, width: number): ReadonlyArray<string> {
  let room = width
  const end = letters.findIndex((letter) => {
    room -= columnsOf(letter)
    return room < 0
  })
  return end < 0 ? letters : letters.slice(0, end)
}

function padded(text: string, width: number, isRight: boolean): string {
  const fill = " ".repeat(Math.max(0, width - columnsOf(text)))
  return isRight ? fill + text : text + fill
}

/** East Asian letters and pictures take two columns, combining marks none (Unicode, UAX #11). */
const wideLetters =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/
const widePictures = /[\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u
const isWide = (letter: string) => wideLetters.test(letter) || widePictures.test(letter)

export function columnsOf(text: string): number {
  let columns = 0
  for (const letter of text) columns += /\p{M}/u.test(letter) ? 0 : isWide(letter) ? 2 : 1
  return columns
}
