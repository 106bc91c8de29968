/** The directories that Parley writes into: whether it may, whether there is room, and how long a flush takes. */
import { existsSync, statSync } from "node:fs"
import { mkdtemp, open, rm } from "node:fs/promises"
import { dirname, join, resolve } from "node:path"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { freeBytesOf } from "../disk-room.ts"
import { bytesText, rounded } from "../quantity.ts"
import { type Fault, type Finding, type Findings, ok } from "./finding.ts"
import type { Site } from "./site.ts"

const mebi = 1024 * 1024
/** PostgreSQL begins with 50 MB, and its log takes up to 512 MB. */
const room = { needed: 100 * mebi, wanted: 1024 * mebi }
const flushes = 15
const slowFlushMs = 50

export const checkData = Effect.fn("checkData")(function* ({ config, found }: Site): Effect.fn.Return<Findings> {
  const dir = resolve(config.dataDir)
  const logs = config.logs.dir === undefined ? [] : yield* checkLogs(resolve(config.logs.dir))
  const flushMs = yield* Effect.result(flushesIn(dir))
  if (flushMs._tag === "Failure") return [unwritable("data.unwritable", dir, flushMs.failure), ...logs]
  // The cluster of a data directory that root made may live on another disk.
  const cluster = Result.isSuccess(found) ? found.success.cluster : undefined
  const home = cluster === undefined || cluster.state === "none" ? dir : dirname(cluster.path)
  const free = yield* Effect.promise(() => freeBytesOf(existing(home)))
  return [existsSync(dir) ? ownership(dir) : fresh(dir), space(home, free), ...flush(flushMs.success), ...logs]
})

const checkLogs = Effect.fnUntraced(function* (dir: string): Effect.fn.Return<Findings> {
  const written = yield* Effect.result(flushesIn(dir, 1))
  if (written._tag === "Success") return [ok("logs", `${dir} can be written.`)]
  return [{ ...unwritable("logs.unwritable", dir, written.failure), mend: "Give it to this user, or change logs.dir." }]
})

/** A directory of its own, in what there is of the path: making the rest is the server's. In order. */
const flushesIn = Effect.fnUntraced(function* (dir: string, count = flushes) {
  const probe = yield* Effect.acquireRelease(
    attempt(() => mkdtemp(join(existing(dir), ".parley-doctor-"))),
    (made) => Effect.promise(() => rm(made, { recursive: true, force: true }))
  )
  const handle = yield* Effect.acquireRelease(
    attempt(() => open(join(probe, "flush"), "w")),
    (opened) => Effect.promise(() => opened.close())
  )
  const durations: Array<number> = []
  for (let n = 0; n < count; n++) {
    const began = yield* Clock.currentTimeNanos
    // As PostgreSQL's log: the same blocks, written and flushed again.
    yield* attempt(() => handle.write(Buffer.alloc(8192, n), 0, 8192, 0))
    yield* attempt(() => handle.datasync())
    durations.push(Number((yield* Clock.currentTimeNanos) - began) / 1e6)
  }
  return durations.toSorted((a, b) => a - b)
}, Effect.scoped)

const attempt = <A>(ask: () => Promise<A>) =>
  Effect.tryPromise({
    try: ask,
    catch: (error) => (error as NodeJS.ErrnoException).code ?? String(error)
  })

/** The innermost directory of the path that is there. A file in its place is found by the attempt to write. */
function existing(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : existing(dirname(path))
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: "this user may not write there",
  EPERM: "this user may not write there",
  EROFS: "the disk is mounted for reading only",
  ENOSPC: "the disk is full",
  EDQUOT: "the quota of this user is used up",
  ENOTDIR: "a file is in its place",
  ENOENT: "nothing can be made there"
}

const unwritable = (id: string, dir: string, code: string): Fault => ({
  id,
  level: "trouble",
  saw: `${dir} cannot be written: ${reasons[code] ?? code}.`,
  mend: "Give it to the user whom Parley runs as (chown -R), make room, or set PARLEY_DATA to another directory."
})

const fresh = (dir: string) => ok("data", `${dir} is not there yet; the first start makes it.`)

function ownership(dir: string): Finding {
  const { mode, uid } = statSync(dir)
  const own = process.getuid?.() ?? uid
  if (uid !== own) {
    return {
      id: "data.owner",
      level: "warning",
      saw: `${dir} belongs to user ${uid}, and this is user ${own}.`,
      why: "What one of them writes, the other may not be able to read.",
      mend: "Run Parley and doctor as the same user, or hand the directory over (chown -R)."
    }
  }
  // Root lets everyone pass, for PostgreSQL runs as another user; nobody needs to list it.
  if ((mode & 0o066) !== 0) {
    return {
      id: "data.open",
      level: "warning",
      saw: `Other users of this machine may read or write ${dir} (mode ${(mode & 0o777).toString(8)}).`,
      why: "What people wrote is in it, and the database's password.",
      mend: `chmod go-rw ${dir}`
    }
  }
  return ok("data", `${dir} is ours and can be written.`)
}

function space(dir: string, free: number): Finding {
  const figures = { freeBytes: free }
  const saw = `${bytesText(free)} are free on the disk of ${dir}.`
  if (free >= room.wanted) return { id: "disk", level: "ok", saw, figures }
  return {
    id: "disk.full",
    level: free < room.needed ? "trouble" : "warning",
    saw,
    why: "The database needs 50 MB at first and 600 MB more at work; without room nothing is accepted (503).",
    mend: "Make room, or set PARLEY_DATA to another disk.",
    figures
  }
}

function flush(durations: ReadonlyArray<number>): Findings {
  const middle = durations[Math.floor(durations.length / 2)] ?? 0
  const saw = `A flush to this disk takes ${rounded(middle)} ms, at most ${rounded(durations.at(-1) ?? 0)} ms of ${durations.length}.`
  if (middle < slowFlushMs) return [{ id: "disk.flush", level: "ok", saw, figures: { flushMs: middle } }]
  const why = "Nobody is told `accepted` before a flush: this is the floor of every answer."
  const mend = "Put the data directory on a faster disk (no network share, no SD card)."
  return [{ id: "disk.slow", level: "warning", saw, why, mend, figures: { flushMs: middle } }]
}
