/** What the image holds, run as an engine would run it: no engine is here, but what it asks of the kernel is. */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, onTestFinished, test } from "vitest"
import { exitCodes } from "../../src/cli/exit-codes.ts"
import { expressions } from "../unit/monitoring-files.ts"
import { askedBy } from "../unit/promql.ts"
import { pageStatus } from "./front-door.ts"
import { type ImageTree, layOut } from "./image-tree.ts"
import { startSealed, unsealable } from "./sealed-process.ts"

if (unsealable !== undefined) process.stderr.write(`SKIPPED: the image's files are not run: ${unsealable}.\n`)
const sealed = test.skipIf(unsealable !== undefined)

const token = "a-token-of-an-image"
/** On a busy machine the parts take a minute each. */
const testMaxMs = 300_000

function image(secrets: Readonly<Record<string, string>>): { readonly tree: ImageTree; readonly data: string } {
  const dir = mkdtempSync(join(tmpdir(), "parley-image-"))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
  chmodSync(dir, 0o755)
  mkdirSync(join(dir, "data"))
  return { tree: layOut(join(dir, "root"), secrets), data: join(dir, "data") }
}

sealed(
  "without rights and on a read-only root it comes to ready, is healthy, and ends with 0",
  { timeout: testMaxMs },
  async () => {
    const { data, tree } = image({ PARLEY_TOKEN: `${token}\n` })
    const parley = startSealed(tree, data, { env: { PORT: "0" } })
    const address = (await parley.ready()).replace("0.0.0.0", "127.0.0.1")
    const get = (path: string, headers: Record<string, string> = {}) =>
      fetch(`${address}${path}`, { headers, redirect: "manual" })
    const bearer = { authorization: `Bearer ${token}` }
    expect((await get("/health/live")).status).toBe(200)
    await expect.poll(async () => (await get("/health/ready")).status, { timeout: 60_000 }).toBe(200)
    const parts = { database: "up", model: "up", channels: "up" }
    expect(await (await get("/health/ready")).json()).toEqual({ ready: true, durability: "strict", parts })
    const detailed = await (await get("/health/ready", bearer)).json()
    expect(detailed).toMatchObject({ parts: { "web/chat": "up" }, models: [{ name: "built-in" }] })
    expect([(await get("/v1/models")).status, (await get("/v1/models", bearer)).status]).toEqual([401, 200])
    expect((await get("/", bearer)).status).toBe(pageStatus)

    const health = (port: string) => parley.exec(tree.health, { PORT: port })
    expect(health(new URL(address).port)).toMatchObject({ code: 0, output: expect.stringContaining('"ready":true') })
    expect(health("9")).toMatchObject({ code: 1, output: expect.stringContaining("does not answer") })
    const status = parley.exec(["cat", "/proc/1/status"]).output
    expect(status).toMatch(/^Name:\s+(node|MainThread)$/m)
    expect(status).toMatch(new RegExp(`^Uid:\\s+${tree.uid}\\s`, "m"))
    for (const set of ["CapEff", "CapPrm", "CapBnd"]) expect(status).toMatch(new RegExp(`^${set}:\\s+0+$`, "m"))
    for (const folder of ["/app", "/etc", "/"]) {
      expect(parley.exec(["touch", `${folder}/new`]).output).toContain("Read-only file system")
    }
    expect(readdirSync(join(data, "var/log/ai-assistant"))).toEqual([expect.stringMatching(/^parley-.*\.jsonl$/)])

    const metrics = await (await get("/metrics", bearer)).text()
    const types = new Map([...metrics.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name!, type!]))
    expect(types.size).toBeGreaterThan(10)
    // Prometheus' own.
    types.set("up", "gauge")
    const asked = expressions.map(({ expr, where }) => ({ where, ...askedBy(expr) }))
    const typeOf = (name: string) => {
      const family = name.replace(/_(bucket|sum|count)$/, "")
      return types.get(family) === "histogram" && family !== name ? "counter" : types.get(name)
    }
    const unknown = asked.flatMap(({ metrics: names, where }) =>
      names.filter((name) => typeOf(name) === undefined).map((name) => `${where}: there is no metric ${name}`)
    )
    expect(unknown).toEqual([])
    const gauges = asked.flatMap(({ grown }) => grown.filter((name) => typeOf(name) !== "counter"))
    expect(gauges).toEqual([])

    parley.signal("SIGTERM")
    expect(await parley.ended, parley.output()).toBe(exitCodes.ok)
  }
)

sealed("without a token it refuses to start, and says what sets one", async () => {
  const { data, tree } = image({})
  const parley = startSealed(tree, data)
  expect(await parley.ended, parley.output()).toBe(exitCodes.config)
  expect(parley.output()).toContain("PARLEY_TOKEN")
})
