/** What is kept beside a model that was pulled: where it came from, and what it was then. */
import { readFile, stat } from "node:fs/promises"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { replaceFile } from "../replace-file.ts"
import { fileWords, ModelTrouble } from "./model-trouble.ts"

export const ModelRecord = Schema.Struct({
  source: Schema.String,
  sizeBytes: Schema.Int,
  sha256: Schema.String,
  /** ISO 8601 */
  pulledAt: Schema.String,
  /** As in the ticket of its part. */
  validator: Schema.optionalKey(Schema.String)
})
export type ModelRecord = typeof ModelRecord.Type

/** Of the file that is there; undefined where there is none, or another file stands in its place since. */
export const readRecord = (file: string): Effect.Effect<ModelRecord | undefined> =>
  Effect.promise(async () => {
    const text = await readFile(recordPath(file), "utf8").catch(() => "")
    const decoded = Schema.decodeUnknownOption(Schema.fromJsonString(ModelRecord))(text)
    const size = await stat(file).then(
      ({ size }) => size,
      () => undefined
    )
    return decoded._tag === "Some" && decoded.value.sizeBytes === size ? decoded.value : undefined
  })

export const writeRecord = (file: string, record: ModelRecord): Effect.Effect<void, ModelTrouble> =>
  Effect.tryPromise({
    try: () => replaceFile(recordPath(file), `${JSON.stringify(record, undefined, 2)}\n`),
    catch: (cause) => new ModelTrouble({ reason: `${recordPath(file)} cannot be written: ${fileWords(cause)}.` })
  })

export const recordPath = (file: string) => `${file}.json`
