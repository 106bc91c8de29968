/** One Parley per data directory. */
import { chmodSync, existsSync, mkdirSync } from "node:fs"
import { dirname, join } from "node:path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { DatabaseTrouble, inWords } from "./database-trouble.ts"
import { holdLock, lockHolder } from "./lock-file.ts"
import type { ProcessIdentity } from "./process-identity.ts"

export const lockName = "parley.lock"

/** Holds the data directory, which it creates if need be, until the scope closes. */
export const holdDataDir = Effect.fn("DataLock.hold")(function* (
  dataDir: string,
  dirMode: number
): Effect.fn.Return<void, DatabaseTrouble, Scope.Scope> {
  yield* Effect.try({
    try: () => makeDir(dataDir, dirMode),
    catch: (error) => unusable(dataDir, error)
  })
  yield* holdLock(join(dataDir, lockName)).pipe(
    Effect.catchTags({
      LockHeld: ({ pid }) => Effect.fail(heldBy(pid, dataDir)),
      LockUnusable: ({ cause }) => Effect.fail(unusable(dataDir, cause))
    })
  )
})

/** Who holds it; undefined when nobody does, or only somebody who is dead. */
export const holderOf = (dataDir: string): ProcessIdentity | undefined => lockHolder(join(dataDir, lockName))

/** As `recursive` of Node's mkdir, which turns for ever under /proc, and with a mode that no umask takes from. */
export function makeDir(path: string, mode: number): void {
  if (existsSync(path)) return
  makeDir(dirname(path), mode)
  try {
    mkdirSync(path)
    chmodSync(path, mode)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error
  }
}

function heldBy(pid: number, dataDir: string): DatabaseTrouble {
  return new DatabaseTrouble({
    reason:
      `Another Parley (pid ${pid}) already uses the data directory ${dataDir}. ` +
      `Stop it (kill ${pid}), or give this one its own: PARLEY_DATA=<another directory>.`
  })
}

function unusable(dataDir: string, error: unknown): DatabaseTrouble {
  return new DatabaseTrouble({
    reason:
      `The data directory ${dataDir} cannot be used (${inWords(error)}). ` +
      "Set PARLEY_DATA to a directory that this user may create and write, on a disk with room."
  })
}
