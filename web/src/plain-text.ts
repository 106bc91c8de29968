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

/**
 * Cut at ends of lines, which the ends of the pieces stand for. A line longer than a piece is cut at a space, where
 * it would be wrapped anyway, or else in its midst.
 */
export function piecesOf(text: string): ReadonlyArray<string> {
  const pieces: Array<string> = []
  let from = 0
  while (text.length - from > pieceLength) {
    const [end, next] = cutOf(text, from)
    pieces.push(text.slice(from, end))
    from = next
  }
  return [...pieces, text.slice(from)]
}

/** Where a piece ends, and where the next one begins. */
function cutOf(text: string, from: number): readonly [number, number] {
  const longest = from + pieceLength
  const piece = text.slice(from, longest + 1)
  const line = piece.lastIndexOf("\n")
  if (line >= 0) return [from + line, from + line + 1]
  const space = piece.lastIndexOf(" ", pieceLength - 1) + 1
  if (space > 0) return [from + space, from + space]
  const isPair = (text.codePointAt(longest - 1) ?? 0) > 0xffff
  return isPair ? [longest - 1, longest - 1] : [longest, longest]
}
