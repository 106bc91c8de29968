import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import { holdDataDir } from "../../src/store/data-lock.ts"
import { identify } from "../../src/store/process-identity.ts"
import { freshDir, startProcess } from "./parley-process.ts"

/** As long as the slowest of the racers needs to load its modules. */
const loadMs = 2_000
const racers = 5

const hold = (dir: string) => Effect.runPromise(Effect.result(Effect.scoped(holdDataDir(dir, 0o700))))
const locksIn = (dir: string) => readdirSync(dir).filter((name) => name.startsWith("parley.lock"))

async function race(dir: string) {
  const atMs = String(performance.timeOrigin + performance.now() + loadMs)
  const all = Array.from({ length: racers }, () => startProcess("lock-child.ts", [dir, atMs]))
  const ends = await Promise.all(
    all.map((each) =>
      Promise.race([
        each.line("url").then(() => ({ ...each, reason: "" })),
        each.line("trouble").then(({ trouble }) => ({ ...each, reason: trouble }))
      ])
    )
  )
  const winners = ends.filter(({ reason }) => reason === "")
  const losers = ends.filter(({ reason }) => reason !== "")
  return { winners, losers }
}

describe("L1: of any number that start together exactly one holds the lock", () => {
  it("when there is none, and when its holder was killed, again and again", async () => {
    const dir = freshDir()
    for (let round = 0; round < 3; round++) {
      const { losers, winners } = await race(dir)
      expect(winners.length).toBe(1)
      for (const { reason } of losers) {
        expect(reason).toContain(`Another Parley (pid ${winners[0]?.child.pid}) already uses the data directory ${dir}`)
        expect(reason).toContain(`kill ${winners[0]?.child.pid}`)
      }
      await winners[0]?.end("SIGKILL")
      expect(locksIn(dir)).toEqual(["parley.lock"])
    }
  })
})

describe("L2: the lock of a dead holder is taken over", () => {
  const me = identify(process.pid)
  const dead = { pid: 4_194_303, started: "long ago" }
  it.for([
    ["of a process that is gone", dead],
    ["of a process whose pid somebody else has since", { ...me, started: "before the reboot" }],
    ["that a power cut emptied", ""],
    ["that is not one", "42"],
    ["of another directory, of which this is a copy", { ...me, dir: 1 }]
  ] as const)("%s", async ([, content]) => {
    const dir = freshDir()
    const lock = typeof content === "string" ? content : JSON.stringify({ dir: statSync(dir).ino, ...content })
    writeFileSync(join(dir, "parley.lock"), lock)
    expect(await hold(dir)).toMatchObject({ _tag: "Success" })
    expect(locksIn(dir)).toEqual([])
  })
})

describe("L3: nobody but its holder removes the lock of a live one", () => {
  it("in the same process, nor in another", async () => {
    const dir = freshDir()
    const holder = startProcess("lock-child.ts", [dir, "0"])
    await holder.line("url")
    const before = readFileSync(join(dir, "parley.lock"), "utf8")
    expect(await hold(dir)).toMatchObject({ failure: { reason: expect.stringContaining(String(holder.child.pid)) } })
    expect(readFileSync(join(dir, "parley.lock"), "utf8")).toBe(before)

    const other = freshDir()
    const twice = Effect.scoped(Effect.andThen(holdDataDir(other, 0o700), Effect.result(holdDataDir(other, 0o700))))
    expect(await Effect.runPromise(twice)).toMatchObject({ _tag: "Failure" })
    expect(await hold(other)).toMatchObject({ _tag: "Success" })
  })
})
