/** Where a started server can be reached, as it says itself. */
import type { ChildProcess } from "node:child_process"

const readyMaxMs = 90_000
const address = /Parley is ready: (http:\/\/[^"\s]+)/

/** Fails with all it printed when it ends before, or takes too long. */
export async function addressOf(child: ChildProcess, output: () => string): Promise<string> {
  const giveUpAt = performance.now() + readyMaxMs
  for (;;) {
    const found = address.exec(output())?.[1]
    if (found !== undefined) return found
    if (child.exitCode !== null || performance.now() > giveUpAt) throw new Error(`it is not ready:\n${output()}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
