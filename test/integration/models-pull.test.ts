/** `parley models pull` as a process: killed, interrupted, twice at once, on a full disk. */
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect, onTestFinished, test } from "vitest"
import { type FileServer, modelBytes, startFileServer } from "./file-server.ts"
import { emptyDir, startMain } from "./main-process.ts"
import { sha256Of } from "./models-bench.ts"
import { until } from "./parley-process.ts"

const secret = "hf_thistokenisasecret"
const partOf = (dir: string) => join(dir, ".parley/models/model.gguf.part")
const fileOf = (dir: string) => join(dir, ".parley/models/model.gguf")
const sizeOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.size ?? 0

const startPull = (dir: string, reference: string, env: Record<string, string> = {}) =>
  startMain({ dir, env, typed: ["models", "pull", reference] })

/** Two to three seconds of bytes, and a pull that has some of them. */
async function halfPulled(server: FileServer, dir = emptyDir()) {
  const started = startPull(dir, server.url)
  await until(() => sizeOf(partOf(dir)) > 500_000)
  return { dir, started }
}

const slowServer = () => startFileServer({ bytes: modelBytes(4_000_000), pieceBytes: 32_768, delayMs: 20 })

async function pullsTheRest(server: FileServer, dir: string) {
  server.served.delayMs = 0
  const hadBytes = sizeOf(partOf(dir))
  const again = startPull(dir, server.url)
  expect(await again.ended, again.output()).toBe(0)
  expect(again.output()).toContain("Going on after")
  expect(server.requests.at(-1)?.headers.range).toBe(`bytes=${hadBytes}-`)
  expect(readFileSync(fileOf(dir))).toEqual(server.served.bytes)
  expect(readdirSync(join(dir, ".parley/models")).sort()).toEqual(["model.gguf", "model.gguf.json"])
}

test("after kill -9 the same command goes on where it was", async () => {
  const server = await slowServer()
  const { dir, started } = await halfPulled(server)
  started.child.kill("SIGKILL")
  await started.ended
  expect(existsSync(fileOf(dir))).toBe(false)
  await pullsTheRest(server, dir)
  const record = JSON.parse(readFileSync(`${fileOf(dir)}.json`, "utf8"))
  const { bytes } = server.served
  expect(record).toMatchObject({ source: server.url, sizeBytes: bytes.length, sha256: sha256Of(bytes) })
  expect(record.pulledAt).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/)
})

test("Ctrl-C ends with 130, SIGTERM with 143; the part is kept, and how to go on is said", async () => {
  const server = await slowServer()
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143]
  ] as const) {
    const { dir, started } = await halfPulled(server)
    started.child.kill(signal)
    expect(await started.ended, started.output()).toBe(code)
    expect(started.output()).toMatch(/Stopped\. What has come is kept, .*: type the same again to go on\./)
    if (signal === "SIGINT") await pullsTheRest(server, dir)
    server.served.delayMs = 20
  }
})

test("of two pulls of the same file the second is refused, and told who has it", async () => {
  const server = await slowServer()
  const { dir, started } = await halfPulled(server)
  const second = startPull(dir, server.url)
  expect(await second.ended).toBe(1)
  expect(second.output()).toContain(`is being pulled already, by process ${started.child.pid}`)
  server.served.delayMs = 0
  expect(await started.ended, started.output()).toBe(0)
  expect(readFileSync(fileOf(dir))).toEqual(server.served.bytes)
})

test("what it says goes to the right place, with the exit code, and never has the token in it", async () => {
  const dir = emptyDir()
  const server = await startFileServer()
  const env = { HF_TOKEN: secret, HF_ENDPOINT: server.origin }
  const done = startPull(dir, server.url, env)
  expect(await done.ended, done.output()).toBe(0)
  expect(done.output()).toMatch(/100 % {2}48\.8 KiB of 48\.8 KiB/)
  expect(done.output()).toContain(`SHA-256 ${sha256Of(server.served.bytes)}`)
  expect(server.requests[0]?.headers.authorization).toBe(`Bearer ${secret}`)
  server.served.instead = (_, response) => {
    response.writeHead(401).end()
    return true
  }
  for (const [code, reference, more] of [
    [1, "hf:a/b:Q8_0", {}],
    [1, server.url.replace("model", "other"), {}],
    [2, "nonsense", {}],
    [78, "hf:a/b:Q8_0", { HF_ENDPOINT: "http://example.org" }],
    [78, "hf:a/b:Q8_0", { HF_TOKEN: `${secret}\u00e9` }]
  ] as const) {
    const refused = startPull(dir, reference, { ...env, ...more })
    expect([reference, await refused.ended]).toEqual([reference, code])
    expect(refused.output()).toMatch(/^parley models: .+\.\n$/)
    expect(done.output() + refused.output()).not.toContain(secret)
  }
})

test("where the data directory cannot be written it says so", async () => {
  const server = await startFileServer()
  const dir = emptyDir()
  writeFileSync(join(dir, "file"), "")
  const refused = startPull(dir, server.url, { PARLEY_DATA: join(dir, "file") })
  expect([await refused.ended, refused.output()]).toEqual([1, expect.stringContaining("a file is in the place of")])
})

const canMount = process.getuid?.() === 0 && mounted(emptyFolder(), "1m")
if (!canMount) process.stderr.write("SKIPPED: a full disk, as this user may not mount one\n")

test.runIf(canMount)("a full disk is told before the first byte, with what is needed", async () => {
  const server = await startFileServer()
  const dir = emptyDir()
  mkdirSync(join(dir, ".parley"))
  mount(join(dir, ".parley"), "50m")
  const refused = startPull(dir, server.url)
  expect([await refused.ended, refused.output()]).toEqual([1, expect.stringMatching(/There is no room .*48\.8 KiB/)])
})

test.runIf(canMount)(
  "a disk that fills up in the middle keeps what came, and it goes on when there is room",
  async () => {
    const server = await slowServer()
    const dir = emptyDir()
    mkdirSync(join(dir, ".parley"))
    mount(join(dir, ".parley"), "110m")
    const { started } = await halfPulled(server, dir)
    const others = join(dir, ".parley/others")
    execFileSync("sh", ["-c", `head -c 200m /dev/zero > ${others} || true`], { stdio: "ignore" })
    expect(await started.ended, started.output()).toBe(1)
    expect(started.output()).toMatch(/the disk is full\. What has come is kept, .*make room/)
    rmSync(others)
    await pullsTheRest(server, dir)
  }
)

function emptyFolder(): string {
  const dir = join("/tmp", `parley-mount-${process.pid}`)
  mkdirSync(dir, { recursive: true })
  return dir
}

function mounted(dir: string, size: string): boolean {
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", dir], { stdio: "ignore" })
    execFileSync("umount", [dir])
    return true
  } catch {
    return false
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

/** A small disk of its own over the directory. */
function mount(dir: string, size: string) {
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size},mode=755`, "tmpfs", dir])
  onTestFinished(() => void execFileSync("umount", ["--lazy", dir]))
}
