/** How a model worker dies, and what is left of it; which files are no models. */
import { fork, spawn } from "node:child_process"
import { once } from "node:events"
import { readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import { expect } from "vitest"
import { EngineLost } from "../../src/inference/engine.ts"
import { openLlama } from "../../src/inference/llama.ts"
import {
  answer,
  answering,
  answerText,
  asked,
  defaults,
  directory,
  file,
  isAlive,
  lost,
  slotsMax,
  textOf,
  until
} from "./llama-harness.ts"

describe("a worker that fails", () => {
  it.live("kill -9: what it was answering is lost at once, and the next answer comes from another", () =>
    Effect.gen(function* () {
      const engine = yield* openLlama(defaults)
      const expected = yield* answerText(engine, asked("Hello!"))
      const running = yield* Effect.forEach(["one", "two"], (word) => answering(engine, word))
      const pid = (yield* engine.workerPid)!
      process.kill(pid, "SIGKILL")
      for (const fiber of running) {
        expect(yield* lost(fiber)).toEqual(new EngineLost({ reason: "the worker was ended by SIGKILL" }))
      }
      expect(yield* engine.isReady).toBe(false)
      expect(yield* engine.trouble).toContain("SIGKILL")
      expect(yield* answerText(engine, asked("Hello!"))).toBe(expected)
      expect(yield* engine.workerPid).not.toBe(pid)
      expect(yield* engine.counts).toMatchObject({ restarts: 1 })
      expect(yield* engine.trouble).toBeUndefined()
    }).pipe(Effect.scoped)
  )

  it.live("kill -9 while it loads for the first time: another one loads it", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(openLlama(defaults), { startImmediately: true })
      const pid = yield* childPid.pipe(
        Effect.repeat({ until: (found) => found !== undefined, schedule: Schedule.spaced(5) })
      )
      process.kill(pid!, "SIGKILL")
      const engine = yield* Fiber.join(fiber)
      expect(yield* engine.counts).toMatchObject({ restarts: 1 })
      expect(yield* answerText(engine, asked("Hello!"))).not.toBe("")
    }).pipe(Effect.scoped)
  )

  it.live("SIGSTOP: silence is found out, idle or answering, and it is replaced", () =>
    Effect.gen(function* () {
      const engine = yield* openLlama({ ...defaults, progressMaxMs: 800 })
      const first = (yield* engine.workerPid)!
      const running = yield* answering(engine, "one")
      process.kill(first, "SIGSTOP")
      expect((yield* lost(running)).message).toBeDefined()
      yield* until(Effect.map(engine.workerPid, (pid) => pid !== undefined && pid !== first))
      expect(isAlive(first)).toBe(false)
      const second = (yield* engine.workerPid)!
      process.kill(second, "SIGSTOP")
      yield* until(Effect.map(engine.workerPid, (pid) => pid !== second))
      yield* answer(engine, asked("Hello!"))
      expect(isAlive(second)).toBe(false)
    }).pipe(Effect.scoped)
  )

  it.live("an idle one is left alone", () =>
    Effect.gen(function* () {
      const engine = yield* openLlama({ ...defaults, progressMaxMs: 2_000 })
      yield* Effect.sleep(5_000)
      expect(yield* engine.counts).toMatchObject({ restarts: 0 })
    }).pipe(Effect.scoped)
  )

  it.live("a scope that closes takes it along, even one that is stopped", () =>
    Effect.gen(function* () {
      const pids = yield* Effect.forEach(["running", "stopped"], (state) =>
        Effect.scoped(
          Effect.gen(function* () {
            const pid = (yield* (yield* openLlama(defaults)).workerPid)!
            if (state === "stopped") process.kill(pid, "SIGSTOP")
            return pid
          })
        )
      )
      expect(pids.filter(isAlive)).toEqual([])
    })
  )

  it.live("one whose server went while it was loading ends by itself", () =>
    Effect.promise(async () => {
      const program = fileURLToPath(new URL("../../src/inference/worker/main.ts", import.meta.url))
      const options = {
        file,
        slotsMax,
        contextTokens: 512,
        gpu: false,
        threads: 1,
        stepTokensMax: 256,
        heartbeatMs: 100
      }
      const worker = fork(program, [JSON.stringify(options)], { detached: true, execArgv: [] })
      worker.disconnect()
      expect(await once(worker, "exit")).toEqual([null, "SIGKILL"])
    })
  )

  it.live("a server that is killed leaves none", () =>
    Effect.gen(function* () {
      const program = fileURLToPath(new URL("./llama-server.ts", import.meta.url))
      const server = spawn(process.execPath, [program, file], { stdio: ["ignore", "pipe", "inherit"] })
      const pid = yield* Effect.promise(async () => Number(await once(server.stdout, "data")))
      expect(isAlive(pid)).toBe(true)
      server.kill("SIGKILL")
      yield* until(Effect.sync(() => !isAlive(pid))).pipe(
        Effect.timeoutOrElse({ duration: 1_000, orElse: () => Effect.die("it lives on") })
      )
    })
  )
})

