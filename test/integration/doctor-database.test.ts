/** Planted in the database: doctor finds each of it, and nothing else. */
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs"
import { join } from "node:path"
import { it } from "@effect/vitest"
import { Effect } from "effect"
import pg from "pg"
import { expect, onTestFinished } from "vitest"
import { findOrCreate } from "../../src/store/cluster.ts"
import { holdDataDir } from "../../src/store/data-lock.ts"
import * as Embedded from "../../src/store/embedded.ts"
import { prepareBinaries } from "../../src/store/embedded-binaries.ts"
import { chooseHome } from "../../src/store/embedded-home.ts"
import { choosePort } from "../../src/store/loopback.ts"
import { examine, expectOnly, healthyModel, passableDir } from "./doctor-bench.ts"
import { startMain } from "./main-process.ts"
import { withDatabase } from "./postgres.ts"

const announce = () => Effect.void

async function run(url: string, ...statements: ReadonlyArray<string>): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  for (const statement of statements) await client.query(statement)
  await client.end()
}

/** Whoever works in the directory or below it. */
const workersIn = (dir: string) =>
  readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readlinkSync(`/proc/${pid}/cwd`).startsWith(dir)
    } catch {
      return false
    }
  })

it.live("a database that is ours is healthy; an empty one and an older one are noted", () =>
  Effect.gen(function* () {
    const url = yield* withDatabase
    yield* Effect.promise(async () => {
      const env = { ...(await healthyModel()), DATABASE_URL: url }
      const empty = await examine({ env })
      expect({ code: empty.code, faults: empty.faults }).toEqual({ code: 0, faults: [] })
      expect(empty.of("database.schema-older")?.saw).toContain("0001-spine")
      const server = startMain({ env })
      await server.ready()
      server.child.kill("SIGTERM")
      await server.ended
      const own = await examine({ env })
      expect(own.findings.filter(({ id, level }) => id.startsWith("database") && level !== "ok")).toEqual([])
      expect(own.of("database.commit")?.figures?.["commitMs"]).toBeGreaterThan(0)
      await run(url, "delete from kysely_migration where name <> '0001-spine'")
      const older = await examine({ env })
      expect(older.faults).toEqual([])
      expect(older.of("database.schema-older")).toMatchObject({
        level: "note",
        mend: expect.stringContaining("next start")
      })
    })
  })
)

it.live("synchronous_commit off is found, and only warned of where that is accepted", () =>
  Effect.gen(function* () {
    const url = yield* withDatabase
    yield* Effect.promise(async () => {
      await run(url, `alter database ${new URL(url).pathname.slice(1)} set synchronous_commit = off`)
      const env = { ...(await healthyModel()), DATABASE_URL: url }
      const strict = await examine({ env })
      expectOnly(strict, "database.synchronous_commit", "may lose what Parley acknowledged", "durability: relaxed")
      expect(strict.code).toBe(1)
      const relaxed = await examine({ env, yaml: "durability: relaxed\n" })
      expectOnly(relaxed, "database.synchronous_commit", "accepts that")
      expect(relaxed.code).toBe(0)
    })
  })
)

it.live("a database of our own that is stopped is started for the check, and stopped again", () =>
  Effect.gen(function* () {
    const dir = passableDir()
    const dataDir = join(dir, ".parley")
    yield* Effect.scoped(Embedded.open({ dataDir, announce }))
    yield* Effect.promise(async () => {
      const report = await examine({ dir, env: await healthyModel() })
      expect({ code: report.code, faults: report.faults }).toEqual({ code: 0, faults: [] })
      expect(report.of("database")?.saw).toContain("started for this check")
      expect(workersIn(dir)).toEqual([])
      expect(existsSync(join(dataDir, "parley.lock"))).toBe(false)
    })
  })
)

it.live("doctor that is told to stop while it has started a database stops that as well", () =>
  Effect.gen(function* () {
    const dir = passableDir()
    yield* Effect.scoped(Embedded.open({ dataDir: join(dir, ".parley"), announce }))
    const env = yield* Effect.promise(() => healthyModel())
    yield* Effect.promise(async () => {
      const run = startMain({ dir, env, typed: ["doctor"] })
      await expect.poll(() => workersIn(dir).length, { timeout: 20_000, interval: 1 }).toBeGreaterThan(1)
      run.child.kill("SIGTERM")
      expect(await run.ended).not.toBe(0)
      expect(workersIn(dir)).toEqual([])
    })
  })
)

it.live("one that a killed Parley left running is asked, and goes on", () =>
  Effect.gen(function* () {
    const dir = passableDir()
    const env = yield* Effect.promise(() => healthyModel())
    yield* Effect.promise(async () => {
      const server = startMain({ dir, env })
      await server.ready()
      server.child.kill("SIGKILL")
      await server.ended
      const pid = Number(readFileSync(join(dir, ".parley/postgres/data/postmaster.pid"), "utf8").split("\n")[0])
      onTestFinished(() => void process.kill(pid, "SIGQUIT"))
      const report = await examine({ dir, env })
      expect({ code: report.code, faults: report.faults }).toEqual({ code: 0, faults: [] })
      expect(report.of("database.orphaned")?.saw).toContain(`pid ${pid}`)
      expect(process.kill(pid, 0)).toBe(true)
    })
  })
)

it.live("a Parley whose database is gone is found, and no second database is started", () =>
  Effect.gen(function* () {
    const dir = passableDir()
    const dataDir = join(dir, ".parley")
    yield* Effect.scoped(Embedded.open({ dataDir, announce }))
    yield* holdDataDir(dataDir, 0o711)
    const report = yield* Effect.promise(async () => examine({ dir, env: await healthyModel() }))
    expectOnly(report, "database.dead", `pid ${process.pid}`, "server.log")
    expect(workersIn(dir)).toEqual([])
  }).pipe(Effect.scoped)
)

it.live("fsync off is found", () =>
  Effect.gen(function* () {
    const dir = passableDir()
    yield* Effect.scoped(Embedded.open({ dataDir: dir, announce }))
    const home = yield* chooseHome(dir, announce)
    const binaries = yield* prepareBinaries({ ...home, announce })
    const cluster = yield* findOrCreate(home, binaries, announce)
    const port = yield* choosePort(cluster.portFile)
    const settings = ["-D", cluster.data, "-p", `${port}`, "-c", "fsync=off", "-c", "unix_socket_directories="]
    const child: ChildProcess = spawn(binaries.postgres, settings, {
      cwd: cluster.data,
      stdio: "ignore",
      ...home.account
    })
    onTestFinished(() => void child.kill("SIGQUIT"))
    const url = `postgres://parley:${cluster.password}@127.0.0.1:${port}/parley`
    yield* Effect.promise(async () => {
      await expect.poll(() => run(url, "select 1").then(() => "up", String), { timeout: 20_000 }).toBe("up")
      const report = await examine({ env: { ...(await healthyModel()), DATABASE_URL: url } })
      expectOnly(report, "database.fsync", "alter system set fsync = on", "durability: relaxed")
    })
  })
)
