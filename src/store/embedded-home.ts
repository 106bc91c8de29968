/**
 * Where the cluster of a data directory lives, and which account runs it.
 *
 * Without root rights both are plain: in the data directory, as ourselves. PostgreSQL refuses to run as root; root
 * lends it an unprivileged account, and where that one cannot come to the data directory, a place where it can.
 */
import { createHash } from "node:crypto"
import { chmodSync, existsSync, mkdirSync, readFileSync, realpathSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import { DatabaseTrouble, inWords } from "./database-trouble.ts"
import { type Account, canReach, unprivileged } from "./reach.ts"

export interface Home {
  /** The directory that holds the cluster's; a path without symbolic links. */
  readonly base: string
  /** Whom PostgreSQL runs as; undefined: whoever we are. */
  readonly account: Account | undefined
  /** Where a copy of the binaries may be put. */
  readonly copiesDir: string
}

/** Everyone may pass through what root makes, for the cluster in it has another owner; nobody may look around. */
export const dirMode = isRoot() ? 0o711 : 0o700

const rootsPlace = "/var/lib/parley"

/** Says where the cluster is, when that is not the data directory. */
const signName = "postgres-lives-in"

/** The data directory must exist and be held. */
export const chooseHome = (dataDir: string, announce: (line: string) => Effect.Effect<void>) =>
  Effect.gen(function* () {
    const real = realpathSync(dataDir)
    const elsewhere = readSign(real)
    if (!isRoot()) return elsewhere === undefined ? ownHome(real) : yield* rootsCluster(dataDir, elsewhere)
    if (elsewhere !== undefined && !existsSync(elsewhere)) return yield* gone(dataDir, elsewhere)
    const base = elsewhere ?? real
    const account = ownerOf(clusterIn(base)) ?? unprivileged()
    if (canReach(clusterIn(base), account)) return homeOf(base, account)
    if (existsSync(clusterIn(base))) return yield* walledIn(base, account)

    const lent = join(rootsPlace, createHash("sha256").update(real).digest("hex").slice(0, 16))
    yield* announce(
      `PostgreSQL does not run as root, and user ${account.uid} cannot reach ${dataDir}: it lives in ${lent}.`
    )
    yield* Effect.try({ try: () => makePassable(lent), catch: (error) => noPlace(lent, error) })
    return homeOf(lent, ownerOf(clusterIn(lent)) ?? account)
  })

/** Leaves word in the data directory of a cluster that lives elsewhere, so that it is found wherever that is moved. */
export function putSign(dataDir: string, { base }: Home): void {
  if (base !== realpathSync(dataDir)) writeFileSync(join(dataDir, signName), base + "\n", { flush: true })
}

export function clusterIn(base: string): string {
  return join(base, "postgres")
}

function makePassable(path: string): void {
  mkdirSync(path, { recursive: true })
  // Apart, as the umask takes from the mode of a mkdir.
  for (const each of [rootsPlace, path]) chmodSync(each, 0o755)
}

function isRoot(): boolean {
  return process.getuid?.() === 0
}

function ownHome(base: string): Home {
  return { base, account: undefined, copiesDir: base }
}

function homeOf(base: string, account: Account): Home {
  return { base, account, copiesDir: rootsPlace }
}

/** The account that made the cluster must go on running it. */
function ownerOf(cluster: string): Account | undefined {
  if (!existsSync(cluster)) return undefined
  const { gid, uid } = statSync(cluster)
  return uid === 0 ? undefined : { uid, gid }
}

/** Where the cluster lives, when that is not the data directory. */
export function readSign(dataDir: string): string | undefined {
  const sign = join(dataDir, signName)
  return existsSync(sign) ? readFileSync(sign, "utf8").trim() : undefined
}

function rootsCluster(dataDir: string, base: string) {
  return new DatabaseTrouble({
    reason:
      `The database of ${dataDir} was made by root and lives in ${base}. Start Parley as root again, or hand it over: ` +
      `stop Parley, move ${clusterIn(base)} into ${dataDir}, give it to this user (chown -R), and delete ${join(dataDir, signName)}.`
  })
}

function gone(dataDir: string, base: string) {
  return new DatabaseTrouble({
    reason:
      `The database of ${dataDir} lived in ${base}, which is not there. Bring it back (in a container: mount ${rootsPlace} ` +
      `as well); to begin with an empty database instead, delete ${join(dataDir, signName)}.`
  })
}

function walledIn(base: string, { uid }: Account) {
  return new DatabaseTrouble({
    reason:
      `The database in ${clusterIn(base)} belongs to user ${uid}, who cannot reach it. ` +
      `Let that user pass: chmod o+x on each directory above it.`
  })
}

function noPlace(path: string, error: unknown) {
  return new DatabaseTrouble({
    reason:
      `PostgreSQL does not run as root, and needs ${path}, which cannot be made (${inWords(error)}). ` +
      "Start Parley as another user, or set DATABASE_URL to a PostgreSQL of your own."
  })
}