describe("a file that is no model", () => {
  const written = (name: string, change: (model: Buffer) => Buffer) => () => {
    const path = join(directory, name)
    writeFileSync(path, change(readFileSync(file)))
    return path
  }
  const cases: ReadonlyArray<readonly [what: string, path: () => string, says: RegExp]> = [
    ["missing", () => join(directory, "missing.gguf"), /missing\.gguf: it is not there\. .*configuration/],
    ["a directory", () => directory, /is a directory/],
    ["empty", written("empty.gguf", () => Buffer.alloc(0)), /empty\.gguf: it is empty/],
    ["not GGUF", written("page.gguf", () => Buffer.from("<html>")), /begins with "<htm"/],
    [
      "truncated",
      written("cut.gguf", (model) => model.subarray(0, 900_000)),
      /corrupted or incomplete\. Put a whole GGUF file/
    ],
    ["garbled", written("garbled.gguf", garbled), /garbled\.gguf: llama\.cpp cannot load it/],
    ["of another architecture", written("arch.gguf", renamed), /unknown model architecture: 'lxama'/]
  ]
  for (const [what, path, says] of cases) {
    it.live(what, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(openLlama({ ...defaults, file: path() }))
        expect(error).toMatchObject({ _tag: "EngineBroken", model: "random" })
        expect(error.reason).toMatch(says)
      }).pipe(Effect.scoped)
    )
  }

  it.live("no room: more sequences than there can be", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(openLlama({ ...defaults, slotsMax: 300 }))
      expect(error.reason).toMatch(/no room for 300 sequences of 512 tokens: n_seq_max must be <= 256\. Lower/)
    }).pipe(Effect.scoped)
  )

  it.live("the same while it runs is trouble and no end: with the file back it works again", () =>
    Effect.gen(function* () {
      const path = written("fragile.gguf", (model) => model)()
      const engine = yield* openLlama({ ...defaults, file: path, restartDelayMaxMs: 100 })
      const whole = readFileSync(path)
      rmSync(path)
      writeFileSync(path, whole)
      truncateSync(path, 900_000)
      process.kill((yield* engine.workerPid)!, "SIGKILL")
      yield* until(Effect.map(engine.trouble, (trouble) => trouble?.includes("incomplete") === true))
      expect(yield* engine.isReady).toBe(false)
      rmSync(path)
      writeFileSync(path, whole)
      expect(textOf(yield* answer(engine, asked("Hello!")))).not.toBe("")
    }).pipe(Effect.scoped)
  )
})

function garbled(model: Buffer): Buffer {
  return Buffer.from(model).fill(0x5a, 100, 4_000)
}

function renamed(model: Buffer): Buffer {
  const key = "general.architecture"
  const copy = Buffer.from(model)
  copy.write("lxama", copy.indexOf(key) + key.length + 12)
  return copy
}

/** The worker that this process has started, if it has. */
const childPid = Effect.sync(() => {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").trim().split(" ")
  return children
    .filter((pid) => pid !== "" && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("worker/main.ts"))
    .map(Number)[0]
})
