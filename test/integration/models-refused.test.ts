/** What can go wrong between here and a server: each time a sentence with the mend, and nothing half in its place. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { type AddressInfo, createServer } from "node:net"
import { join } from "node:path"
import { Redacted } from "effect"
import { expect, onTestFinished, test } from "vitest"
import { type FileServer, modelBytes, type Served, startFileServer } from "./file-server.ts"
import { emptyDir } from "./main-process.ts"
import { pullHere, sha256Of } from "./models-bench.ts"

const secret = "hf_thistokenisasecret"

/** Answers with that status, `times` times. */
const status =
  (code: number, headers: Record<string, string> = {}, times = Number.POSITIVE_INFINITY): Served["instead"] =>
  (_, response) => {
    if (times-- <= 0) return false
    response.writeHead(code, headers).end("no")
    return true
  }

async function refused(server: FileServer, more: Partial<Parameters<typeof pullHere>[0]> = {}) {
  const dataDir = emptyDir()
  const outcome = await pullHere({ dataDir, reference: server.url, limits: { failuresMax: 1 }, ...more })
  expect(outcome.pulled).toBe(undefined)
  expect(outcome.reason).not.toContain(secret)
  expect(readdirSync(join(dataDir, "models"))).toEqual([])
  return outcome.reason
}

