/** What an operator reads when a setting is wrong, and what a server gets when it is right. */

import { mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Effect, Redacted, Result } from "effect"
import { expect, test } from "vitest"
import { type ConfigInput, parseConfig } from "../../src/cli/config.ts"
import { loadConfig } from "../../src/cli/config-load.ts"
import { nearestKey } from "../../src/domain/nearest-key.ts"

const demoSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

function parse(text: string, { environment = {}, flags = {} }: Partial<ConfigInput> = {}) {
  return parseConfig({ file: { name: "parley.yaml", text }, environment, flags })
}

const accepted = (text: string, given?: Partial<ConfigInput>) =>
  Result.getOrThrowWith(parse(text, given), (error) => new Error(error.message))

function refused(text: string, given?: Partial<ConfigInput>): ReadonlyArray<string> {
  const result = parse(text, given)
  return Result.isFailure(result) ? result.failure.problems : []
}

const webhook = (lines: string) => `channels:\n  - kind: webhook\n    account: demo\n${lines}`
const whole = webhook(`    secret: ${demoSecret}\n    callback: http://127.0.0.1:9999/replies\n`)

test("no file and no environment is a server on loopback with every default", () => {
  const config = Result.getOrThrow(parseConfig({ file: undefined, environment: {}, flags: {} }))
  expect(config).toMatchObject({
    host: "127.0.0.1",
    port: 8080,
    dataDir: ".parley",
    debug: false,
    durability: "strict",
    drainMs: 8000,
    limits: {
      inboxMax: 100_000,
      conversationInboxMax: 64,
      bodyMaxBytes: 1_048_576,
      queueMax: 1000
    },
    retention: { dedupDays: 30 },
    logs: {},
    channels: [],
    models: []
  })
  expect(config).not.toHaveProperty("token")
})

test("the example of DESIGN.md is a configuration", () => {
  const text = `
channels:
  - kind: webhook
    account: demo
    secret: \${DEMO_SECRET}          # a comment
    callback: http://127.0.0.1:9999/replies
models:
  - name: default
    engine: llama
    file: models/guide.gguf
  - engine: openai
    name: far
    baseUrl: http://127.0.0.1:9000/v1
    apiKey: \${KEY}
`
  const { channels, models } = accepted(text, { environment: { DEMO_SECRET: demoSecret, KEY: "sk-1" } })
  const [channel] = channels
  expect(channel).toMatchObject({ policy: "collect", settleMs: 0, attemptsMax: 12, giveUpAfterMs: 86_400_000 })
  expect(channel && Redacted.value(channel.secret)).toBe(demoSecret)
  expect(JSON.stringify(channels)).not.toContain(demoSecret)
  expect(models[0]).toEqual({
    name: "default",
    engine: "llama",
    file: "models/guide.gguf",
    slots: 4,
    contextTokens: 2048
  })
  expect(models[1]).toMatchObject({ engine: "openai", slots: 16 })
})

test("command line > environment > file > default", () => {
  const file = "port: 1\nhost: 127.0.0.3\ndataDir: file\ndebug: false"
  const environment = { PORT: "2", HOST: "127.0.0.2", PARLEY_DATA: "env", AI_DEBUG: "true" }
  expect(accepted(file)).toMatchObject({ port: 1, host: "127.0.0.3", dataDir: "file" })
  expect(accepted(file, { environment })).toMatchObject({ port: 2, host: "127.0.0.2", dataDir: "env", debug: true })
  const flags = { port: "3", host: "127.0.0.4", data: "flag" }
  expect(accepted(file, { environment, flags })).toMatchObject({ port: 3, host: "127.0.0.4", dataDir: "flag" })
  expect(accepted(file, { environment: { PORT: "", AI_DEBUG: "0" } })).toMatchObject({ port: 1, debug: false })
})

test("PARLEY_MODEL is a file or an address, and replaces the models of the file", () => {
  const file = "models: [{engine: llama, file: a.gguf, name: a}, {engine: llama, file: b.gguf, name: b}]"
  const models = (PARLEY_MODEL: string) => accepted(file, { environment: { PARLEY_MODEL } }).models
  expect(models("/m/c.gguf")).toMatchObject([{ engine: "llama", file: "/m/c.gguf" }])
  expect(models("http://127.0.0.1:9/v1")).toMatchObject([{ engine: "openai", baseUrl: "http://127.0.0.1:9/v1" }])
  expect(models("")).toHaveLength(2)
})

