/** Loaded into a measured server (`node --import`), it measures from within what cannot be seen from outside. */
import { monitorEventLoopDelay } from "node:perf_hooks"
import type { Reading, Wanted } from "./instrument.ts"

const delay = monitorEventLoopDelay({ resolution: 1 })

process.on("message", (wanted: Wanted) => {
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
