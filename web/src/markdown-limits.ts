/** Which texts a Markdown parser can read in a moment. What nobody writes takes minutes: 50,000 `~a` half a minute. */

/** Of one paragraph: the time grows with their square. Measured: 2,000 take less than 0.1 s. */
const marksMax = 2_000
/** Quotes and lists that begin on one line, each inside the other. */
const nestedMax = 50

const nested = new RegExp(`^[ \\t]*(?:(?:>[ \\t]?|(?:[-*+]|\\d{1,9}[.)])[ \\t]+)){${nestedMax}}`, "m")
const marks = new Set([..."*_~[]"].map((mark) => mark.charCodeAt(0)))
const lineEnd = 10

export function isSimple(text: string): boolean {
  return !nested.test(text) && mostMarks(text) <= marksMax
}

/** The most marks that stand between two empty lines. */
function mostMarks(text: string): number {
  let most = 0
  let count = 0
  let isEmptyLine = true
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code === lineEnd) {
      if (isEmptyLine) count = 0
      isEmptyLine = true
    } else if (code > 32) {
      isEmptyLine = false
      if (marks.has(code)) most = Math.max(most, ++count)
    }
  }
  return most
}
