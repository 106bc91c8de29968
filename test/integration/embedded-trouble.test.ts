import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it, onTestFinished } from "vitest"
import { processesIn } from "../../src/store/process-identity.ts"
import { answers, freshDir, isRoot, startParley, until, usedDataDir } from "./parley-process.ts"

/** What `parley start` would say; and nothing is left running. */
async function troubleOf(dataDir: string): Promise<string> {
  const parley = startParley(dataDir)
  const { trouble } = await parley.line("trouble")
  await parley.end("SIGTERM")
  expect(parley.stderr()).toBe("")
  expect(processesIn(dataDir)).toEqual([])
  return trouble
}

describe("in plain words, with the mend:", () => {
  it("another Parley has the data directory", async () => {
    const dataDir = await usedDataDir()
    const first = startParley(dataDir)
    const { pid, url } = await first.up()
    const second = startParley(dataDir)
    const { trouble } = await second.line("trouble")
    expect(trouble).toContain(`Another Parley (pid ${first.child.pid}) already uses the data directory ${dataDir}.`)
    expect(trouble).toContain(`kill ${first.child.pid}`)
    await second.end("SIGTERM")
    expect(await answers(url)).toBe(true)
    expect(processesIn(dataDir)).toContain(pid)
  })

  it("the data directory is a file", async () => {
    const dataDir = join(freshDir(), "data")
    writeFileSync(dataDir, "")
    expect(await troubleOf(dataDir)).toMatch(
      new RegExp(`^The data directory ${dataDir} cannot be used .*Set PARLEY_DATA`)
    )
  })

  it("the data directory cannot be made", async () => {
    expect(await troubleOf("/proc/parley")).toMatch(
      /^The data directory \/proc\/parley cannot be used .*Set PARLEY_DATA/
    )
  })

  it.skipIf(!isRoot)("the data directory is on a read-only disk", async () => {
    const dataDir = await usedDataDir()
    mount(dataDir, "ro,size=1m")
    expect(await troubleOf(dataDir)).toMatch(/cannot be used \(.*read-only.*Set PARLEY_DATA/)
  })

  it.skipIf(!isRoot)("the disk is full before the cluster is made, and nothing half is kept", async () => {
    const dataDir = join(freshDir(), "data")
    mkdirSync(dataDir)
    mount(dataDir, "size=12m,mode=755")
    expect(await troubleOf(dataDir)).toMatch(/No space left on device.*The disk is full: .*PARLEY_DATA/)
    expect(readdirSync(dataDir)).toEqual([])
  })

  it("the cluster is of another major version", async () => {
    const dataDir = await usedDataDir()
    writeFileSync(join(dataDir, "postgres/data/PG_VERSION"), "16\n")
    expect(await troubleOf(dataDir)).toMatch(/is of PostgreSQL 16, and this Parley brings PostgreSQL 18.*pg_dump/)
  })

  it("the cluster is not whole", async () => {
    const dataDir = await usedDataDir()
    rmSync(join(dataDir, "postgres/data/PG_VERSION"))
    expect(await troubleOf(dataDir)).toMatch(/cannot be read \(.*PG_VERSION.*backup/)
  })

  it("the server refuses to start", async () => {
    const dataDir = await usedDataDir()
    rmSync(join(dataDir, "postgres/data/global/pg_control"))
    expect(await troubleOf(dataDir)).toMatch(
      /^PostgreSQL did not start in .*pg_control.*What it said is in .*server\.log/
    )
  })
})

describe("a cluster is made whole or not at all", () => {
  it("when Parley is killed over it", async () => {
    const dataDir = join(freshDir(), "data")
    const first = startParley(dataDir)
    await until(() => existsSync(dataDir) && readdirSync(dataDir).some((name) => name.startsWith("postgres.creating-")))
    await until(() => processesIn(dataDir).length > 0)
    await first.end("SIGKILL")
    expect(existsSync(join(dataDir, "postgres"))).toBe(false)

    const { url } = await startParley(dataDir).up()
    expect(await answers(url)).toBe(true)
    expect(readdirSync(dataDir).sort()).toEqual(["parley.lock", "postgres"])
  })

  it("when initdb is killed", async () => {
    const dataDir = join(freshDir(), "data")
    const parley = startParley(dataDir)
    await until(() => processesIn(dataDir).length > 0)
    for (const pid of processesIn(dataDir)) process.kill(pid, "SIGKILL")
    const { trouble } = await parley.line("trouble")
    expect(trouble).toMatch(/could not be created in .*Nothing of it was kept/)
    await parley.end("SIGTERM")
    expect(readdirSync(dataDir)).toEqual([])
  })
})

/** A small disk of its own over the directory. */
function mount(dir: string, options: string) {
  execFileSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", dir])
  onTestFinished(() => void execFileSync("umount", ["--lazy", dir]))
}
