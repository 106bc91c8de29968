/** Planted in configuration, port, data directory and channels: doctor finds each of it, and nothing else. */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs"
import { type AddressInfo, createServer } from "node:net"
import { join } from "node:path"
import { expect, onTestFinished, test } from "vitest"
import { writeRandomModel } from "../../models/random-model.ts"
import { answering, channel, examine, expectOnly, healthyModel, passableDir } from "./doctor-bench.ts"
import { emptyDir, startMain } from "./main-process.ts"

const hourMs = 3_600_000

test("on a healthy one it is silent, and leaves nothing behind", async () => {
  const callback = await answering((_, response) => response.writeHead(404).end())
  const env = await healthyModel()
  const { code, faults, of } = await examine({ env, yaml: channel(`${callback}/replies`) })
  expect({ code, faults }).toEqual({ code: 0, faults: [] })
  for (const id of ["config", "versions", "port", "token", "data", "disk", "database", "callback", "model.server"]) {
    expect([id, of(id)?.level]).toEqual([id, "ok"])
  }
})

test("an unknown key is found, with the known ones, and the rest waits for it", async () => {
  const yaml = "limits:\n  inboxMx: 3\n"
  const report = await examine({ env: await healthyModel(), yaml })
  expectOnly(report, "config.wrong", "inboxMx", "did you mean `inboxMax`?", "parley.yaml:2", "docs/parley.schema.json")
  expect(report.of("config.unchecked")?.level).toBe("note")
  expect(report.of("versions")?.level).toBe("ok")
})

test("a short token is found, and that people will use a name", async () => {
  const report = await examine({ env: { ...(await healthyModel()), HOST: "0.0.0.0", PARLEY_TOKEN: "hunter2" } })
  expectOnly(report, "token.short", "openssl rand")
  expect(report.of("hosts.none")).toMatchObject({ level: "note", mend: expect.stringContaining("allowedHosts") })
})

test("a port that another program has is found", async () => {
  const other = createServer((socket) => socket.end("SSH-2.0-x\r\n")).listen(0, "127.0.0.1")
  onTestFinished(() => void other.close())
  await new Promise((resolve) => other.once("listening", resolve))
  const { port } = other.address() as AddressInfo
  const report = await examine({ env: { ...(await healthyModel()), PORT: `${port}` } })
  expectOnly(report, "port.taken", "no Parley", `sport = :${port}`, `PORT=${port + 1}`)
  expectOnly(
    await examine({
      env: { ...(await healthyModel()), HOST: "192.0.2.1", PARLEY_TOKEN: "x".repeat(20) }
    }),
    "port.no-address",
    "HOST=127.0.0.1"
  )
})

test("a running server is asked, and its database through its address; another one has the port", async () => {
  const dir = passableDir()
  const env = { ...(await healthyModel()), PORT: "0" }
  const server = startMain({ dir, env })
  const port = new URL(await server.ready()).port
  const { code, faults, of } = await examine({ dir, env: { ...env, PORT: port } })
  expect({ code, faults }).toEqual({ code: 0, faults: [] })
  expect(of("port")?.saw).toContain("A Parley answers")
  expect(of("server")?.saw).toContain("database, model, web/chat: up")
  expect(of("database")?.saw).toMatch(/The built-in PostgreSQL \(pid \d+\): version 18/)
  expect(of("database.schema")?.level).toBe("ok")
  expect((await examine({ dir, env })).of("port.elsewhere")?.saw).toContain(`pid ${server.child.pid}`)
  expectOnly(await examine({ env: { ...env, PORT: port } }), "port.another-parley", `PORT=${Number(port) + 1}`)
  expect((await fetch(`http://127.0.0.1:${port}/health/ready`)).status).toBe(200)
})

test("a data directory that cannot be written, and one that others read, are found", async () => {
  const env = await healthyModel()
  expectOnly(
    await examine({ env: { ...env, PARLEY_DATA: "/proc/parley" } }),
    "data.unwritable",
    "/proc/parley",
    "PARLEY_DATA"
  )
  const dir = emptyDir()
  const open = join(dir, "open")
  mkdirSync(open)
  chmodSync(open, 0o755)
  expectOnly(await examine({ env: { ...env, PARLEY_DATA: open } }), "data.open", "mode 755", `chmod go-rw ${open}`)
  const file = join(dir, "file")
  writeFileSync(file, "")
  const { code, faults } = await examine({ env: { ...env, PARLEY_DATA: file } })
  expect({ code, faults }).toEqual({ code: 1, faults: ["data.unwritable", "database.unreadable"] })
  expectOnly(await examine({ env, yaml: `logs:\n  dir: ${file}\n` }), "logs.unwritable", file, "logs.dir")
})

test("a clock that is an hour off is found, whichever way, and nothing is posted", async () => {
  const env = await healthyModel()
  const methods: Array<string | undefined> = []
  for (const [offMs, words] of [
    [hourMs, "behind"],
    [-hourMs, "ahead of"]
  ] as const) {
    const callback = await answering((request, response) => {
      methods.push(`${request.method} ${request.url}`)
      const nowMs = performance.timeOrigin + performance.now()
      response.writeHead(200, { date: new Date(nowMs + offMs).toUTCString() }).end()
    })
    expectOnly(await examine({ env, yaml: channel(`${callback}/replies`) }), "clock.skew", words, "timedatectl", "401")
  }
  expect(methods).toEqual(["HEAD /", "HEAD /"])
})

test("what a running server says of itself is told on, and the model is not measured while it answers", async () => {
  const file = join(emptyDir(), "model.gguf")
  await writeRandomModel(file)
  let parts: Record<string, string> = { database: "up", model: "up", "web/chat": "up" }
  const server = await answering((request, response) => {
    const isRight = request.headers.authorization === `Bearer ${token}`
    if (request.url === "/health/ready") response.end(JSON.stringify({ ready: true, durability: "strict", parts }))
    else if (request.url !== "/metrics" || !isRight) response.writeHead(401).end()
    else response.end(`# TYPE x gauge\n${samples.join("\n")}\n`)
  })
  const env = { PARLEY_MODEL: file, PARLEY_TOKEN: token, PORT: new URL(server).port, DATABASE_URL: noDatabase }
  const busy = await examine({ env })
  expect(busy.faults).toEqual(["server.dead-letters", "database.unreachable"])
  expect(busy.of("server.dead-letters")?.figures).toEqual({ deadLetters: 3 })
  expect(busy.of("server.load")?.saw).toBe("4 turns wait for the model, 5 replies are due.")
  expect(busy.of("model.unmeasured")?.saw).toContain("answering 2 turns")
  parts = { database: "the server closed the connection", model: "it is being loaded", "webhook/demo": "up" }
  const other = await examine({ env: { ...env, PARLEY_TOKEN: "another-token-of-ours" } })
  expect(other.faults).toEqual(["server.database", "database.unreachable"])
  expect(other.of("server.model")?.level).toBe("note")
  expect(other.of("server.token")?.mend).toContain("PARLEY_TOKEN")
})

const token = "a-token-that-is-long"
const noDatabase = "postgres://parley:hunter2@127.0.0.1:9/parley"
const samples = [
  "parley_dead_letters_open 3",
  "parley_turns_waiting 4",
  "parley_outbox_due 5",
  'parley_delivery_attempts_total{account="demo",result="ok"} 7',
  "parley_turns_running 2"
]
