/** Why there is no database, in words for the operator. */
import * as Data from "effect/Data"

/** `reason` says what happened, where, and the mend. */
export class DatabaseTrouble extends Data.TaggedError("DatabaseTrouble")<{ readonly reason: string }> {}

/** The one line of an operating system's error that a person can act on. */
export function inWords(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
