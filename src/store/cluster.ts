/**
 * The files of one PostgreSQL cluster, as one directory that is there as a whole or not at all.
 *
 *   postgres/data        what initdb made
 *   postgres/password    of the superuser `parley`, for its owner's eyes
 *   postgres/port        where it listened last
 *   postgres/server.log
 */
import { randomBytes } from "node:crypto"
import {
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { basename, dirname, join } from "node:path"
import * as Effect from "effect/Effect"
import { DatabaseTrouble, inWords } from "./database-trouble.ts"
import type { Binaries } from "./embedded-binaries.ts"
import { clusterIn, type Home } from "./embedded-home.ts"
import { initdb } from "./initdb.ts"
import { kill, processesIn } from "./process-identity.ts"

export interface Cluster {
  readonly home: Home
  readonly data: string
  readonly password: string
  readonly portFile: string
  readonly log: string
}

/** Processes that are killed are gone after one time slice, or a few. */
const endPollMs = 10
const endTriesMax = 500

/** The cluster that is there, or a fresh one. The data directory must be held. */
export const findOrCreate = Effect.fn("Cluster.findOrCreate")(function* (
  home: Home,
  binaries: Binaries,
  announce: (line: string) => Effect.Effect<void>
) {
  const path = clusterIn(home.base)
  yield* sweep(path)
  if (!existsSync(path)) {
    yield* announce(`Creating a PostgreSQL ${binaries.major} cluster in ${path} (once, about a second).`)
    yield* create(path, home, binaries)
  }
  const opened = yield* Effect.try({ try: () => read(path, home), catch: (error) => unreadable(path, error) })
  if (opened.version !== binaries.major) return yield* otherMajor(path, opened.version, binaries.major)
  return opened.cluster
})

const create = Effect.fnUntraced(function* (path: string, home: Home, binaries: Binaries) {
  const failed = (error: unknown) => uncreatable(path, inWords(error))
  yield* Effect.acquireUseRelease(
    Effect.try({ try: () => begin(path, home), catch: failed }),
    (half) =>
      Effect.gen(function* () {
        const { code, output } = yield* initdb(half, home, binaries)
        if (code !== 0) return yield* uncreatable(path, output.trim())
        yield* Effect.try({ try: () => finish(half, path), catch: failed })
      }),
    discard
  )
})

/** Removes what a start that was killed left half done. */
const sweep = Effect.fnUntraced(function* (path: string) {
  const names = yield* Effect.try({ try: () => readdirSync(dirname(path)), catch: (error) => unreadable(path, error) })
  for (const name of names) if (name.startsWith(halfPrefix(path))) yield* discard(join(dirname(path), name))
})

/** An initdb whose Parley was killed goes on, and would make the directory again. */
const discard = Effect.fnUntraced(function* (half: string) {
  for (let tries = 0; tries < endTriesMax && processesIn(half).length > 0; tries++) {
    for (const pid of processesIn(half)) kill(pid)
    yield* Effect.sleep(endPollMs)
  }
  // What cannot be removed is tried again at the next start.
  yield* Effect.ignore(
    Effect.try(() => rmSync(half, { recursive: true, force: true })),
    { log: true }
  )
})

function halfPrefix(path: string): string {
  return `${basename(path)}.creating-`
}

function begin(path: string, { account }: Home): string {
  const half = mkdtempSync(join(dirname(path), halfPrefix(path)))
  const password = join(half, "password")
  writeFileSync(password, randomBytes(32).toString("base64url"), { mode: 0o600, flush: true })
  mkdirSync(join(half, "data"), { mode: 0o700 })
  if (account !== undefined) {
    for (const each of [password, join(half, "data"), half]) chownSync(each, account.uid, account.gid)
  }
  return half
}

/** initdb has flushed what it made. */
function finish(half: string, path: string): void {
  renameSync(half, path)
  const parent = openSync(dirname(path), "r")
  fsyncSync(parent)
  closeSync(parent)
}

function read(path: string, home: Home): { readonly version: string; readonly cluster: Cluster } {
  return {
    version: readFileSync(join(path, "data", "PG_VERSION"), "utf8").trim(),
    cluster: {
      home,
      data: join(path, "data"),
      password: readFileSync(join(path, "password"), "utf8").trim(),
      portFile: join(path, "port"),
      log: join(path, "server.log")
    }
  }
}

function uncreatable(path: string, why: string) {
  return new DatabaseTrouble({
    reason: `PostgreSQL's cluster could not be created in ${path}: ${lastLine(why)}. Nothing of it was kept. ${mendOf(why)}`
  })
}

function mendOf(why: string): string {
  if (/No space left|ENOSPC|quota/i.test(why)) {
    return "The disk is full: it needs 50 MB at first, and 600 MB more at work. Make room, or set PARLEY_DATA to another disk."
  }
  // As in a container that was given a number for its user.
  if (/effective user ID/.test(why))
    return "Start Parley as a user whom the system knows by name (a line in /etc/passwd)."
  return "Mend that, or set DATABASE_URL to a PostgreSQL of your own."
}

/** The last line of initdb says what it did about the error in a line before. */
function lastLine(text: string): string {
  const lines = text.split("\n").filter((line) => line !== "")
  return (lines.find((line) => /error|fatal/i.test(line)) ?? lines.at(-1) ?? "initdb was killed").trim()
}

function unreadable(path: string, error: unknown) {
  return new DatabaseTrouble({
    reason:
      `The database in ${path} cannot be read (${inWords(error)}). If another user made it, start Parley as that user or ` +
      "give it to this one (chown -R). If it is damaged, bring back a backup; moved away, it is replaced by an empty one."
  })
}

function otherMajor(path: string, is: string, expected: string) {
  return new DatabaseTrouble({
    reason:
      `The database in ${path} is of PostgreSQL ${is}, and this Parley brings PostgreSQL ${expected}, which cannot open it. ` +
      `Dump it with the Parley that made it (pg_dump) and load it into a fresh data directory, or go back to that Parley.`
  })
}
