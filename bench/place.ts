/** Where figures were taken: a line without it says nothing. */
import { execFileSync } from "node:child_process"
import { availableParallelism, cpus, loadavg, totalmem } from "node:os"
import { join } from "node:path"
import pg from "pg"
import { print } from "./figures.ts"

export const root = join(import.meta.dirname, "..")

const settings = [
  "server_version",
  "fsync",
  "synchronous_commit",
  "full_page_writes",
  "wal_sync_method",
  "wal_level",
  "shared_buffers",
  "max_wal_size",
  "io_method"
]

export async function printPlace(title: string, databaseUrl?: string): Promise<void> {
  const git = (...words: ReadonlyArray<string>) => execFileSync("git", words, { cwd: root, encoding: "utf8" }).trim()
  const isDirty = git("status", "--porcelain", "--untracked-files=no") !== ""
  const [load = 0] = loadavg()
  print(`\n# ${title}`)
  print(`commit ${git("rev-parse", "--short", "HEAD")}${isDirty ? " with changes" : ""}, ${new Date().toISOString()}`)
  print(
    `${availableParallelism()} cores (${cpus()[0]?.model ?? "unknown"}), ${Math.round(totalmem() / 2 ** 30)} GiB, ` +
      `load ${load.toFixed(1)} at the start; node ${process.versions.node}`
  )
  if (databaseUrl !== undefined) print(await postgresOf(databaseUrl))
  print("")
}

async function postgresOf(connectionString: string): Promise<string> {
  const rows = await query(
    connectionString,
    `select name, current_setting(name) as value from unnest(array['${settings.join("','")}']) as name`
  )
  return `PostgreSQL: ${rows.map(({ name, value }) => `${name} ${value}`).join(", ")}`
}

export async function query(
  connectionString: string,
  text: string
): Promise<ReadonlyArray<Readonly<Record<string, unknown>>>> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}
