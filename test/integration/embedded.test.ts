import { execFileSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { Effect, Exit, Fiber, Scope } from "effect"
import pg from "pg"
import { describe, expect, it } from "vitest"
import { open } from "../../src/store/embedded.ts"
import { processesIn } from "../../src/store/process-identity.ts"
import {
  answers,
  freshDir,
  isGone,
  portOf,
  postmasterPid,
  sql,
  startParley,
  until,
  usedDataDir
} from "./parley-process.ts"

const path = { PATH: process.env["PATH"] }
const environments: ReadonlyArray<[string, NodeJS.ProcessEnv]> = [
  ["no LANG", path],
  ["LC_ALL=C", { ...path, LC_ALL: "C" }],
  ["another language and another PostgreSQL", { ...path, LANG: "tr_TR.ISO-8859-9", PGPORT: "1", PGDATA: "/nowhere" }]
]

describe("a cluster", () => {
  it.for(environments)("is UTF-8 and safe, whatever the environment says: %s", async ([, env]) => {
    const dataDir = join(freshDir(), "data")
    const parley = startParley(dataDir, { env })
    const { adopted, url } = await parley.up()
    expect(adopted).toBe(false)
    expect(parley.lines[0]?.announced).toMatch(/^Creating a PostgreSQL 18 cluster in /)
    const [row] = await sql(
      url,
      `select datlocprovider p, datlocale l, pg_encoding_to_char(encoding) e, lower('ÄÖ') t,
         (select rolsuper from pg_roles where rolname = current_user) s, current_user u
       from pg_database where datname = current_database()`
    )
    expect(row).toEqual({ p: "b", l: "C.UTF-8", e: "UTF8", t: "äö", s: true, u: "parley" })
    for (const name of ["fsync", "full_page_writes", "synchronous_commit", "data_checksums"]) {
      expect(await sql(url, `show ${name}`)).toEqual([{ [name]: "on" }])
    }
    expect((await sql(url, "select type from pg_hba_file_rules where auth_method <> 'scram-sha-256'")).length).toBe(0)
    await expect(sql(url.replace(/:[^:@]+@/, ":wrong@"), "select 1")).rejects.toThrow(/password/)
    const password = join(dataDir, "postgres/password")
    expect(statSync(password).mode & 0o777).toBe(0o600)
    expect(Buffer.from(readFileSync(password, "utf8"), "base64url").length).toBe(32)
  })

  it("is stopped with its Parley, and started again as it was", async () => {
    const dataDir = join(freshDir(), "data")
    const first = startParley(dataDir)
    const before = await first.up()
    await sql(before.url, "create table kept as select 7 as n")
    await first.end("SIGTERM")
    expect(isGone(before.pid)).toBe(true)
    expect(existsSync(join(dataDir, "parley.lock"))).toBe(false)

    const second = startParley(dataDir)
    const after = await second.up()
    expect(after.url).toBe(before.url)
    expect(after.adopted).toBe(false)
    expect(second.lines.map(({ announced }) => announced?.split(" ")[0])).toEqual(["Starting", undefined])
    expect(await sql(after.url, "select n from kept")).toEqual([{ n: 7 }])
    await second.end("SIGTERM")
    expect(readFileSync(join(dataDir, "postgres/server.log"), "utf8")).not.toMatch(/not properly shut down/)
    expect(first.stderr() + second.stderr()).toBe("")
  })

  it("moves to another port when somebody took its own", async () => {
    const dataDir = await usedDataDir()
    const first = startParley(dataDir)
    const before = await first.up()
    await first.end("SIGTERM")
    const thief = createServer().listen(portOf(before.url), "127.0.0.1")
    try {
      const { url } = await startParley(dataDir).up()
      expect(portOf(url)).not.toBe(portOf(before.url))
      expect(await answers(url)).toBe(true)
      expect(Number(readFileSync(join(dataDir, "postgres/port"), "utf8"))).toBe(portOf(url))
    } finally {
      thief.close()
    }
  })

  it("may lie under a path that is too long for a Unix socket", async () => {
    const dataDir = join(freshDir(), "d".repeat(60), "e".repeat(60))
    expect(dataDir.length).toBeGreaterThan(120)
    expect(await answers((await startParley(dataDir).up()).url)).toBe(true)
  })
})

describe("the server", () => {
  it("does not hear a Ctrl-C in Parley's terminal", async () => {
    const parley = startParley(await usedDataDir(), { detached: true })
    const { pid, url } = await parley.up()
    parley.child.kill("SIGSTOP") // it cannot react, and neither start another server
    process.kill(-parley.child.pid!, "SIGINT")
    expect(await answers(url)).toBe(true)
    parley.child.kill("SIGCONT")
    await until(() => isGone(pid))
  })

  it("outlives a Parley that is killed, is adopted by the next, and stopped by it", async () => {
    const dataDir = await usedDataDir()
    const first = startParley(dataDir)
    const before = await first.up()
    await sql(before.url, "create table kept as select 7 as n")
    await first.end("SIGKILL")
    expect(await answers(before.url)).toBe(true)

    const second = startParley(dataDir)
    expect(await second.up()).toEqual({ ...before, adopted: true })
    expect(second.lines[0]?.announced).toContain(`Adopted the running PostgreSQL (pid ${before.pid})`)
    expect(await sql(before.url, "select n from kept")).toEqual([{ n: 7 }])
    await second.end("SIGTERM")
    expect(isGone(before.pid)).toBe(true)
  })

  it.for(["started", "adopted"])("is started again at the same address when it is killed, %s", async (how) => {
    const dataDir = await usedDataDir()
    const data = join(dataDir, "postgres/data")
    let parley = startParley(dataDir)
    if (how === "adopted") {
      await parley.up()
      await parley.end("SIGKILL")
      parley = startParley(dataDir)
    }
    const before = await parley.up()
    for (let times = 0, { pid } = before; times < 3; times++) {
      process.kill(pid, "SIGKILL")
      await until(async () => isGone(pid) && (await answers(before.url)))
      expect(postmasterPid(data)).not.toBe(pid)
      pid = postmasterPid(data)
    }
    await parley.end("SIGTERM")
    await until(() => processesIn(data).length === 0)
  })

  it("is found dead when it hangs, and replaced, in less than a minute", async () => {
    const dataDir = await usedDataDir()
    const before = await startParley(dataDir).up()
    // The postmaster first: a session that it forks while the others are stopped would go on answering.
    process.kill(before.pid, "SIGSTOP")
    for (const pid of processesIn(join(dataDir, "postgres"))) process.kill(pid, "SIGSTOP")
    await until(async () => isGone(before.pid) && (await answers(before.url)), 60_000)
    expect(postmasterPid(join(dataDir, "postgres/data"))).not.toBe(before.pid)
  })

  it("is left alone when it recovers by itself from the crash of one session", async () => {
    const dataDir = await usedDataDir()
    const { pid, url } = await startParley(dataDir).up()
    const session = new pg.Client({ connectionString: url, ssl: false })
    session.on("error", () => {})
    await session.connect()
    const { rows } = await session.query<{ pid: number }>("select pg_backend_pid() as pid")
    process.kill(rows[0]!.pid, "SIGKILL")
    await until(() => readFileSync(join(dataDir, "postgres/server.log"), "utf8").includes("reinitializing"))
    await until(() => answers(url))
    expect(postmasterPid(join(dataDir, "postgres/data"))).toBe(pid)
  })

  it("is started at once after it was killed together with its Parley", async () => {
    const dataDir = await usedDataDir()
    const first = startParley(dataDir)
    const before = await first.up()
    await first.end("SIGKILL")
    process.kill(before.pid, "SIGKILL")
    const after = await startParley(dataDir).up()
    expect(after.adopted).toBe(false)
    expect(await answers(after.url)).toBe(true)
  })

  it("starts though its pid file names somebody else's process", async () => {
    const dataDir = await usedDataDir()
    const first = startParley(dataDir)
    const before = await first.up()
    const pidFile = join(dataDir, "postgres/data/postmaster.pid")
    const text = readFileSync(pidFile, "utf8")
    await first.end("SIGTERM")
    writeFileSync(pidFile, text.replace(/^\d+/, String(process.pid)))
    expect(await answers((await startParley(dataDir).up()).url)).toBe(true)
    expect(isGone(before.pid)).toBe(true)
  })

  it("of a data directory is not adopted for a copy of it", async () => {
    const dataDir = await usedDataDir()
    const { pid, url } = await startParley(dataDir).up()
    execFileSync("cp", ["-a", dataDir, `${dataDir}-copy`])
    const copy = await startParley(`${dataDir}-copy`).up()
    expect(copy.adopted).toBe(false)
    expect(copy.pid).not.toBe(pid)
    expect(copy.url).not.toBe(url)
  })
})

describe("interrupting", () => {
  it.for(["Creating", "Starting"])("while %s leaves nothing running and nothing half made", async (moment) => {
    const dataDir = moment === "Starting" ? await usedDataDir() : join(freshDir(), "data")
    const scope = Scope.makeUnsafe()
    let isThen = false
    const announce = (line: string) =>
      Effect.sync(() => {
        isThen ||= line.startsWith(moment)
      })
    const fiber = Effect.runFork(open({ dataDir, announce }).pipe(Effect.provideService(Scope.Scope, scope)))
    await until(() => isThen && processesIn(dataDir).length > 0)
    await Effect.runPromise(Effect.andThen(Fiber.interrupt(fiber), Scope.close(scope, Exit.void)))
    await until(() => processesIn(dataDir).length === 0, 1_000)
    expect(readdirSync(dataDir)).toEqual(moment === "Starting" ? ["postgres"] : [])
  })
})
