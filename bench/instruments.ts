/** Loaded into a measured server (`node --import`), it measures from within what cannot be seen from outside. */
import { monitorEventLoopDelay } from "node:perf_hooks"
import v8 from "node:v8"
import { runInNewContext } from "node:vm"
import type { Reading, Wanted } from "./instrument.ts"

const delay = monitorEventLoopDelay({ resolution: 1 })

v8.setFlagsFromString("--expose-gc")
const collect = runInNewContext("gc") as () => void

process.on("message", (wanted: Wanted) => {
  if (wanted === "live heap") {
    // What has a finalizer is gone with the next one.
    for (let times = 0; times < 3; times++) collect()
    const { external, heapUsed: heap } = process.memoryUsage()
    process.send?.({ heap, external })
    return
  }
  if (wanted === "watch delay") {
    delay.reset()
    delay.enable()
    return
  }
  delay.disable()
  const ms = (ns: number) => ns / 1e6
  const reading: Reading = { p50Ms: ms(delay.percentile(50)), p99Ms: ms(delay.percentile(99)), mostMs: ms(delay.max) }
  process.send?.(reading)
})
process.channel?.unref()
