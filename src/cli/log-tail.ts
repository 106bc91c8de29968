/**
 * The end of the log files of a folder, and what is written to them from then on.
 *
 *   T1. The last lines are read from the end: at most `scanMaxBytes` of files, whatever their size.
 *   T2. What is followed is told once, in its order, a line when it is whole, across the change of files.
 */
import { closeSync, fstatSync, openSync, readdirSync, readSync } from "node:fs"
import { join } from "node:path"
import { namePattern } from "./log-files.ts"

const chunkBytes = 64 * 1024
const scanMaxBytes = 256 * 1024 * 1024
/** Lines of ours are shorter; what is longer is no line. */
const lineMaxBytes = 1024 * 1024
const newline = 10

export interface LogPlace {
  readonly name: string
  readonly offset: number
}

/** The names of the log files of a folder, in the order of their lines. Throws when it cannot be read. */
export function logNames(dir: string): ReadonlyArray<string> {
  return readdirSync(dir)
    .filter((name) => namePattern.test(name))
    .sort()
}

/** The last `max` lines that `take` gives something for, in their order; and where the newest file was read to. */
export function lastLines(
  dir: string,
  max: number,
  take: (line: string) => string | undefined
): { readonly lines: ReadonlyArray<string>; readonly end: LogPlace | undefined } {
  const found: Array<string> = []
  let end: LogPlace | undefined
  let scanned = 0
  for (const name of logNames(dir).toReversed()) {
    const offset = eachFromEnd(join(dir, name), (line, bytes) => {
      scanned += bytes
      const taken = found.length < max ? take(line) : undefined
      if (taken !== undefined) found.push(taken)
      return found.length < max && scanned < scanMaxBytes
    })
    end ??= { name, offset }
    if (found.length >= max || scanned >= scanMaxBytes) break
  }
  return { lines: found.toReversed(), end }
}

/** Gives its whole lines from the last to the first, as long as it is told to; where the last of them ends. */
function eachFromEnd(path: string, give: (line: string, bytes: number) => boolean): number {
  return withFile(path, (file) => {
    let position = fstatSync(file).size
    let end = 0
    let carried = Buffer.alloc(0)
    while (position > 0) {
      const size = Math.min(chunkBytes, position)
      position -= size
      const bytes = Buffer.concat([readAt(file, position, size), carried])
      let tail = bytes.length
      for (let at = bytes.lastIndexOf(newline); at >= 0; at = at === 0 ? -1 : bytes.lastIndexOf(newline, at - 1)) {
        // What follows the last newline of the file is not whole.
        if (end === 0) end = position + at + 1
        else if (!give(bytes.toString("utf8", at + 1, tail), tail - at)) return end
        tail = at
      }
      carried = tail > lineMaxBytes ? Buffer.alloc(0) : Buffer.from(bytes.subarray(0, tail))
    }
    if (end > 0) give(carried.toString(), carried.length)
    return end
  })
}

/** The whole lines behind a place, at most a chunk of them, and where they end: there, or at the next file's start. */
export function linesBehind(
  dir: string,
  place: LogPlace | undefined
): { readonly lines: ReadonlyArray<string>; readonly end: LogPlace | undefined } {
  const names = logNames(dir)
  const name = place?.name ?? names[0]
  if (name === undefined) return { lines: [], end: undefined }
  const offset = place?.offset ?? 0
  const next = names.find((other) => other > name)
  const bytes = names.includes(name)
    ? withFile(join(dir, name), (file) => readAt(file, offset, lineMaxBytes))
    : Buffer.alloc(0)
  const whole = bytes.lastIndexOf(newline) + 1
  if (whole === 0 && bytes.length === lineMaxBytes) return { lines: [], end: { name, offset: offset + bytes.length } }
  if (whole === 0) return { lines: [], end: next === undefined ? { name, offset } : { name: next, offset: 0 } }
  const lines = bytes.toString("utf8", 0, whole - 1).split("\n")
  return { lines, end: { name, offset: offset + whole } }
}

function readAt(file: number, position: number, max: number): Buffer<ArrayBuffer> {
  const bytes = Buffer.alloc(max)
  let read = 0
  while (read < max) {
    const count = readSync(file, bytes, read, max - read, position + read)
    if (count === 0) break
    read += count
  }
  return bytes.subarray(0, read)
}

function withFile<A>(path: string, use: (file: number) => A): A {
  const file = openSync(path, "r")
  try {
    return use(file)
  } finally {
    closeSync(file)
  }
}
