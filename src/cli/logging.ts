/**
 * Log lines: JSON on stdout, and in daily files where the operator wants them; short lines for a person on a terminal.
 *
 *   L4. A `Redacted` value is never written, and a `PrivateText` only in debug.
 *   L5. Whoever logs is never held up and never fails, whatever is logged and wherever it goes.
 */
import type { Writable } from "node:stream"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Formatter from "effect/Formatter"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import * as Result from "effect/Result"
import { PrivateText } from "../domain/private-text.ts"
import { openLogFiles } from "./log-files.ts"
import { clipped, humanOf, type LogLine, lineMaxUnits, textOf } from "./log-line.ts"
import { makeSink } from "./log-sink.ts"

export interface LoggingOptions {
  /** Lines of level debug, and the texts of messages. */
  readonly debug: boolean
  /** A folder for log files. */
  readonly dir?: string | undefined
}

/** The logger of a server. Its scope ends with a flush. Fails when the folder cannot be used. */
export const layerLogging = (options: LoggingOptions, stdout: Writable & { isTTY?: boolean } = process.stdout) =>
  Layer.mergeAll(
    Logger.layer([makeLogger(options, stdout)]),
    Layer.succeed(References.MinimumLogLevel, options.debug ? "Debug" : "Info")
  )

const makeLogger = Effect.fnUntraced(function* (
  { debug, dir }: LoggingOptions,
  stdout: Writable & { isTTY?: boolean }
) {
  const terminal = makeSink(stdout, stdout.isTTY ? (lines) => `${lines} log lines lost` : lostLine)
  yield* Effect.addFinalizer(() => terminal.flush)
  const files = dir === undefined ? undefined : yield* openLogFiles({ dir, lostLine })
  return Logger.make<unknown, void>(({ cause, date, fiber, logLevel, message }) => {
    const line: LogLine = {
      at: date.toISOString(),
      level: logLevel.toLowerCase(),
      message: (Array.isArray(message) ? message : [message]).map((part) => textOf(shown(part, debug))).join(" "),
      annotations: mapped(fiber.getRef(References.CurrentLogAnnotations), (value) => shown(value, debug)),
      cause: cause.reasons.length === 0 ? undefined : wordsOf(cause)
    }
    const json = stdout.isTTY && files === undefined ? "" : jsonOf(line)
    terminal.write(stdout.isTTY ? humanOf(line) : json)
    files?.write(json, date.getTime())
  })
})

/** Tagged errors say what happened in `reason`, which `Cause.pretty` does not know. */
function wordsOf(cause: Cause.Cause<unknown>): string {
  const reasons = cause.reasons.flatMap((one) => {
    const error: unknown = one._tag === "Fail" ? one.error : undefined
    return typeof error === "object" && error !== null && "reason" in error ? [String(error.reason)] : []
  })
  return [...reasons, Cause.pretty(cause)].join("\n")
}

function shown(value: unknown, debug: boolean): unknown {
  if (value instanceof PrivateText) return debug ? value.reveal() : value.toString()
  return value
}

function mapped(record: Readonly<Record<string, unknown>>, f: (value: unknown) => unknown) {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, f(value)]))
}

function jsonOf({ annotations, at, cause, level, message }: LogLine): string {
  const own = { at, level, message }
  const json = Result.try(() => Formatter.formatJson({ ...own, ...annotations, ...own, ...(cause && { cause }) }))
  const line = Result.getOrElse(json, (error) => JSON.stringify({ ...own, unwritable: String(error) }))
  return line.length <= lineMaxUnits ? line : JSON.stringify({ ...own, message: clipped(message), units: line.length })
}

function lostLine(lines: number): string {
  return JSON.stringify({ level: "warn", message: "log lines lost: the reader is too slow", lines })
}
