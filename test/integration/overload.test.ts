/** When an event cannot be kept it is not accepted: the platform is told to come again, and the server lives on. */
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Clock, Effect } from "effect"
import { expect, onTestFinished, test } from "vitest"
import { processesIn } from "../../src/store/process-identity.ts"
import { concluded, healthOf, orDied, say, untilHealthy } from "./kill-run.ts"
import { openWorld, type World, type WorldOptions } from "./kill-world.ts"
import { freshDir, isRoot, sql, startParley } from "./parley-process.ts"
import type { ServerProcess } from "./server-process.ts"

const options = { model: "echo", conversations: 5 } satisfies Partial<WorldOptions>
const told = { status: 503, retryAfter: expect.stringMatching(/^[1-9]\d*$/) }
const backMaxMs = 90_000
const testMaxMs = 240_000

test("a PostgreSQL that is away: 503 meanwhile, and it comes back by itself", { timeout: testMaxMs }, () =>
  Effect.gen(function* () {
    const dataDir = join(freshDir(), "data")
    const database = startParley(dataDir)
    const { url } = yield* Effect.promise(database.up)
    const world = yield* openWorld({ ...options, seed: "away", databaseUrl: url })
    const server = yield* started(world)

    yield* Effect.promise(() => database.end("SIGTERM"))
    expect(yield* refusal(world)).toEqual(told)
    expect((yield* healthOf(world)).ok).toBe(false)
    yield* Effect.sleep(3_000)
    expect(yield* world.load.probe(100)).toEqual(told)

    expect((yield* Effect.promise(startParley(dataDir).up)).url).toBe(url)
    yield* goesOn(world, server)
  }).pipe(Effect.scoped, Effect.runPromise)
)

test("a PostgreSQL that hangs: 503 meanwhile, and it goes on when that does", { timeout: testMaxMs }, () =>
  Effect.gen(function* () {
    const dataDir = join(freshDir(), "data")
    const database = startParley(dataDir)
    const { url } = yield* Effect.promise(database.up)
    const world = yield* openWorld({ ...options, seed: "hangs", databaseUrl: url })
    const server = yield* started(world)

    // Whoever watches over it first, or it would be replaced.
    database.child.kill("SIGSTOP")
    const stopped = processesIn(dataDir)
    for (const pid of stopped) process.kill(pid, "SIGSTOP")
    const sinceMs = yield* Clock.currentTimeMillis
    expect(yield* refusal(world)).toEqual(told)
    say(`a hung PostgreSQL: 503 after ${(yield* Clock.currentTimeMillis) - sinceMs} ms\n`)
    expect((yield* healthOf(world)).ok).toBe(false)

    for (const pid of stopped) process.kill(pid, "SIGCONT")
    database.child.kill("SIGCONT")
    yield* goesOn(world, server)
  }).pipe(Effect.scoped, Effect.runPromise)
)

test("Parley's own PostgreSQL hangs: another one is started in its place", { timeout: testMaxMs }, () =>
  Effect.gen(function* () {
    const world = yield* openWorld({ ...options, seed: "replaced" })
    const server = yield* started(world)
    for (const pid of world.processes("postgres")) process.kill(pid, "SIGSTOP")
    expect(yield* refusal(world)).toEqual(told)
    yield* goesOn(world, server)
  }).pipe(Effect.scoped, Effect.runPromise)
)

const canMount = isRoot && mounts()
if (!canMount) say("NOT TESTED: a full disk, for this user may not mount one\n")

test.skipIf(!canMount)("a full disk: 503 until there is room, without a restart", { timeout: testMaxMs }, () =>
  Effect.gen(function* () {
    let disk = ""
    const prepare = (dataDir: string) => {
      disk = dataDir
      mount(dataDir, "size=160m,mode=755")
    }
    const world = yield* openWorld({ ...options, seed: "full", prepare })
    const server = yield* started(world)

    const filler = join(disk, "filler")
    fill(disk, filler)
    yield* Effect.ignore(Effect.tryPromise(() => sql(world.databaseUrl(), "create table filler as " + rows)))
    expect(yield* refusal(world, 2_000)).toEqual(told)
    // A log that cannot grow ends PostgreSQL itself, again and again.
    yield* Effect.ignore(Effect.tryPromise(() => sql(world.databaseUrl(), "select pg_switch_wal()")))
    for (let tries = 0; tries < 20; tries++) {
      expect([202, 503]).toContain((yield* world.load.probe(2_000)).status)
      yield* Effect.sleep(250)
    }
    expect((yield* healthOf(world)).ok).toBe(false)

    rmSync(filler)
    yield* goesOn(world, server)
  }).pipe(Effect.scoped, Effect.runPromise)
)

const rows = "select repeat(md5(n::text), 100) as t from generate_series(1, 100000) n"

const started = Effect.fnUntraced(function* (world: World) {
  const server = yield* world.start
  yield* orDied(untilHealthy(world), server)
  yield* world.load.release(20)
  yield* world.load.acknowledged(10)
  return server
})

/** The first answer that is not an acknowledgement. */
const refusal = Effect.fnUntraced(function* (world: World, characters = 100) {
  for (;;) {
    const answered = yield* world.load.probe(characters)
    if (answered.status !== 202) return answered
  }
})

/** Events are accepted again, and nothing is missing at the end. */
const goesOn = Effect.fnUntraced(function* (world: World, server: ServerProcess) {
  const sinceMs = yield* Clock.currentTimeMillis
  while ((yield* world.load.probe(100)).status !== 202) {
    expect((yield* Clock.currentTimeMillis) - sinceMs).toBeLessThan(backMaxMs)
    yield* Effect.sleep(100)
  }
  say(`accepted again after ${(yield* Clock.currentTimeMillis) - sinceMs} ms\n`)
  yield* world.load.release(20)
  const { exited, violations } = yield* concluded(world, server, [])
  expect(violations).toEqual([])
  expect(exited).toEqual({ code: 0, signal: null })
})

function mounts(): boolean {
  const dir = mkdtempSync(join(tmpdir(), "parley-mount-"))
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", dir], { stdio: "ignore" })
    execFileSync("umount", [dir])
    return true
  } catch {
    return false
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

/** A small disk of its own over the directory. */
function mount(dir: string, options: string) {
  mkdirSync(dir)
  execFileSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", dir])
  onTestFinished(() => void execFileSync("umount", ["--lazy", dir]))
}

function fill(disk: string, filler: string) {
  const { bavail, bsize } = statfsSync(disk)
  writeFileSync(filler, Buffer.alloc(bavail * bsize))
}
