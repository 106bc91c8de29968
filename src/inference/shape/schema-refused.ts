/** Where in a schema, and why, no grammar can be made of it. Thrown, and caught where the grammar is asked for. */
import * as Data from "effect/Data"

export class SchemaRefused extends Data.TaggedError("SchemaRefused")<{
  readonly path: string
  readonly reason: string
}> {}

/** `path` begins with the dot of its first key, and is "" for the schema itself. */
export function refusal(path: string, reason: string): SchemaRefused {
  return new SchemaRefused({ path: path === "" ? "the schema" : path.slice(1, pathMaxChars), reason })
}

const pathMaxChars = 200

export type Schema = Readonly<Record<string, unknown>>

export function isSchema(value: unknown): value is Schema {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}
