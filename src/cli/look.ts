/** What is known of the terminal that an answer is printed to. */
import type { Environment } from "./config-document.ts"

export interface Look {
  /** Columns; infinite where nobody watches, so that no program is given half a word. */
  readonly width: number
  readonly isColoured: boolean
}

/** https://no-color.org */
export function lookOf(environment: Environment): Look {
  const { columns, isTTY } = process.stdout
  const isColoured = isTTY === true && (environment["NO_COLOR"] ?? "") === "" && environment["TERM"] !== "dumb"
  return { width: columns ?? Number.POSITIVE_INFINITY, isColoured }
}

/** Select Graphic Rendition of ECMA-48. */
const colours = { red: 31, green: 32, yellow: 33, cyan: 36, bold: 1 } as const
export type Colour = keyof typeof colours

export function painted(text: string, colour: Colour, { isColoured }: Pick<Look, "isColoured">): string {
  return isColoured ? `\x1b[${colours[colour]}m${text}\x1b[0m` : text
}
