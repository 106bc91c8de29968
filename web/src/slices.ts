/** Work that may wait, done in slices between frames, the newest first: a long history does not freeze the page. */
import { after, now } from "./browser.ts"

/** Leaves the rest of a frame of 16 ms to the browser. */
const sliceMs = 8

const waiting: Array<() => void> = []
let isScheduled = false
let sliceStartMs: number | undefined

/** Whether this task has not worked for the length of a slice yet. */
export function hasTime(): boolean {
  if (sliceStartMs === undefined) {
    sliceStartMs = now()
    after(0, () => {
      sliceStartMs = undefined
    })
  }
  return now() - sliceStartMs < sliceMs
}

/** Returns what takes it back. */
export function soon(work: () => void): () => void {
  waiting.push(work)
  if (!isScheduled) schedule()
  return () => {
    const at = waiting.indexOf(work)
    if (at >= 0) waiting.splice(at, 1)
  }
}

function schedule(): void {
  isScheduled = true
  after(0, () => {
    const startMs = now()
    while (waiting.length > 0 && now() - startMs < sliceMs) waiting.pop()?.()
    isScheduled = false
    if (waiting.length > 0) schedule()
  })
}
