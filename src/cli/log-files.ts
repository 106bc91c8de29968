/**
 * Log files in a folder: one a day, another when it is full, and the oldest ones removed.
 *
 *   L1. A file holds lines of one day only (UTC), and at most `fileMaxBytes`.
 *   L2. At most `filesMax` files are kept, the newest; other files of the folder are left alone.
 *   L3. A restart appends to the newest file of the day.
 */
import { createWriteStream, mkdirSync, openSync, readdirSync, statSync, unlinkSync } from "node:fs"
import { join } from "node:path"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { type LogSink, makeSink } from "./log-sink.ts"

export interface LogFiles {
  /** Returns at once. `atMs` says which day's file the line belongs into. */
  readonly write: (line: string, atMs: number) => void
}

/** The folder cannot be made, or not be written to; `reason` is a sentence for an operator. */
export class LogDirUnusable extends Data.TaggedError("LogDirUnusable")<{
  readonly dir: string
  readonly reason: string
}> {}

export interface LogFilesOptions {
  readonly dir: string
  readonly lostLine: (lines: number) => string
  readonly fileMaxBytes?: number
  readonly filesMax?: number
}

interface LogFile {
  readonly day: string
  readonly index: number
  readonly sink: LogSink
  bytes: number
}

const defaults = { fileMaxBytes: 64 * 1024 * 1024, filesMax: 7 }
/** How long lines are dropped after a file failed, before the next try: a full disk stays full for a while. */
const reopenMs = 60_000
/** Names in the order of their lines. */
export const namePattern = /^parley-(\d{4}-\d\d-\d\d)-(\d{4})\.jsonl$/

export const openLogFiles = Effect.fn("openLogFiles")(function* (
  given: LogFilesOptions
): Effect.fn.Return<LogFiles, LogDirUnusable, Scope.Scope> {
  const options = { ...defaults, ...given }
  const now = yield* Clock.currentTimeMillis
  let file = yield* Effect.fromResult(openFile(options, dayOf(now), 0)).pipe(
    Effect.map((opened): LogFile | undefined => opened),
    Effect.mapError((error) => new LogDirUnusable({ dir: options.dir, reason: `logs.dir cannot be used: ${error}` }))
  )
  let closedUntilMs = 0
  const write = (line: string, atMs: number) => {
    if (atMs < closedUntilMs) return
    const bytes = Buffer.byteLength(line) + 1
    const day = dayOf(atMs)
    if (file === undefined || file.day !== day || file.bytes + bytes > options.fileMaxBytes || file.sink.isBroken()) {
      file?.sink.end()
      const opened = file?.sink.isBroken() ? undefined : openFile(options, day, file?.day === day ? file.index + 1 : 0)
      file = opened && Result.getOrUndefined(opened)
    }
    if (file === undefined) {
      closedUntilMs = atMs + reopenMs
      return
    }
    file.bytes += bytes
    file.sink.write(line)
  }
  yield* Effect.addFinalizer(() => Effect.suspend(() => closed(file)))
  return { write }
})

const closed = (file: LogFile | undefined) =>
  file === undefined ? Effect.void : Effect.andThen(file.sink.flush, Effect.sync(file.sink.end))

/** Synchronous: it happens at start, at midnight, and every `fileMaxBytes`. */
function openFile(
  { dir, fileMaxBytes, filesMax, lostLine }: Required<LogFilesOptions>,
  day: string,
  indexMin: number
): Result.Result<LogFile, unknown> {
  return Result.try(() => {
    mkdirSync(dir, { recursive: true, mode: 0o750 })
    const files = readdirSync(dir).flatMap((name) => {
      const match = namePattern.exec(name)
      return match ? [{ name, day: match[1]!, index: Number(match[2]) }] : []
    })
    const newest = Math.max(indexMin, ...files.filter((file) => file.day === day).map(({ index }) => index))
    const index = sizeOf(join(dir, nameOf(day, newest))) < fileMaxBytes ? newest : newest + 1
    const name = nameOf(day, index)
    const sink = makeSink(createWriteStream("", { fd: openSync(join(dir, name), "a", 0o640) }), lostLine)
    const names = new Set([name, ...files.map((file) => file.name)])
    for (const old of [...names].sort().slice(0, -filesMax)) unlinkSync(join(dir, old))
    return { day, index, sink, bytes: sizeOf(join(dir, name)) }
  })
}

const nameOf = (day: string, index: number) => `parley-${day}-${String(index).padStart(4, "0")}.jsonl`
const sizeOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.size ?? 0
const dayOf = (atMs: number) => new Date(atMs).toISOString().slice(0, 10)
