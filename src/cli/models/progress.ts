/** How far a download is: a bar on a terminal, and now and then a line where nobody watches. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { bytesText, durationText } from "../quantity.ts"
import type { Watcher } from "./download.ts"

/** Where progress is shown. */
export interface Screen {
  readonly isTerminal: boolean
  readonly columns: () => number
  readonly write: (text: string) => void
}

export interface Progress extends Watcher {
  readonly doneBytes: () => number
  /** Takes the bar away, so that what is written next has its line. */
  readonly end: Effect.Effect<void>
}

const barDelayMs = 100
const lineDelayMs = 15_000
/** The rate is that of the last seconds: what was fast an hour ago says nothing of the time that is left. */
const rateWindowMs = 20_000
const samplesMax = 100

interface Sample {
  readonly atMs: number
  readonly bytes: number
}

export function makeProgress(screen: Screen): Progress {
  let samples: ReadonlyArray<Sample> = []
  let shownAtMs = Number.NEGATIVE_INFINITY
  let doneBytes = 0
  let isBarShown = false
  const takeAway = () => {
    if (isBarShown) screen.write("\r\u001b[K")
    isBarShown = false
  }
  const progress = Effect.fnUntraced(function* (done: number, totalBytes: number) {
    doneBytes = done
    const nowMs = yield* Clock.currentTimeMillis
    const isLast = done === totalBytes
    if (nowMs - shownAtMs < (screen.isTerminal ? barDelayMs : lineDelayMs) && !isLast) return
    shownAtMs = nowMs
    samples = [...samples.filter(({ atMs, bytes }) => nowMs - atMs <= rateWindowMs && bytes <= done)]
      .slice(1 - samplesMax)
      .concat({ atMs: nowMs, bytes: done })
    const state = { doneBytes: done, totalBytes, bytesPerSecond: rateOf(samples) }
    if (!screen.isTerminal) return screen.write(`${progressText(state)}\n`)
    // A line of the full width would wrap on some terminals.
    screen.write(`\r${progressLine(state, screen.columns() - 1)}\u001b[K`)
    isBarShown = true
  })
  const note = (words: string) =>
    Effect.sync(() => {
      takeAway()
      screen.write(`${words}\n`)
    })
  return { progress, note, doneBytes: () => doneBytes, end: Effect.sync(takeAway) }
}

function rateOf(samples: ReadonlyArray<Sample>): number | undefined {
  const [first, last] = [samples[0], samples.at(-1)]
  if (first === undefined || last === undefined || last.atMs === first.atMs) return undefined
  return ((last.bytes - first.bytes) * 1000) / (last.atMs - first.atMs)
}

export interface ProgressState {
  readonly doneBytes: number
  readonly totalBytes: number
  /** Undefined as long as nobody can tell. */
  readonly bytesPerSecond: number | undefined
}

const barMaxColumns = 30

/** At most `columns` wide: the bar gives way first. */
export function progressLine(state: ProgressState, columns: number): string {
  const text = progressText(state)
  const room = Math.min(barMaxColumns, columns - text.length - 3)
  if (room < 4) return text.slice(0, Math.max(0, columns))
  const full = Math.floor(room * shareOf(state))
  return `[${"#".repeat(full)}${".".repeat(room - full)}] ${text}`
}

/** `  42 %  1.84 GiB of 4.37 GiB  11.2 MiB/s  3 min 51 s left` */
export function progressText(state: ProgressState): string {
  const { bytesPerSecond, doneBytes, totalBytes } = state
  const percent = `${String(Math.floor(shareOf(state) * 100)).padStart(3)} %`
  const rate = bytesPerSecond === undefined ? [] : [`${bytesText(Math.round(bytesPerSecond))}/s`]
  const leftMs = ((totalBytes - doneBytes) * 1000) / (bytesPerSecond ?? 0)
  const left = leftMs > 0 && Number.isFinite(leftMs) ? [`${durationText(leftMs)} left`] : []
  return [percent, `${bytesText(doneBytes)} of ${bytesText(totalBytes)}`, ...rate, ...left].join("  ")
}

const shareOf = ({ doneBytes, totalBytes }: ProgressState) => Math.min(1, doneBytes / Math.max(1, totalBytes))
