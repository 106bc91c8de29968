/** What another user may do with a path, read off the permission bits: we are root, and PostgreSQL refuses to be. */
import { readFileSync, statSync } from "node:fs"
import { dirname } from "node:path"

export interface Account {
  readonly uid: number
  readonly gid: number
}

const READ = 4
const TRAVERSE = 1

/** Whether the account can come to this path: every directory above it lets it through. The path need not exist. */
export function canReach(path: string, account: Account): boolean {
  const above = dirname(path)
  return above === path || (allows(above, account, TRAVERSE) && canReach(above, account))
}

export function canRead(path: string, account: Account): boolean {
  return canReach(path, account) && allows(path, account, READ)
}

/** The account that services without one of their own run as; PostgreSQL's own where the system has it. */
export function unprivileged(): Account {
  const lines = read("/etc/passwd").map((line) => line.split(":"))
  const found = lines.find(([name]) => name === "postgres") ?? lines.find(([name]) => name === "nobody")
  const [uid, gid] = [Number(found?.[2]), Number(found?.[3])]
  return uid > 0 && gid > 0 ? { uid, gid } : { uid: 65_534, gid: 65_534 }
}

function allows(path: string, { gid, uid }: Account, bit: number): boolean {
  const found = statSync(path)
  const shift = found.uid === uid ? 6 : found.gid === gid ? 3 : 0
  return ((found.mode >> shift) & bit) !== 0
}

function read(path: string): ReadonlyArray<string> {
  try {
    return readFileSync(path, "utf8").split("\n")
  } catch {
    return []
  }
}
