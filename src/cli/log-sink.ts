/** Lines to a stream: gathered for one turn of the event loop, bounded, and never an error of whoever logs. */
import type { Writable } from "node:stream"
import * as Effect from "effect/Effect"

export interface LogSink {
  /** Returns at once. A line that the reader is too slow for is dropped, and counted by a later `lostLine`. */
  readonly write: (line: string) => void
  /** Waits until what was written has left the process, for at most `flushMaxMs`. */
  readonly flush: Effect.Effect<void>
  /** Writes what is gathered and closes the stream behind it. */
  readonly end: () => void
  /** The stream failed: nothing is written to it any more. */
  readonly isBroken: () => boolean
}

/** A reader that stands still must not become our memory. */
const pendingMaxUnits = 4 * 1024 * 1024
const flushMaxMs = 1000

export function makeSink(stream: Writable, lostLine: (lines: number) => string): LogSink {
  let gathered: Array<string> = []
  let gatheredUnits = 0
  let lost = 0
  let hasFailed = false
  // EPIPE of a closed pipe, a full disk: a log that cannot be written stops nobody.
  stream.on("error", () => {
    hasFailed = true
  })
  const isBroken = () => hasFailed || stream.destroyed
  const writeGathered = (done?: () => void) => {
    const lines = gathered.join("")
    gathered = []
    gatheredUnits = 0
    if (isBroken()) done?.()
    else if (done !== undefined) stream.write(lines, done)
    else if (lines !== "") stream.write(lines)
  }
  const gather = (line: string) => {
    if (gathered.length === 0) setImmediate(writeGathered)
    gathered.push(`${line}\n`)
    gatheredUnits += line.length + 1
  }
  const write = (line: string) => {
    if (isBroken()) return
    if (gatheredUnits + stream.writableLength + line.length >= pendingMaxUnits) {
      lost += 1
      return
    }
    if (lost > 0) gather(lostLine(lost))
    lost = 0
    gather(line)
  }
  const flush = Effect.callback<void>((resume) => writeGathered(() => resume(Effect.void)))
  const end = () => {
    writeGathered()
    stream.end()
  }
  return { write, flush: Effect.ignore(Effect.timeout(flush, flushMaxMs)), end, isBroken }
}
