/** The models as a table for a terminal. */
import { bytesText, countText, tokensText } from "../quantity.ts"
import type { ShelfModel } from "./shelf.ts"

type Row = ReadonlyArray<string>

const head: Row = ["", "NAME", "SIZE", "QUANT", "PARAMETERS", "CONTEXT", "SHA-256", "WHERE"]
/** What is left out first where the terminal is narrow. */
const leaving = ["WHERE", "SHA-256", "CONTEXT", "PARAMETERS"]
const nameMinColumns = 12
const gap = "  "
const none = "-"

/** At most `columns` wide, unless that is less than a name and a size need. */
export function shelfTable(models: ReadonlyArray<ShelfModel>, columns: number): string {
  let rows = [head, ...models.map(rowOf)]
  for (const title of leaving) if (widthOf(rows) > columns) rows = without(rows, title)
  const over = widthOf(rows) - columns
  if (over > 0)
    rows = rows.map((row) => row.map((cell, at) => (at === 1 ? clipped(cell, widest(rows, 1) - over) : cell)))
  const table = rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widest(rows, at)))
      .join(gap)
      .trimEnd()
  )
  const problems = models.flatMap(({ name, problem, where }) =>
    problem === undefined ? [] : [`${name}: ${where} ${problem}.`]
  )
  return [...table, ...problems].join("\n")
}

function rowOf(model: ShelfModel): Row {
  const { contextTokens, isInUse, name, parameters, quantisation, sha256, sizeBytes, where } = model
  return [
    isInUse ? "*" : "",
    name,
    sizeBytes === undefined ? none : bytesText(sizeBytes),
    quantisation ?? none,
    parameters === undefined ? none : countText(parameters),
    contextTokens === undefined ? none : tokensText(contextTokens),
    sha256?.slice(0, 12) ?? none,
    where
  ].map((cell) => cell.replace(/\p{C}/gu, "?"))
}

function without(rows: ReadonlyArray<Row>, title: string): Array<Row> {
  const column = rows[0]!.indexOf(title)
  return rows.map((row) => row.filter((_, at) => at !== column))
}

const widest = (rows: ReadonlyArray<Row>, column: number) => Math.max(...rows.map((row) => [...row[column]!].length))

function widthOf(rows: ReadonlyArray<Row>): number {
  return rows[0]!.reduce((sum, _, column) => sum + widest(rows, column) + gap.length, -gap.length)
}

function clipped(text: string, columns: number): string {
  const room = Math.max(nameMinColumns, columns)
  return [...text].length <= room ? text : `${[...text].slice(0, room - 1).join("")}…`
}
