/** A line of the log, read back and shown; and `parley logs` over files and over a pipe. */
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Readable } from "node:stream"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer } from "effect"
import * as Command from "effect/cli/Command"
import { TestConsole } from "effect/testing"
import { shownLine } from "../../src/cli/log-line.ts"
import { logsCommand } from "../../src/cli/logs-command.ts"

const plain = { isColoured: false }
const line = (level: string, message: string, more: object = {}) =>
  JSON.stringify({ at: "2026-01-02T03:04:05.678Z", level, message, ...more })

it("a line is shown with its time, its level and its notes, and one of another program as it is", () => {
  const note = line("info", "ready", { port: 8080, cause: "Error: x\n    at y" })
  expect(shownLine(note, "trace", plain)).toBe("2026-01-02 03:04:05 info  ready  port=8080\nError: x\n    at y")
  expect(shownLine("hello \u001b[2J", "fatal", plain)).toBe("hello ?[2J")
  expect(shownLine('{"level":7}', "fatal", plain)).toBe('{"level":7}')
  expect(shownLine(line("warn", "\u001b[2J"), "trace", { isColoured: true })).toBe(
    "2026-01-02 \u001b[33m03:04:05 warn \u001b[0m ?[2J"
  )
  expect(["info", "warn", "error"].map((level) => shownLine(line(level, "x"), "warn", plain) !== undefined)).toEqual([
    ...[false, true, true]
  ])
})

const run = Effect.fnUntraced(function* (
  typed: ReadonlyArray<string>,
  stdin: Readable,
  interrupted: Effect.Effect<"SIGINT">
) {
  const command = Command.runWith(logsCommand({}, interrupted, stdin), { version: "1" })(typed)
  return yield* Effect.flip(Effect.andThen(command, Effect.fail({ reason: "it ended" })))
})

const services = Layer.fresh(Layer.mergeAll(TestConsole.layer, NodeServices.layer))

const freshDir = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "parley-logs-"))),
  (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
)

it.live("a pipe is read to its end, and what is below the level is left out", () =>
  Effect.gen(function* () {
    const stdin = Readable.from([`${line("info", "one")}\n${line("debug", "no")}\n`, `${line("error", "two")}\n`])
    yield* run(["--stdin", "--level", "warn"], stdin, Effect.never)
    expect(yield* TestConsole.logLines).toEqual(["2026-01-02 03:04:05 error two"])
  }).pipe(Effect.provide(services))
)

it.live("files are read from their end, and followed until Ctrl-C", () =>
  Effect.gen(function* () {
    const dir = yield* freshDir
    const yaml = join(dir, "parley.yaml")
    writeFileSync(yaml, `logs: { dir: "${dir}" }\n`)
    const file = join(dir, "parley-2026-01-02-0000.jsonl")
    writeFileSync(file, ["one", "two", "three"].map((message) => `${line("info", message)}\n`).join(""))
    const pressed = yield* Deferred.make<"SIGINT">()
    const typed = ["--config", yaml, "--lines", "2", "--follow", "--json"]
    const fiber = yield* Effect.forkChild(run(typed, Readable.from([]), Deferred.await(pressed)))
    const shown = (...messages: ReadonlyArray<string>) =>
      Effect.repeat(Effect.delay(TestConsole.logLines, 10), {
        until: (lines) => lines.join("\n") === messages.map((message) => line("info", message)).join("\n")
      })
    yield* shown("two", "three")
    appendFileSync(file, `${line("info", "four")}\n`)
    yield* shown("two", "three", "four")
    yield* Deferred.succeed(pressed, "SIGINT")
    expect(yield* Fiber.join(fiber)).toMatchObject({ reason: "", exitCode: 130 })
  }).pipe(Effect.provide(services))
)

it.effect("without files it says what to do", () =>
  Effect.gen(function* () {
    const failure = yield* run([], Readable.from([]), Effect.never)
    expect(failure).toMatchObject({ exitCode: 1, reason: expect.stringContaining("logs.dir is not set") })
  }).pipe(Effect.provide(services))
)
