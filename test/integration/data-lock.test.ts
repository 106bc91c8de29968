import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import { holdDataDir } from "../../src/store/data-lock.ts"
import { identify } from "../../src/store/process-identity.ts"
import { freshDir, startProcess } from "./parley-process.ts"

/** Enough for all racers to hear of it. */
const noticeMs = 100
const racers = 3
const rounds = 250

const hold = (dir: string) => Effect.runPromise(Effect.result(Effect.scoped(holdDataDir(dir, 0o700))))
const locksIn = (dir: string) => readdirSync(dir).filter((name) => name.startsWith("parley.lock"))

/** Who held each directory in the end, and what the others were told. */
async function race(dir: string) {
  const all = Array.from({ length: racers }, () => startProcess("lock-child.ts", [dir, String(rounds)]))
  await Promise.all(all.map(({ line }) => line("announced")))
  for (const { child } of all) child.stdin?.write(String(performance.timeOrigin + performance.now() + noticeMs))
  const lines = await Promise.all(all.map(({ line }) => line("results")))
  const outcomes = Array.from({ length: rounds }, (_, round) => {
    const told = lines.map(({ results }) => results[round]!)
    const winners = all.filter((_, index) => told[index] === "held").map(({ child }) => child.pid)
    return { winners, refusals: told.filter((each) => each !== "held") }
  })
  await Promise.all(all.map(({ end }) => end("SIGKILL")))
  return outcomes
}

describe("L1: of any number that start together exactly one holds the lock", () => {
  it("when there is none, and when its holder was killed", async () => {
    const dir = freshDir()
    for (const _ of ["no lock", "a stale one"]) {
      const outcomes = await race(dir)
      for (const [round, { refusals, winners }] of outcomes.entries()) {
        expect(winners.length).toBe(1)
        for (const reason of refusals) {
          expect(reason).toContain(
            `Another Parley (pid ${winners[0]}) already uses the data directory ${join(dir, String(round))}.`
          )
          expect(reason).toContain(`kill ${winners[0]}`)
        }
        expect(locksIn(join(dir, String(round)))).toEqual(["parley.lock"])
      }
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
    const holder = startProcess("lock-child.ts", [dir, "1"])
    holder.child.stdin?.write("0")
    await holder.line("results")
    const lock = join(dir, "0", "parley.lock")
    const before = readFileSync(lock, "utf8")
    expect(await hold(dirname(lock))).toMatchObject({
      failure: { reason: expect.stringContaining(String(holder.child.pid)) }
    })
    expect(readFileSync(lock, "utf8")).toBe(before)

    const other = freshDir()
    const twice = Effect.scoped(Effect.andThen(holdDataDir(other, 0o700), Effect.result(holdDataDir(other, 0o700))))
    expect(await Effect.runPromise(twice)).toMatchObject({ _tag: "Failure" })
    expect(await hold(other)).toMatchObject({ _tag: "Success" })
  })
})
