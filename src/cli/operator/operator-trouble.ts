/** Why a command for a running server ended without success. */
import * as Data from "effect/Data"

/** `reason` says what happened, where, and the mend. */
export class OperatorTrouble extends Data.TaggedError("OperatorTrouble")<{
  readonly reason: string
  readonly exitCode: number
}> {}