test.each([
  [
    "an unknown key",
    webhook(`    callbak: http://x\n    secret: ${demoSecret}`),
    ["unknown key `callbak` in channels[0] (parley.yaml:4): did you mean `callback`?"]
  ],
  ["one at the top", "hots: x", ["unknown key `hots` (parley.yaml:1): did you mean `host`?"]],
  [
    "one that is near to nothing",
    "logs: { colour: red }",
    ["unknown key `colour` in logs (parley.yaml:1): known here: dir"]
  ],
  ["a wrong type", "port: abc", ["port (parley.yaml:1): expected a whole number from 0 to 65535, found a text"]],
  [
    "a number out of bounds",
    "\nport: 70000",
    ["port (parley.yaml:2): expected a whole number from 0 to 65535, found 70000"]
  ],
  [
    "a misspelt choice",
    `${whole}    policy: interupt`,
    ["channels[0].policy (parley.yaml:6): expected `collect` or `interrupt`, found a text: did you mean `interrupt`?"]
  ],
  [
    "a missing key",
    webhook(`    secret: ${demoSecret}`),
    ["`callback` is missing in channels[0] (parley.yaml:2): expected an http(s) address without a user name in it"]
  ],
  [
    "a missing secret",
    webhook("    callback: http://x"),
    [expect.stringMatching(/^`secret` is missing in channels\[0\] \(parley.yaml:2\): expected `whsec_`/)]
  ],
  [
    "an unknown engine",
    "models:\n  - engine: lama",
    ["models[0] (parley.yaml:2): expected a map with `engine: llama` or `engine: openai`"]
  ],
  ["a list at the top", "- port: 1", ["the file (parley.yaml:1): expected a map of settings, found a list"]],
  ["a key given twice", "port: 1\nport: 2", ["parley.yaml:2: the key `port` is given twice in the same map"]],
  ["a tab", "limits:\n\tqueueMax: 1", ["parley.yaml:2: not YAML: a tab indents this line; use spaces"]],
  [
    "a text with a colon",
    "systemPrompt: Be brief: always",
    ["parley.yaml:1: not YAML: two keys on one line (a text with `: ` in it needs quotes)"]
  ],
  ["a bracket left open", "channels: [", [expect.stringContaining("parley.yaml:1: not YAML")]],
  ["an alias of itself", "a: &a [*a]", ["parley.yaml:1: the YAML repeats an alias too often, or within itself"]],
  [
    "brackets without end",
    "[".repeat(100_000),
    expect.arrayContaining(["parley.yaml:1: the YAML is nested too deeply"])
  ]
])("%s", (_, text, problems) => {
  expect(refused(text)).toEqual(problems)
})

test("F1: every problem is reported at once, each with where it was written and what would be right", () => {
  const text = `port: 70000\nlimits: { queueMax: 0 }\n${webhook("    callback: ftp://x\n    secret: $" + "{NOPE}")}`
  expect(refused(text, { environment: { AI_DEBUG: "maybe" }, flags: { host: "a b" } })).toEqual([
    "parley.yaml:7: the environment variable NOPE is not set",
    "--host (command line): expected a host name or an IP address, found `a b`",
    expect.stringContaining("port (parley.yaml:1)"),
    "AI_DEBUG (environment): expected `true` or `false`, found `maybe`",
    expect.stringContaining("limits.queueMax (parley.yaml:2)"),
    expect.stringContaining("channels[0].callback (parley.yaml:6)")
  ])
})

test("what is said about a line's text is not said twice, and hides nothing of other lines", () => {
  const environment = { PORT: "abc" }
  expect(
    refused(`channels: [{ kind: webhook, account: a, callback: "http://x", secret: "$${"{NOPE}"}" }]`, { environment })
  ).toEqual([
    "parley.yaml:1: the environment variable NOPE is not set",
    "PORT (environment): expected a whole number from 0 to 65535, found `abc`"
  ])
  expect(refused("port: x\ndrainMs: 1\ndrainMs: 2")).toEqual([
    "parley.yaml:3: the key `drainMs` is given twice in the same map",
    expect.stringContaining("port (parley.yaml:1)")
  ])
  expect(refused(`"$${"{WHO}"}": 1`, { environment: { WHO: "Ada" } })).toEqual([
    expect.stringContaining(`unknown key \`$${"{WHO}"}\` (parley.yaml:1)`)
  ])
})

test("a text that would unfold without end is refused", () => {
  const levels = Array.from({ length: 7 }, (_, level) => `k${level}: &k${level} [${`*k${level - 1},`.repeat(10)}]`)
  expect(refused(["k-1: &k-1 x", ...levels].join("\n"))).toEqual([
    expect.stringContaining("repeats an alias too often")
  ])
})

test("bad values of the environment are plain problems", () => {
  const problem = (environment: Record<string, string>) => refused("", { environment }).join()
  const expected = "PORT (environment): expected a whole number from 0 to 65535, found"
  expect(problem({ PORT: "abc" })).toBe(`${expected} \`abc\``)
  expect(problem({ PORT: "70000" })).toBe(`${expected} \`70000\``)
  expect(problem({ PORT: "-1" })).toBe(`${expected} \`-1\``)
  expect(problem({ DATABASE_URL: "mysql://me:hunter2@db" })).toMatch(/^DATABASE_URL .*postgres:\/\/.*another text$/)
  expect(problem({ PARLEY_TOKEN: "two words" })).not.toContain("two words")
})

