/** What `parley config` prints: each value once, where it was written, and no secret. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { expect, it } from "@effect/vitest"
import { Effect, FileSystem, Layer, Result } from "effect"
import { TestConsole } from "effect/testing"
import { runCommand } from "../../src/cli/command.ts"
import { readConfig } from "../../src/cli/config.ts"
import { settingsOf, settingsText } from "../../src/cli/config-settings.ts"

const secret = "whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMg=="
const text = `port: 9000
limits:
  queueMax: 7
channels:
  - kind: webhook
    account: demo
    secret: \${DEMO_SECRET}
    callback: https://example.org/replies?key=hunter2
models:
  - name: big
    engine: openai
    baseUrl: http://127.0.0.1:8000/v1
    apiKey: hunter2
`
const environment = {
  DEMO_SECRET: secret,
  PARLEY_TOKEN: "hunter2-hunter2",
  DATABASE_URL: "postgres://me:hunter2@db/parley"
}
const file = { name: "parley.yaml", text }
const settings = settingsOf(Result.getOrThrow(readConfig({ environment, file, flags: { host: "127.0.0.2" } })))
const of = (key: string) => settings.find((setting) => setting.key === key)

it("each value comes with where it was written: command line > environment > file > default", () => {
  expect(of("host")).toEqual({ key: "host", value: "127.0.0.2", from: "--host (command line)" })
  expect(of("port")).toEqual({ key: "port", value: 9000, from: "parley.yaml:1" })
  expect(of("limits.queueMax")).toEqual({ key: "limits.queueMax", value: 7, from: "parley.yaml:3" })
  expect(of("limits.idleMs")).toEqual({ key: "limits.idleMs", value: 300_000, from: "default" })
  expect(of("token")).toEqual({ key: "token", value: "(set, not shown)", from: "PARLEY_TOKEN (environment)" })
  expect(of("channels[0].secret")).toMatchObject({ value: "(set, not shown)", from: "parley.yaml:7" })
  expect(of("channels[0].settleMs")).toMatchObject({ value: 0, from: "default" })
  expect(of("channels[0].callback")?.value).toBe("https://example.org/replies?…")
  expect(of("allowedHosts")).toMatchObject({ value: "[]", from: "default" })
})

it("no secret is shown, in no form, and each key stands there once", () => {
  for (const width of [60, Number.POSITIVE_INFINITY]) {
    const shown = settingsText(settings, width)
    expect(shown).not.toMatch(/hunter2|aHVudGVyMmh1/)
    if (width === 60) for (const line of shown.split("\n")) expect([...line].length).toBeLessThanOrEqual(width)
  }
  expect(JSON.stringify(settings)).not.toMatch(/hunter2|aHVudGVyMmh1/)
  expect(new Set(settings.map(({ key }) => key)).size).toBe(settings.length)
})

const run = Effect.fnUntraced(
  function* (line: string) {
    const typed = line.split(" ")
    const nobody = () => Effect.die("nobody asked for it")
    const asked = { start: nobody, demo: nobody, doctor: nobody, interrupted: Effect.never }
    const code = yield* runCommand({ typed, environment, version: "1.2.3", ...asked })
    return { code, out: (yield* TestConsole.logLines).join("\n"), error: (yield* TestConsole.errorLines).join("\n") }
  },
  Effect.provide(Layer.fresh(TestConsole.layer)),
  Effect.provide(NodeServices.layer)
)

it.effect("check says what is wrong and 78, or that it is right", () =>
  Effect.gen(function* () {
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* fileSystem.makeTempFileScoped()
    yield* fileSystem.writeFileString(path, text)
    expect(yield* run(`config check --config ${path}`)).toEqual({ code: 0, out: `${path} is right.`, error: "" })
    yield* fileSystem.writeFileString(path, "prot: 1\n")
    const wrong = yield* run(`config check --config ${path}`)
    expect(wrong).toMatchObject({ code: 78, out: "", error: expect.stringContaining("did you mean `port`?") })
    const told = yield* run(`config check --json --config ${path}`)
    expect([told.code, JSON.parse(told.out)]).toMatchObject([78, { right: false, problems: [expect.anything()] }])
    const schema = yield* run("config schema")
    expect(JSON.parse(schema.out)).toMatchObject({ title: "parley.yaml" })
    expect((yield* run(`config show --config ${path}`)).code).toBe(78)
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
)
