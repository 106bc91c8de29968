/**
 * A file that names its holder, and is worth nothing once the holder is dead.
 *
 *   L1. Of any number that start together exactly one holds the lock; the others are refused, and told who holds it.
 *   L2. The lock of a dead holder is taken over, whatever killed it, and whoever has its pid since.
 *   L3. Nobody but its holder removes the lock of a live one.
 *   L4. A copy of a directory is not locked by whoever holds the original.
 *
 * Node has no flock. The file appears whole (a link to a finished one), so a reader never sees half of it. Between
 * finding a lock stale and replacing it, somebody else may have replaced it: whoever wants to replace it first locks
 * the replacing, by the same rules, under a name made from the stale content.
 */
import { createHash, randomUUID } from "node:crypto"
import { linkSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { identify, isRunning, type ProcessIdentity } from "./process-identity.ts"

/** A process that lives has it. */
export class LockHeld extends Data.TaggedError("LockHeld")<{ readonly pid: number }> {}

/** There is no telling: the directory refuses, or others change the lock all the time. */
export class LockUnusable extends Data.TaggedError("LockUnusable")<{ readonly cause: unknown }> {}

/** How long to wait for others that are replacing a stale lock: each needs a few file operations. */
const replaceMaxMs = 2_000
const replacePollMs = 10

interface Lock {
  readonly path: string
  /** What the file says: the holder, and a nonce that makes it unlike any other lock. */
  readonly content: string
}

/** Holds the lock, in a directory that is there, until the scope closes. */
export const holdLock = Effect.fn("LockFile.hold")(function* (
  path: string
): Effect.fn.Return<void, LockHeld | LockUnusable, Scope.Scope> {
  yield* Effect.acquireRelease(take(path), (lock) => Effect.sync(() => release(lock)))
})

const take = Effect.fnUntraced(function* (path: string) {
  for (let waitedMs = 0; ; waitedMs += replacePollMs) {
    const found = yield* Effect.try({ try: () => tryTake(path), catch: (cause) => new LockUnusable({ cause }) })
    if ("content" in found) return found
    if ("pid" in found) return yield* new LockHeld({ pid: found.pid })
    if (waitedMs >= replaceMaxMs) return yield* new LockUnusable({ cause: `${path} changes all the time` })
    yield* Effect.sleep(replacePollMs)
  }
})

const contended = { contended: true } as const

/** The lock, or its live holder; `contended` when others are replacing it at this moment. */
function tryTake(path: string): Lock | ProcessIdentity | typeof contended {
  const dir = statSync(dirname(path)).ino
  const mine: Lock = { path, content: JSON.stringify({ ...identify(process.pid), dir, nonce: randomUUID() }) }
  if (put(mine, linkSync)) return mine
  const stale = readIfThere(path)
  if (stale === undefined) return contended
  const holder = parse(stale, dir)
  if (holder !== undefined && isRunning(holder)) return holder

  const turn = tryTake(`${path}.${createHash("sha256").update(stale).digest("hex").slice(0, 16)}`)
  if (!("content" in turn)) return contended
  try {
    return readIfThere(path) === stale && put(mine, renameSync) ? mine : contended
  } finally {
    release(turn)
  }
}

/** False when the lock exists already, which only `linkSync` minds. */
function put({ content, path }: Lock, place: (from: string, to: string) => void): boolean {
  const whole = `${path}.${randomUUID().slice(0, 8)}`
  try {
    writeFileSync(whole, content, { mode: 0o600, flag: "wx" })
    place(whole, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false
    throw error
  } finally {
    rmSync(whole, { force: true })
  }
}

/** Who holds it; undefined when nobody does, or only somebody who is dead. */
export function lockHolder(path: string): ProcessIdentity | undefined {
  const holder = parse(readIfThere(path) ?? "", statSync(dirname(path)).ino)
  return holder !== undefined && isRunning(holder) ? holder : undefined
}

function release({ content, path }: Lock): void {
  if (readIfThere(path) === content) rmSync(path, { force: true })
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8")
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined
    throw error
  }
}

/** Undefined for what a power cut left of a lock, and for the lock in a copy of a directory that is in use. */
function parse(content: string, inDir: number): ProcessIdentity | undefined {
  try {
    const { dir, pid, started } = JSON.parse(content)
    return dir === inDir && Number.isInteger(pid) && typeof started === "string" ? { pid, started } : undefined
  } catch {
    return undefined
  }
}
