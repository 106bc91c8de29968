/** The models as a table for a terminal. */
import { bytesText, countText, tokensText } from "../quantity.ts"
import { type Column, printable, table } from "../table.ts"
import type { ShelfModel } from "./shelf.ts"

const columns: ReadonlyArray<Column> = [
  { title: "" },
  { title: "NAME", clipsTo: 12 },
  { title: "SIZE" },
  { title: "QUANT" },
  { title: "PARAMETERS", leaves: 4 },
  { title: "CONTEXT", leaves: 3 },
  { title: "SHA-256", leaves: 2 },
  { title: "WHERE", leaves: 1 }
]
const none = "-"

/** At most `width` wide, unless that is less than a name and a size need. */
export function shelfTable(models: ReadonlyArray<ShelfModel>, width: number): string {
  const problems = models.flatMap(({ name, problem, where }) =>
    problem === undefined ? [] : [printable(`${name}: ${where} ${problem}.`)]
  )
  return [...table(columns, models.map(rowOf), width), ...problems].join("\n")
}

function rowOf(model: ShelfModel): ReadonlyArray<string> {
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
  ]
}