test("a variable in braces is taken from the environment, and a second `$` makes it a text", () => {
  const environment = { WHO: "Ada" }
  const who = "$" + "{WHO}"
  const prompt = (text: string) => accepted(`systemPrompt: "${text}"`, { environment }).systemPrompt
  expect(prompt(`I am ${who}, ${who}.`)).toBe("I am Ada, Ada.")
  expect(prompt(`write $${who} or $WHO`)).toBe(`write ${who} or $WHO`)
  expect(refused(`systemPrompt: "${who.slice(0, -1)}"`, { environment })).toEqual([
    expect.stringContaining("begins the name")
  ])
  expect(refused(`systemPrompt: "${who.replace("WHO", "")}"`, { environment })).toEqual([
    expect.stringContaining("begins the name")
  ])
  expect(refused(`systemPrompt: |\n  a\n  ${who}`)).toEqual([expect.stringContaining("WHO is not set")])
})

test("a key with nothing behind it counts as left out", () => {
  expect(accepted("channels:\n#  - kind: webhook\nlimits:\n")).toMatchObject({
    channels: [],
    limits: { queueMax: 1000 }
  })
})

test("two accounts or two models of one name are refused", () => {
  const second = whole.slice(whole.indexOf("  - kind"))
  expect(refused(whole + second)).toEqual([
    "channels[1].account (parley.yaml:7): channels[0] (parley.yaml:2) has the same account"
  ])
  const models = "models: [{engine: llama, file: a}, {engine: llama, file: b}]"
  expect(refused(models)).toEqual(["models[1].name (parley.yaml:1): models[0] (parley.yaml:1) has the same name"])
})

test("an address that other machines reach needs a token, and the problem says the line that mends it", () => {
  for (const host of ["0.0.0.0", "::", "192.168.1.2", "parley.local", "128.0.0.1"]) {
    expect(refused("", { flags: { host } })).toEqual([
      expect.stringContaining("export PARLEY_TOKEN=$(openssl rand -hex 32)")
    ])
    expect(refused("", { flags: { host }, environment: { PARLEY_TOKEN: "abc" } })).toEqual([])
  }
  for (const host of ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
    expect(refused("", { flags: { host } })).toEqual([])
})

test("a webhook secret is one of Standard Webhooks", () => {
  const problems = (secret: string) => refused(whole.replace(demoSecret, secret))
  expect(problems(`whsec_${Buffer.alloc(24).toString("base64")}`)).toEqual([])
  expect(problems(`whsec_${Buffer.alloc(64).toString("base64")}`)).toEqual([])
  for (const bytes of [0, 23, 65]) expect(problems(`whsec_${Buffer.alloc(bytes).toString("base64")}`)).toHaveLength(1)
  expect(problems(Buffer.alloc(32).toString("base64"))).toEqual([expect.stringContaining("openssl rand -base64 32")])
})

test("a file that is named must be there; parley.yaml need not", async () => {
  const folder = mkdtempSync(join(tmpdir(), "parley-config-"))
  const load = (environment: Record<string, string>, config?: string) =>
    Effect.runPromise(
      loadConfig(environment, config === undefined ? {} : { config }).pipe(
        Effect.match({ onFailure: ({ message }) => message, onSuccess: ({ port }) => port }),
        Effect.provide(NodeFileSystem.layer)
      )
    )
  const path = (name: string, content: string | Buffer) => {
    writeFileSync(join(folder, name), content)
    return join(folder, name)
  }
  expect(await load({})).toBe(8080)
  expect(await load({ PARLEY_CONFIG: path("good.yaml", "port: 7") })).toBe(7)
  expect(await load({ PARLEY_CONFIG: "/nowhere" }, path("good.yaml", "port: 8"))).toBe(8)
  expect(await load({ PARLEY_CONFIG: "/nowhere" })).toBe(
    "/nowhere, which PARLEY_CONFIG names, cannot be read: there is no such file"
  )
  expect(await load({}, folder)).toContain("which --config names, cannot be read: it is not a file")
  expect(await load({}, path("long.yaml", `# ${"x".repeat(1024 * 1024)}`))).toContain("longer than 1 MiB")
  expect(await load({}, "/dev/zero")).toContain("longer than 1 MiB")
  expect(await load({}, path("latin.yaml", Buffer.from([0x23, 0xe9])))).toContain("not UTF-8")
  expect(await load({}, path("bad.yaml", "prot: 1"))).toBe(
    `unknown key \`prot\` (${join(folder, "bad.yaml")}:1): did you mean \`port\`?`
  )
})

test("the nearest key has the fewest edits, and few for its length", () => {
  const keys = ["host", "port", "databaseUrl", "dataDir", "callback"]
  for (const [written, meant] of [
    ["prot", "port"],
    ["Port", "port"],
    ["callbak", "callback"],
    ["database_url", "databaseUrl"]
  ] as const) {
    expect(nearestKey(written, keys)).toBe(meant)
  }
  for (const written of ["", "x", "colour", "x".repeat(1_000_000)]) expect(nearestKey(written, keys)).toBeUndefined()
})
