/** Runs PostgreSQL's initdb, whose working directory tells it from others. */
import { type ChildProcess, spawn } from "node:child_process"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import { inWords } from "./database-trouble.ts"
import type { Binaries } from "./embedded-binaries.ts"
import type { Home } from "./embedded-home.ts"

/** Whatever the user's environment says, the cluster is the same. */
export const plainEnv = { LC_ALL: "C", PATH: process.env["PATH"] ?? "" }

const outputMaxChars = 4_000

export interface Ended {
  /** 0 when the cluster is made and flushed; null when initdb was killed, or could not be run. */
  readonly code: number | null
  readonly output: string
}

/**
 * Makes the cluster `half/data`, with the password of `half/password`. Interrupting kills it, but not yet the server
 * it runs.
 */
export const initdb = (half: string, home: Home, binaries: Binaries) =>
  Effect.callback<Ended>((resume) => {
    let child: ChildProcess
    let output = ""
    const end = (code: number | null, more = "") => resume(Effect.succeed({ code, output: output + more }))
    try {
      child = launch(half, home, binaries)
    } catch (error) {
      return end(null, inWords(error))
    }
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      output = (output + text).slice(-outputMaxChars)
    })
    child.on("error", (error) => end(null, inWords(error)))
    child.on("close", (code) => end(code))
    return Effect.sync(() => void child.kill("SIGKILL"))
  })

function launch(half: string, { account }: Home, binaries: Binaries): ChildProcess {
  const options = [
    `--pgdata=${join(half, "data")}`,
    "--username=parley",
    `--pwfile=${join(half, "password")}`,
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-instructions"
  ]
  const stdio = ["ignore", "ignore", "pipe"] satisfies ReadonlyArray<"ignore" | "pipe">
  return spawn(binaries.initdb, options, { cwd: half, env: plainEnv, stdio, ...account })
}
