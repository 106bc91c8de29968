/** What stands in a log line, what never does, and what a slow or broken reader does to whoever logs. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Writable } from "node:stream"
import { expect, it } from "@effect/vitest"
import { Effect, Exit, Redacted, Scope } from "effect"
import { TestClock } from "effect/testing"
import { openLogFiles } from "../../src/cli/log-files.ts"
import { makeSink } from "../../src/cli/log-sink.ts"
import { type LoggingOptions, layerLogging } from "../../src/cli/logging.ts"
import { privateText } from "../../src/domain/private-text.ts"

/** A stdout that remembers. */
class Screen extends Writable {
  text = ""
  writes = 0
  readonly isTTY: boolean
  constructor(isTTY = false) {
    super({ decodeStrings: false })
    this.isTTY = isTTY
  }
  override _write(chunk: string, _: string, done: () => void) {
    this.text += chunk
    this.writes += 1
    done()
  }
  get lines(): ReadonlyArray<Record<string, unknown>> {
    return this.text
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line))
  }
}

const folder = () => mkdtempSync(join(tmpdir(), "parley-logs-"))
const logged = (program: Effect.Effect<void>, options: Partial<LoggingOptions> = {}, screen = new Screen()) =>
  Effect.as(Effect.provide(program, layerLogging({ debug: false, ...options }, screen)), screen)

it.effect("a line is JSON: the time, the level, the message, then what is noted", () =>
  Effect.gen(function* () {
    yield* TestClock.setTime(Date.UTC(2026, 10, 22, 9, 30))
    const program = Effect.logWarning("queue is full", 7).pipe(Effect.annotateLogs({ account: "demo", level: "mine" }))
    const { lines, text } = yield* logged(Effect.andThen(program, Effect.logDebug("too fine")))
    expect(text).toBe('{"at":"2026-11-22T09:30:00.000Z","level":"warn","message":"queue is full 7","account":"demo"}\n')
    expect(lines).toHaveLength(1)
  })
)

it.effect("L4: a `Redacted` value is never written, and a `PrivateText` only in debug", () =>
  Effect.gen(function* () {
    const token = Redacted.make("hunter2")
    const text = privateText("my diagnosis")
    const program = Effect.logInfo("got", text, token, { token, deep: [text] }).pipe(
      Effect.annotateLogs({ text, token })
    )
    const quiet = yield* logged(program)
    expect(quiet.text).not.toMatch(/hunter2|diagnosis/)
    expect(quiet.lines).toMatchObject([{ text: "<12 characters>", token: "<redacted>" }])
    const loud = yield* logged(Effect.andThen(program, Effect.logDebug("fine")), { debug: true })
    expect(loud.text).not.toContain("hunter2")
    expect(loud.lines).toMatchObject([{ text: "my diagnosis" }, { level: "debug" }])
    const terminal = yield* logged(program, {}, new Screen(true))
    expect(terminal.text).not.toMatch(/hunter2|diagnosis/)
  })
)

it.effect("a cause is written with its stack, on one line", () =>
  Effect.gen(function* () {
    const boom = Effect.catchCause(Effect.die(new Error("boom")), (cause) => Effect.logError("died", cause))
    const { lines } = yield* logged(boom)
    expect(lines).toMatchObject([{ level: "error", message: "died", cause: expect.stringMatching(/boom[\s\S]*at /) }])
  })
)

it.effect("L5: whatever is logged, whoever logs goes on", () =>
  Effect.gen(function* () {
    const circle: Record<string, unknown> = {}
    circle["self"] = circle
    const trap = {
      get toJSON(): unknown {
        throw new Error("no")
      }
    }
    const program = Effect.forEach([circle, trap, 5n, Symbol("s"), undefined, () => 1, "x".repeat(1e6)], (value) =>
      Effect.logInfo("odd", value).pipe(Effect.annotateLogs({ value }))
    )
    const { lines, text } = yield* logged(Effect.asVoid(program))
    expect(lines).toHaveLength(7)
    expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(64 * 1024)
    expect((yield* logged(Effect.asVoid(program), {}, new Screen(true))).text).toContain("odd")
  })
)

it.effect("a person at a terminal gets short lines, and nothing that steers it", () =>
  Effect.gen(function* () {
    yield* TestClock.setTime(Date.UTC(2026, 10, 22, 9, 30))
    const program = Effect.logInfo("hello \u001b[2J").pipe(Effect.annotateLogs({ port: 8080, none: undefined }))
    expect((yield* logged(program, {}, new Screen(true))).text).toBe("09:30:00 info  hello ?[2J  port=8080\n")
  })
)

