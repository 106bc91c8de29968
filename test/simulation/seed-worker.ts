/** Runs the seeds that it is given, in a thread of its own. */
import { parentPort } from "node:worker_threads"
import { simulate } from "./simulate.ts"
import { count, empty } from "./tally.ts"

export interface Portion {
  readonly from: number
  readonly seeds: number
  /** Of the faults, these alone. */
  readonly only: ReadonlyArray<string> | undefined
  readonly isTwice: boolean
}

parentPort?.on("message", ({ from, isTwice, only, seeds }: Portion) => {
  const tally = empty()
  const options = only === undefined ? {} : { only: new Set(only) }
  for (let seed = from; seed < from + seeds; seed++) {
    const outcome = simulate({ seed, ...options })
    count(tally, outcome)
    if (isTwice && simulate({ seed, ...options }).digest !== outcome.digest) tally.different.push(seed)
  }
  parentPort?.postMessage(tally)
})
