/** What the embedded server writes: little, kept within bounds, and read for its last words. */
import { copyFileSync, readFileSync, statSync, truncateSync } from "node:fs"

/** Twice this is kept: one file before it. */
const logMaxBytes = 4 * 1024 * 1024

/** What goes away by itself: an earlier server's children are about to end, or a port is about to be free. */
const passing = /still in use|lock file "postmaster.pid"|could not create any TCP\/IP sockets/

export function logSize(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

/** The server appends, wherever the end is: the file can be cut under it. */
export function trimLog(path: string, maxBytes = logMaxBytes): void {
  if (logSize(path) <= maxBytes) return
  copyFileSync(path, `${path}.1`)
  truncateSync(path, 0)
}

/** Why the server that wrote from `fromByte` on gave up. */
export function lastWords(path: string, fromByte: number) {
  const lines = readFileSync(path).subarray(fromByte).toString("utf8").split("\n")
  const words = lines.findLast((line) => /(FATAL|PANIC):/.test(line)) ?? lines.findLast((line) => line !== "")
  const cause = words?.replace(/^.*?(?=(FATAL|PANIC):)/, "")
  return { words: cause, isPassing: cause !== undefined && passing.test(cause) }
}
