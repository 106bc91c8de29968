/** The model workers of a server that runs in a folder. */
import { readFileSync, realpathSync } from "node:fs"
import { processesIn } from "../../src/store/process-identity.ts"

export function workersIn(dir: string): ReadonlyArray<number> {
  const isWorker = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("worker/main.ts")
  return processesIn(realpathSync(dir)).filter(isWorker)
}

export function signalWorkers(dir: string, signal: NodeJS.Signals): void {
  for (const pid of workersIn(dir)) process.kill(pid, signal)
}
