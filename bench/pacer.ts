/**
 * A worker that says when to send: the timers of an event loop are a millisecond late, which is a whole accept. It
 * posts how many of `offsetsMs` are due, counted from `startMs` of the monotonic clock.
 */
import { parentPort, workerData } from "node:worker_threads"

const { offsetsMs, startMs } = workerData as { readonly offsetsMs: Float64Array; readonly startMs: number }
const nowMs = () => Number(process.hrtime.bigint()) / 1e6
const never = new Int32Array(new SharedArrayBuffer(4))

for (let due = 0; due < offsetsMs.length; ) {
  const leftMs = startMs + offsetsMs[due]! - nowMs()
  if (leftMs > 0) Atomics.wait(never, 0, 0, leftMs)
  const elapsedMs = nowMs() - startMs
  while (due < offsetsMs.length && offsetsMs[due]! <= elapsedMs) due++
  parentPort?.postMessage(due)
}
