/** Parley as an operator starts it: a process of its own in a directory of its own, and what it says. */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { Data, Deferred, Effect } from "effect"

export interface ServerProcess {
  readonly pid: number
  /** Succeeds when it says so; fails when it ends before. */
  readonly ready: Effect.Effect<void, Died>
  readonly signal: (signal: NodeJS.Signals) => void
  readonly exited: Effect.Effect<Exited>
  /** The turns that it said it streams, each as `conversation turn n attempt n`. */
  readonly streamed: () => ReadonlyArray<string>
  /** The last lines it wrote. */
  readonly tail: () => string
}

export interface Exited {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface ServerOptions {
  /** A path of a main module. */
  readonly program: string
  readonly dir: string
  readonly env: Readonly<Record<string, string>>
}

/** It ended without being told to. */
export class Died extends Data.TaggedError("Died")<{ readonly exited: Exited; readonly tail: string }> {}

const tailMax = 60

/** It is killed when the scope closes. */
export const spawnServer = Effect.fn("spawnServer")(function* (options: ServerOptions) {
  const { dir, env, program } = options
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [program, "start"], { cwd: dir, env, stdio: ["ignore", "pipe", "pipe"] })
    ),
    (child) =>
      Effect.promise(async () => {
        if (child.exitCode !== null || child.signalCode !== null) return
        const closed = once(child, "close")
        child.kill("SIGKILL")
        await closed
      })
  )
  return heard(child)
})

function heard(child: ChildProcess): ServerProcess {
  const ready = Deferred.makeUnsafe<void, Died>()
  const exited = Deferred.makeUnsafe<Exited>()
  const streamed: Array<string> = []
  let last: Array<string> = []
  const hear = (line: string) => {
    last = [...last.slice(1 - tailMax), line]
    const streaming = /"message":"streaming ([^"]+)"/.exec(line)?.[1]
    if (streaming !== undefined) streamed.push(streaming)
    if (line.includes("Parley is ready")) Deferred.doneUnsafe(ready, Effect.void)
  }
  for (const input of [child.stdout, child.stderr]) if (input) createInterface({ input }).on("line", hear)
  const tail = () => last.join("\n")
  child.on("exit", (code, signal) => {
    Deferred.doneUnsafe(exited, Effect.succeed({ code, signal }))
    Deferred.doneUnsafe(ready, Effect.fail(new Died({ exited: { code, signal }, tail: tail() })))
  })
  return {
    pid: child.pid ?? 0,
    ready: Deferred.await(ready),
    signal: (signal) => void child.kill(signal),
    exited: Deferred.await(exited),
    streamed: () => streamed,
    tail
  }
}
