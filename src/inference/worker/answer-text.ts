/**
 * From the bytes of sampled tokens to the text that is shown.
 *
 *   X1. However the bytes are cut into tokens, the text is the same.
 *   X2. Every piece is whole: no half of a code point, no U+FFFD. Bytes that are no UTF-8 are left out, and so are
 *       control
 *       characters: PostgreSQL has no U+0000, XML has none of them.
 *   X3. The text ends before the stop string that is complete first; nothing of it is shown, and nothing after it.
 *   X4. What is held back could still become a stop string or a character.
 *   X5. From the text `until` on, which is shown, stop strings are letters like any other; within it as well.
 */
export interface AnswerText {
  /** What may be shown now. */
  readonly push: (bytes: Uint8Array) => string
  /** What was held back, when no more bytes come. */
  readonly end: () => string
  readonly isStopped: () => boolean
}

export function answerText(stop: ReadonlyArray<string>, until?: string): AnswerText {
  let stops = stop.filter((text) => text !== "")
  let marks = until === undefined ? [] : [until]
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true })
  let held = ""
  let isStopped = false
  const push = (text: string) => {
    const mark = marks[0] === undefined ? -1 : text.indexOf(marks[0])
    const sure = mark >= 0 ? mark : text.length - heldLength(text, marks)
    const endAt = firstStop(text.slice(0, sure), stops)
    isStopped = endAt !== undefined
    if (endAt !== undefined) return text.slice(0, endAt)
    if (mark >= 0) [stops, marks] = [[], []]
    // A stop string may be complete, and end in what may become the mark.
    const shown = Math.min(firstStop(text, stops) ?? text.length, text.length - heldLength(text, [...stops, ...marks]))
    held = text.slice(shown)
    return text.slice(0, shown)
  }
  return {
    push: (bytes) => {
      if (isStopped) return ""
      const text = held + decoder.decode(bytes, { stream: true }).replace(unwanted, "")
      held = ""
      return push(text)
    },
    end: () => held.slice(0, firstStop(held, stops)),
    isStopped: () => isStopped
  }
}

const unwanted = /(?![\t\n\r])\p{Cc}|\uFFFD/gu

/** Where the stop string begins that is complete first; the longest, when several end there. */
function firstStop(text: string, stops: ReadonlyArray<string>): number | undefined {
  let first: { readonly start: number; readonly end: number } | undefined
  for (const stop of stops) {
    const start = text.indexOf(stop)
    if (start < 0) continue
    const end = start + stop.length
    if (first === undefined || end < first.end || (end === first.end && start < first.start)) first = { start, end }
  }
  return first?.start
}

/** The length of the longest end of `text` with which a stop string begins. */
function heldLength(text: string, stops: ReadonlyArray<string>): number {
  let longest = 0
  for (const stop of stops) {
    for (let length = Math.min(stop.length - 1, text.length); length > longest; length--) {
      if (text.endsWith(stop.slice(0, length))) longest = length
    }
  }
  return longest
}