it.live("L5: lines for a reader who stands still are dropped, and counted when it reads again", () =>
  Effect.gen(function* () {
    const pending: Array<() => void> = []
    let text = ""
    const stream = new Writable({
      decodeStrings: false,
      write(chunk, _, done) {
        text += chunk
        pending.push(done)
      }
    })
    const sink = makeSink(stream, (lines) => `lost ${lines}`)
    for (let line = 0; line < 100; line++) sink.write("x".repeat(64 * 1024))
    yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
    expect(stream.writableLength).toBeLessThanOrEqual(4 * 1024 * 1024)
    for (const done of pending.splice(0)) done()
    sink.write("after")
    yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
    expect(text).toMatch(/lost 37\nafter\n$/)
  })
)

it.effect("L5: a reader that goes away (EPIPE) stops nobody", () =>
  Effect.gen(function* () {
    const screen = new Screen()
    screen._write = (_chunk, _encoding, done: (error?: Error) => void) => done(new Error("EPIPE"))
    const program = Effect.forEach([1, 2, 3], (n) =>
      Effect.andThen(
        Effect.logInfo(`line ${n}`),
        Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      )
    )
    yield* logged(Effect.asVoid(program), {}, screen)
    expect(screen.destroyed).toBe(true)
  })
)

it.effect("lines of one turn of the event loop are one write", () =>
  Effect.gen(function* () {
    const { lines, writes } = yield* logged(Effect.asVoid(Effect.forEach(Array(100), () => Effect.logInfo("hello"))))
    expect(lines).toHaveLength(100)
    expect(writes).toBeLessThan(5)
  })
)

const dayMs = 86_400_000
const contents = (dir: string) =>
  Object.fromEntries(
    readdirSync(dir)
      .sort()
      .map((name) => [name, readFileSync(join(dir, name), "utf8")])
  )

/** Writes lines at their times, and closes. */
const written = (dir: string, lines: ReadonlyArray<readonly [atMs: number, line: string]>, filesMax = 7) =>
  Effect.scoped(
    Effect.gen(function* () {
      const files = yield* openLogFiles({ dir, lostLine: String, fileMaxBytes: 10, filesMax })
      for (const [atMs, line] of lines) files.write(line, atMs)
    })
  )

it.effect("L1, L3: a file is of one day and not too long, and a restart goes on with the newest", () =>
  Effect.gen(function* () {
    const dir = join(folder(), "made", "here")
    yield* written(dir, [
      [0, "one"],
      [1, "two"],
      [2, "three"],
      [dayMs, "four"]
    ])
    yield* TestClock.setTime(dayMs)
    yield* written(dir, [
      [dayMs, "five"],
      [dayMs, "six"]
    ])
    yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
    expect(contents(dir)).toEqual({
      "parley-1970-01-01-0000.jsonl": "one\ntwo\n",
      "parley-1970-01-01-0001.jsonl": "three\n",
      "parley-1970-01-02-0000.jsonl": "four\nfive\n",
      "parley-1970-01-02-0001.jsonl": "six\n"
    })
  })
)

it.effect("L2: the newest files are kept, and others of the folder left alone", () =>
  Effect.gen(function* () {
    const dir = folder()
    writeFileSync(join(dir, "notes.txt"), "mine")
    yield* written(
      dir,
      [0, 1, 2, 3, 4].map((day) => [day * dayMs, "x"] as const),
      3
    )
    expect(Object.keys(contents(dir))).toEqual([
      "notes.txt",
      "parley-1970-01-03-0000.jsonl",
      "parley-1970-01-04-0000.jsonl",
      "parley-1970-01-05-0000.jsonl"
    ])
  })
)

it.effect("a folder that cannot be used is said at start; a layer writes into one that can", () =>
  Effect.gen(function* () {
    const dir = folder()
    writeFileSync(join(dir, "file"), "")
    const scope = yield* Scope.make()
    const failed = yield* Effect.flip(
      openLogFiles({ dir: join(dir, "file"), lostLine: String }).pipe(Scope.provide(scope))
    )
    expect(failed).toMatchObject({ _tag: "LogDirUnusable", reason: expect.stringContaining("EEXIST") })
    yield* Scope.close(scope, Exit.void)
    yield* logged(Effect.logInfo("hello"), { dir })
    expect(existsSync(join(dir, "parley-1970-01-01-0000.jsonl"))).toBe(true)
    expect(contents(dir)["parley-1970-01-01-0000.jsonl"]).toContain('"message":"hello"')
  }).pipe(Effect.catchTag("LogDirUnusable", Effect.die))
)
