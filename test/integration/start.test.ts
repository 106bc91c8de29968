/** What an operator can get wrong: each time a plain message with the mend, a proper exit code and no stack trace. */

import { writeFileSync } from "node:fs"
import type { AddressInfo } from "node:net"
import { createServer } from "node:net"
import { join } from "node:path"
import { it } from "@effect/vitest"
import { Effect } from "effect"
import pg from "pg"
import { expect, onTestFinished, test } from "vitest"
import { emptyDir, startMain } from "./main-process.ts"
import { startModelServer } from "./model-server.ts"
import { withDatabase } from "./postgres.ts"

const secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
const channel = `channels:
  - kind: webhook
    account: demo
    secret: \${DEMO_SECRET}
    callback: http://127.0.0.1:9/replies
`
const noModel = { PARLEY_MODEL: "http://127.0.0.1:9/v1" }

/** It ends by itself with that code, and says all of `words` without a stack trace. */
async function refuses(started: ReturnType<typeof startMain>, code: number, ...words: ReadonlyArray<string>) {
  expect(await started.ended, started.output()).toBe(code)
  for (const word of words) expect(started.output()).toContain(word)
  expect(started.output()).not.toMatch(/^\s+at .*:\d+:\d+/m)
}

test("an unknown key is refused with the nearest known one", async () => {
  const yaml = channel.replace("callback:", "callbak:")
  await refuses(startMain({ yaml, env: { DEMO_SECRET: secret } }), 78, "callbak", "callback", "parley.yaml:5")
})

test("a missing secret is refused by the name of its variable", async () => {
  await refuses(startMain({ yaml: channel }), 78, "DEMO_SECRET", "parley.yaml:4")
})

test("an address that others reach is refused without a token", async () => {
  await refuses(startMain({ env: { HOST: "0.0.0.0" } }), 78, "PARLEY_TOKEN")
})

it.live("a port in use is refused, and what was started is stopped", () =>
  Effect.gen(function* () {
    const url = yield* withDatabase
    yield* Effect.promise(async () => {
      const other = createServer().listen(0, "127.0.0.1")
      onTestFinished(() => void other.close())
      await new Promise((resolve) => other.once("listening", resolve))
      const { port } = other.address() as AddressInfo
      const env = { ...noModel, DATABASE_URL: url, PORT: String(port) }
      await refuses(startMain({ env }), 1, `Port ${port}`, "in use", `PORT=${port + 1}`)
    })
  })
)

test("a data directory that cannot be written is refused", async () => {
  await refuses(startMain({ env: { ...noModel, PARLEY_DATA: "/proc/parley" } }), 1, "/proc/parley")
  const file = join(emptyDir(), "file")
  writeFileSync(file, "")
  await refuses(startMain({ env: { ...noModel, PARLEY_DATA: file } }), 1, file)
})

it.live("a missing model, and a file that is none, are refused by name", () =>
  Effect.gen(function* () {
    const url = yield* withDatabase
    yield* Effect.promise(async () => {
      const dir = emptyDir()
      const missing = join(dir, "missing.gguf")
      await refuses(startMain({ env: { DATABASE_URL: url, PARLEY_MODEL: missing } }), 1, missing)
      const garbled = join(dir, "garbled.gguf")
      writeFileSync(garbled, `GGUF${"x".repeat(4096)}`)
      await refuses(startMain({ env: { DATABASE_URL: url, PARLEY_MODEL: garbled } }), 1, garbled)
    })
  })
)

test("a database that is not there is refused, without its password", async () => {
  const env = { ...noModel, DATABASE_URL: "postgres://someone:hunter2@127.0.0.1:9/none" }
  const started = startMain({ env })
  await refuses(started, 1, "PostgreSQL does not answer")
  expect(started.output()).not.toContain("hunter2")
})

it.live("I1: a database that may lose what it acknowledged is refused, unless durability is relaxed", () =>
  Effect.gen(function* () {
    const url = yield* withDatabase
    yield* Effect.promise(async () => {
      const client = new pg.Client({ connectionString: url })
      await client.connect()
      await client.query(`alter database ${new URL(url).pathname.slice(1)} set synchronous_commit = off`)
      await client.end()
      const env = { ...noModel, DATABASE_URL: url }
      await refuses(startMain({ env }), 1, "synchronous_commit", "durability: relaxed")
      const relaxed = startMain({ env, yaml: "durability: relaxed\n" })
      const health = await (await fetch(`${await relaxed.ready()}/health/ready`)).json()
      expect(health).toMatchObject({ durability: "relaxed", parts: { database: "up" } })
    })
  })
)

it.live("a second Parley on the same data directory is refused in plain words", () =>
  Effect.promise(async () => {
    const model = await startModelServer()
    onTestFinished(() => model.close())
    const dir = emptyDir()
    const env = { PARLEY_MODEL: model.url }
    const first = startMain({ dir, env })
    await first.ready()
    await refuses(startMain({ dir, env }), 1, String(first.child.pid))
    first.child.kill("SIGTERM")
    expect(await first.ended, first.output()).toBe(0)
  })
)

it.live("SIGTERM ends it with 0, also in the middle of its start", () =>
  Effect.gen(function* () {
    const url = yield* withDatabase
    yield* Effect.promise(async () => {
      const started = startMain({ env: { ...noModel, DATABASE_URL: url } })
      await started.ready()
      started.child.kill("SIGTERM")
      expect(await started.ended, started.output()).toBe(0)
      const early = startMain({ dir: emptyDir(), env: noModel })
      await new Promise((resolve) => early.child.stdout?.once("data", resolve))
      early.child.kill("SIGTERM")
      expect(await early.ended, early.output()).toBe(0)
    })
  })
)
