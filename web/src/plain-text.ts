/** A text as it is, in pieces that a browser can leave unpainted while they are out of sight. */
import { h, type JSX } from "preact"

export const pieceLength = 8_000

export function plainText(text: string): JSX.Element {
  const pieces = piecesOf(text)
  return h(
    "div",
    { class: "plain" },
    pieces.map((piece) => h("div", null, piece))
  )
}

/** Cut at ends of lines, which the pieces' own ends stand for; a line is never cut. */
export function piecesOf(text: string): ReadonlyArray<string> {
  const pieces: Array<string> = []
  let from = 0
  while (text.length - from > pieceLength) {
    const end = text.indexOf("\n", from + pieceLength)
    if (end < 0) break
    pieces.push(text.slice(from, end))
    from = end + 1
  }
  return [...pieces, text.slice(from)]
}
