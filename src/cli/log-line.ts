/** One line of the log: as a person reads it, and read back from JSON. */
import * as Formatter from "effect/Formatter"
import * as Result from "effect/Result"
import { type Colour, type Look, painted } from "./look.ts"

/** `{"at", "level", "message", ...annotations, "cause"?}`; names that an annotation shares with these are ours. */
export interface LogLine {
  readonly at: string
  readonly level: string
  readonly message: string
  readonly annotations: Readonly<Record<string, unknown>>
  readonly cause: string | undefined
}

export const lineMaxUnits = 64 * 1024

/** From the least to the gravest. */
export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal"] as const
export type LogLevel = (typeof logLevels)[number]

const colours: Readonly<Record<string, Colour>> = { warn: "yellow", error: "red", fatal: "red" }

/** The day and the zone are left out: somebody is watching. */
export function humanOf({ annotations, at, cause, level, message }: LogLine, look = { isColoured: false }): string {
  const notes = Object.entries(annotations).flatMap(([key, value]) =>
    value === undefined ? [] : [`  ${key}=${textOf(value)}`]
  )
  const line = `${message}${notes.join("")}${cause ? `\n${cause}` : ""}`
  const head = `${at.slice(11, 19)} ${level.padEnd(5)}`
  const colour = colours[level]
  return `${colour === undefined ? steerless(head) : painted(steerless(head), colour, look)} ${steerless(clipped(line))}`
}

/** What somebody else wrote must not steer the terminal. */
function steerless(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]/gu, "?")
}

/** A line of a log as it stands in a file; what is no line of ours is shown as it is, of no level. */
export function readLine(text: string): LogLine | undefined {
  const read = Result.getOrUndefined(Result.try((): unknown => JSON.parse(text)))
  if (typeof read !== "object" || read === null) return undefined
  const { at, cause, level, message, ...annotations } = read as Readonly<Record<string, unknown>>
  if (typeof level !== "string" || typeof message !== "string") return undefined
  const told = { level, message, annotations, cause: typeof cause === "string" ? cause : undefined }
  return { at: typeof at === "string" ? at : "", ...told }
}

/** `undefined` of what is below the level. */
export function shownLine(text: string, least: LogLevel, look: Pick<Look, "isColoured">): string | undefined {
  const line = readLine(text)
  if (line === undefined) return steerless(clipped(text))
  if (logLevels.indexOf(line.level as LogLevel) < logLevels.indexOf(least)) return undefined
  const day = line.at.slice(0, 10)
  return day === "" ? humanOf(line, look) : `${steerless(day)} ${humanOf(line, look)}`
}

export function textOf(value: unknown): string {
  if (typeof value === "string") return value
  return Result.getOrElse(
    Result.try(() => Formatter.formatJson(value)),
    (error) => `(unwritable: ${error})`
  )
}

export function clipped(text: string): string {
  return text.length <= lineMaxUnits / 8 ? text : `${text.slice(0, lineMaxUnits / 8)}…`
}
