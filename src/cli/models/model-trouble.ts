/** Why a command about models ended without success. */
import * as Data from "effect/Data"

/** `reason` says what happened, where, and the mend. */
export class ModelTrouble extends Data.TaggedError("ModelTrouble")<{
  readonly reason: string
  readonly exitCode?: number
}> {}

/** What an operating system says of a file, in words. */
export function fileWords(cause: unknown): string {
  const code = codeOf(cause)
  return words[code] ?? (cause instanceof Error ? cause.message : String(cause))
}

export function codeOf(cause: unknown): string {
  return cause instanceof Error && "code" in cause ? String(cause.code) : ""
}

const words: Readonly<Record<string, string>> = {
  EACCES: "this user may not write there",
  EPERM: "this user may not write there",
  EROFS: "this disk can only be read",
  ENOENT: "there is no such directory",
  ENOTDIR: "a file is in the place of a directory",
  EISDIR: "it is a directory",
  EBUSY: "it is in use, as a file that is mounted by itself is",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota of this user is used up",
  EFBIG: "this disk does not take files of that size"
}