test("a web page is refused, and the address of a file is told", async () => {
  const instead: Served["instead"] = (_, response) => {
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end("<!doctype html><title>Hi</title>")
    return true
  }
  expect(await refused(await startFileServer({ instead }))).toMatch(/is a web page and not a GGUF file.*\/resolve\//)
})

test("what does not begin with GGUF is refused, however it is called", async () => {
  const bytes = Buffer.from("<!doctype html><title>Hi</title>")
  const server = await startFileServer({ bytes, pieceBytes: 1 })
  expect(await refused(server)).toContain('not a GGUF file: it begins with "<!do')
  expect(await refused(await startFileServer({ bytes: Buffer.alloc(0) }))).toContain("is empty")
})

test("404, 401, 403 and 418 are told at once, with the mend", async () => {
  expect(await refused(await startFileServer({ instead: status(404) }))).toContain("Check the spelling")
  expect(await refused(await startFileServer({ instead: status(418) }))).toContain("418")
  for (const code of [401, 403]) {
    const server = await startFileServer({ instead: status(code) })
    const token = Redacted.make(secret)
    expect(await refused(server)).toContain("logs in to the model hub only")
    expect(await refused(server, { hub: server.origin })).toMatch(/Set HF_TOKEN.*accept them there/)
    expect(await refused(server, { hub: server.origin, token })).toContain("your HF_TOKEN does not open this")
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual([
      undefined,
      undefined,
      `Bearer ${secret}`
    ])
  }
})

test("429 waits as long as it is told to, and not for hours", async () => {
  const server = await startFileServer({ instead: status(429, { "retry-after": "1" }, 1) })
  const begunAt = performance.now()
  const { notes, pulled } = await pullHere({ dataDir: emptyDir(), reference: server.url })
  expect([pulled?.record.sizeBytes, notes]).toEqual([50_000, [expect.stringContaining("429: too many requests")]])
  expect(performance.now() - begunAt).toBeGreaterThan(1_000)
  const busy = await startFileServer({ instead: status(429, { "retry-after": "7200" }) })
  expect(await refused(busy)).toContain("It asks to be left alone for 2 h 00 min")
  expect(busy.requests.length).toBe(1)
})

test("a server with trouble of its own is asked again, so many times", async () => {
  const server = await startFileServer({ instead: status(503, {}, 2) })
  expect((await pullHere({ dataDir: emptyDir(), reference: server.url })).pulled?.record.sizeBytes).toBe(50_000)
  const broken = await startFileServer({ instead: status(500) })
  expect(await refused(broken, { limits: { failuresMax: 3 } })).toMatch(/500: it has trouble.*4 attempts/)
  expect(broken.requests.length).toBe(4)
})

test("without a network it says so at once, and names the address", async () => {
  const dataDir = emptyDir()
  const words = {
    "https://no-such-host.invalid/m.gguf": /no-such-host\.invalid\. Check the network/,
    "http://127.0.0.1:9999/m.gguf": /refused.*127\.0\.0\.1:9999/,
    [await notHttp()]: /cannot be asked \(HPE_/
  }
  for (const [reference, pattern] of Object.entries(words)) {
    expect(await pullHere({ dataDir, reference })).toMatchObject({ reason: expect.stringMatching(pattern), notes: [] })
  }
  const plain = await startFileServer()
  const reference = plain.url.replace("http:", "https:")
  expect((await pullHere({ dataDir, reference })).reason).toMatch(/no secure connection .*NODE_EXTRA_CA_CERTS/)
})

/** The address of somebody who speaks something else. */
async function notHttp(): Promise<string> {
  const server = createServer((socket) => void socket.end("220 mail ready\r\n")).listen(0, "127.0.0.1")
  onTestFinished(() => void server.close())
  await new Promise((resolve) => server.once("listening", resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/m.gguf`
}

test("W2: a server that takes the connection and is silent is given up", async () => {
  const silent = createServer(() => undefined).listen(0, "127.0.0.1")
  onTestFinished(() => void silent.close())
  await new Promise((resolve) => silent.once("listening", resolve))
  const address = silent.address()
  const port = typeof address === "object" ? address?.port : 0
  const reference = `http://127.0.0.1:${port}/m.gguf`
  const first = await pullHere({ dataDir: emptyDir(), reference, limits: { answerMaxMs: 100 } })
  expect(first.reason).toContain("did not answer within 0.1 seconds")
})

test("W2: a body that stops coming is fetched from there on by another connection", async () => {
  const server = await startFileServer()
  let connections = 0
  server.served.instead = (_, response) => {
    if (++connections > 1) return false
    response.writeHead(200, { "content-length": 50_000, etag: '"one"' }).write(server.served.bytes.subarray(0, 20_000))
    return true
  }
  const limits = { silenceMaxMs: 300 }
  const { notes, pulled } = await pullHere({ dataDir: emptyDir(), reference: server.url, limits })
  expect(notes).toEqual([expect.stringContaining("After 19.5 KiB: nothing came for 0.3 seconds")])
  expect(server.requests[1]?.headers.range).toBe("bytes=20000-")
  expect(readFileSync(pulled!.file)).toEqual(server.served.bytes)
})

test("a wrong checksum removes what came, and says both", async () => {
  const server = await startFileServer()
  const sha256 = "0".repeat(64)
  const reason = await refused(server, { sha256 })
  expect(reason).toContain(sha256)
  expect(reason).toContain(sha256Of(server.served.bytes))
  expect(reason).toContain("is removed")
  expect(await pullHere({ dataDir: emptyDir(), reference: server.url, sha256: "abc" })).toMatchObject({ exitCode: 2 })
})

test("the same again fetches nothing; what changed there is fetched, and replaces it", async () => {
  for (const validator of [{}, { etag: undefined, lastModified: "Sat, 01 Jan 2028 00:00:00 GMT" }]) {
    const server = await startFileServer(validator)
    const dataDir = emptyDir()
    const options = { dataDir, reference: `${server.url}?key=not-for-others` }
    const first = await pullHere(options)
    expect(readFileSync(join(dataDir, "models/model.gguf.json"), "utf8")).not.toContain("not-for-others")
    expect(await pullHere(options)).toMatchObject({ pulled: { wasHere: true }, doneBytes: [] })
    const bytes = modelBytes(60_000, 3)
    Object.assign(server.served, { bytes, ...(server.served.etag ? { etag: '"two"' } : { lastModified: "later" }) })
    expect(await pullHere(options)).toMatchObject({ pulled: { wasHere: false, record: { sizeBytes: 60_000 } } })
    expect(readFileSync(first.pulled!.file)).toEqual(bytes)
  }
})

test("a file that did not come from there is nobody's to replace", async () => {
  const server = await startFileServer()
  const dataDir = emptyDir()
  const { pulled } = await pullHere({ dataDir, reference: server.url })
  const other = await startFileServer({ bytes: modelBytes(9_000) })
  expect((await pullHere({ dataDir, reference: other.url })).reason).toMatch(/there already, from .*Move it away/)
  writeFileSync(pulled!.file, "GGUF mine")
  expect((await pullHere({ dataDir, reference: server.url })).reason).toContain("there already, not from there")
  expect(readFileSync(pulled!.file, "utf8")).toBe("GGUF mine")
})

test("W1: a redirect carries the token to the hub's own origin and to no other", async () => {
  const storage = await startFileServer()
  const hub = await startFileServer()
  hub.served.instead = ({ url }, response) => {
    const location = url === "/model.gguf" ? "/moved/model.gguf" : storage.url
    response.writeHead(302, { location }).end()
    return true
  }
  const token = Redacted.make(secret)
  const { pulled } = await pullHere({ dataDir: emptyDir(), reference: hub.url, hub: hub.origin, token })
  expect(pulled?.record.sizeBytes).toBe(50_000)
  expect(hub.requests.map(({ headers }) => headers.authorization)).toEqual([`Bearer ${secret}`, `Bearer ${secret}`])
  expect(storage.requests.map(({ headers }) => headers.authorization)).toEqual([undefined])
})

test("redirects in a circle, and to an address that anybody on the way could change, are refused", async () => {
  const circle = await startFileServer({ instead: status(302, { location: "/model.gguf" }) })
  expect(await refused(circle)).toContain("redirects more than 5 times")
  const open = await startFileServer({ instead: status(302, { location: "http://example.org/model.gguf" }) })
  expect(await refused(open)).toContain("use https")
})

test("what is no reference is refused before anything is asked", async () => {
  const dataDir = join(emptyDir(), "data")
  const wrong = ["", "model", "ftp://x/m.gguf", "hf:model", "hf:a/b/c", "http://example.org/m.gguf", "https://x.org/"]
  for (const reference of [...wrong, "https://me:hunter2@example.org/m.gguf", "https://x.org/..%2fm.gguf"]) {
    const { exitCode, reason } = await pullHere({ dataDir, reference })
    expect([reference, exitCode]).toEqual([reference, 2])
    expect(reason).not.toContain("hunter2")
  }
  expect(existsSync(dataDir)).toBe(false)
})

test("what is compressed, or does not say how large it is, is refused", async () => {
  const instead: Served["instead"] = (_, response) => {
    response.writeHead(200, { "content-type": "application/octet-stream" }).end(modelBytes(100))
    return true
  }
  const server = await startFileServer({ instead })
  expect(await refused(server)).toContain("does not say how large it is")
  const zipped = await startFileServer({ instead: status(200, { "content-encoding": "gzip" }) })
  expect(await refused(zipped)).toContain("comes compressed")
})
