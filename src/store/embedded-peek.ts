/** What there is of the embedded database in a data directory, seen without starting or changing anything. */
import { existsSync, readFileSync, realpathSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import { holderOf } from "./data-lock.ts"
import { DatabaseTrouble, inWords } from "./database-trouble.ts"
import { clusterIn, readSign } from "./embedded-home.ts"
import { toUrl } from "./loopback.ts"
import { identify, workingDirectory } from "./process-identity.ts"

export interface Peek {
  /** The Parley that uses the directory. */
  readonly holder: number | undefined
  readonly cluster:
    | { readonly state: "none" }
    | { readonly state: "stopped"; readonly path: string }
    | { readonly state: "running"; readonly path: string; readonly pid: number; readonly url: string }
}

export const peek = (dataDir: string): Effect.Effect<Peek, DatabaseTrouble> =>
  Effect.try({
    try: () => {
      if (!existsSync(dataDir)) return { holder: undefined, cluster: { state: "none" } as const }
      return { holder: holderOf(dataDir)?.pid, cluster: clusterOf(dataDir) }
    },
    catch: (error) =>
      new DatabaseTrouble({
        reason:
          `The database in ${dataDir} cannot be read (${inWords(error)}). ` +
          "Run this as the user whom Parley runs as, or give the directory to this one (chown -R)."
      })
  })

function clusterOf(dataDir: string): Peek["cluster"] {
  const real = realpathSync(dataDir)
  const path = clusterIn(readSign(real) ?? real)
  if (!existsSync(path)) return { state: "none" }
  const data = join(path, "data")
  const pidFile = join(data, "postmaster.pid")
  const password = readFileSync(join(path, "password"), "utf8").trim()
  // pidfile.h of PostgreSQL: pid, directory, start, port, …
  const [pid, , , port] = existsSync(pidFile) ? readFileSync(pidFile, "utf8").split("\n").map(Number) : []
  const found = pid === undefined ? undefined : identify(pid)
  if (found === undefined || (workingDirectory(found.pid) ?? data) !== data) return { state: "stopped", path }
  return { state: "running", path, pid: found.pid, url: toUrl({ port: port ?? 0, password }) }
}
