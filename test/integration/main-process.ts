/** The `parley` command as its own process, for tests of how it starts, refuses to, and stops. */
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { onTestFinished } from "vitest"
import { addressOf } from "./address.ts"

const main = join(import.meta.dirname, "../../src/main.ts")

export interface MainProcess {
  readonly child: ChildProcess
  readonly output: () => string
  /** The address, once it is ready; fails with all it printed when it ends before. */
  readonly ready: () => Promise<string>
  /** The exit code; -1 when a signal ended it. */
  readonly ended: Promise<number>
}

/** A folder that is gone after the test. */
export function emptyDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "parley-main-"))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** Starts it in a folder of its own, with `yaml` as its parley.yaml and nothing of our environment but `env`. */
export function startMain(options: {
  readonly dir?: string
  readonly yaml?: string
  readonly env?: Record<string, string>
  readonly typed?: ReadonlyArray<string>
  /** A program with its arguments that runs it. */
  readonly through?: ReadonlyArray<string>
}): MainProcess {
  const { dir = emptyDir(), env = {}, through = [], typed = ["start"], yaml } = options
  if (yaml !== undefined) writeFileSync(join(dir, "parley.yaml"), yaml)
  const environment = { PATH: process.env["PATH"], PORT: "0", ...env }
  const [program, ...args] = [...through, process.execPath, main, ...typed]
  const child = spawn(program!, args, {
    cwd: dir,
    env: environment,
    stdio: ["ignore", "pipe", "pipe"]
  })
  let output = ""
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text
    })
  }
  const ended = new Promise<number>((resolve) => child.once("close", (code) => resolve(code ?? -1)))
  onTestFinished(async () => {
    child.kill("SIGTERM")
    const slow = setTimeout(() => child.kill("SIGKILL"), 15_000)
    await ended
    clearTimeout(slow)
  })
  const ready = () => addressOf(child, () => output)
  return { child, output: () => output, ready, ended }
}
