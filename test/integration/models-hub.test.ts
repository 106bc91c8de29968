/** `hf:`: a pretend hub, asked as the real one documents its API. */
import { readFileSync } from "node:fs"
import { basename } from "node:path"
import { Redacted } from "effect"
import { expect, test } from "vitest"
import { type FileServer, startFileServer } from "./file-server.ts"
import { emptyDir } from "./main-process.ts"
import { pullHere, sha256Of } from "./models-bench.ts"

const revision = "0123456789abcdef0123456789abcdef01234567"
const secret = "hf_thistokenisasecret"

interface Entry {
  readonly path: string
  readonly size?: number
  readonly oid?: string
  readonly type?: string
}

/** Every file of it has the bytes of the server; its listing has two pages. */
async function startHub(entries: ReadonlyArray<Entry>, needsToken = false): Promise<FileServer> {
  const hub = await startFileServer()
  const json = (value: unknown) => JSON.stringify(value)
  const sum = sha256Of(hub.served.bytes)
  const listed = entries.map(({ oid = sum, path, size = hub.served.bytes.length, type = "file" }) => ({
    ...{ type, path, oid: "git", size },
    ...(type === "file" && oid !== "" && { lfs: { oid, size, pointerSize: 135 } })
  }))
  hub.served.instead = ({ headers, url = "" }, response) => {
    if (needsToken && headers.authorization !== `Bearer ${secret}`) {
      response.writeHead(401, { "x-error-code": "GatedRepo" }).end("Access to it is restricted")
    } else if (url === "/api/models/ann/some-GGUF") response.end(json({ id: "ann/some-GGUF", sha: revision }))
    else if (url === `/api/models/ann/some-GGUF/tree/${revision}?recursive=true`) {
      const next = `<${hub.origin}/api/models/ann/some-GGUF/tree/${revision}?recursive=true&cursor=b>; rel="next"`
      response.writeHead(200, { link: next }).end(json(listed.slice(0, 1)))
    } else if (url.endsWith("&cursor=b")) response.end(json(listed.slice(1)))
    else if (url.startsWith(`/ann/some-GGUF/resolve/${revision}/`)) return false
    else response.writeHead(404, { "x-error-code": "RepoNotFound" }).end()
    return true
  }
  return hub
}

const quantisations = ["README.md", "some-Q4_K_M.gguf", "some-Q8_0.gguf", "mmproj-Q8_0.gguf", "big/some-F16.gguf"]
const entries = quantisations.map((path) => ({ path }))

test("the file of a quantisation is chosen, with the sum that the hub says, at one revision", async () => {
  const hub = await startHub(entries)
  for (const [wanted, path] of Object.entries({
    Q4_K_M: "some-Q4_K_M.gguf",
    q8_0: "some-Q8_0.gguf",
    F16: "big/some-F16.gguf",
    "big/some-F16.gguf": "big/some-F16.gguf"
  })) {
    const reference = `hf:ann/some-GGUF:${wanted}`
    const { pulled, reason } = await pullHere({ dataDir: emptyDir(), reference, hub: hub.origin })
    expect([wanted, reason, basename(pulled?.file ?? "")]).toEqual([wanted, "", basename(path)])
    expect(readFileSync(pulled!.file)).toEqual(hub.served.bytes)
    expect(pulled!.record).toMatchObject({ source: `hf:ann/some-GGUF:${path}`, sha256: sha256Of(hub.served.bytes) })
    expect(hub.requests.at(-1)?.path).toBe(`/ann/some-GGUF/resolve/${revision}/${path}`)
  }
})

test("what is here with the sum that the hub says is not fetched again", async () => {
  const hub = await startHub(entries)
  const options = { dataDir: emptyDir(), reference: "hf:ann/some-GGUF:Q8_0", hub: hub.origin }
  await pullHere(options)
  const before = hub.requests.length
  expect(await pullHere(options)).toMatchObject({ pulled: { wasHere: true } })
  expect(hub.requests.length - before).toBe(3)
})

test("what the repository does not have is told with what it has", async () => {
  const hub = await startHub([...entries, { path: "\u001b[2J-Q5_K_M.gguf" }])
  const pullOf = (reference: string) => pullHere({ dataDir: emptyDir(), reference, hub: hub.origin })
  const { reason } = await pullOf("hf:ann/some-GGUF:Q5_K_M")
  expect(reason).toMatch(/has no Q5_K_M\. There is:\n {2}some-Q4_K_M\.gguf {2}48\.8 KiB\n/)
  expect(reason).not.toContain("mmproj")
  expect((await pullOf("hf:ann/some-GGUF")).reason).toContain("more than one")
  expect((await pullOf("hf:ann/nothing:Q8_0")).reason).toMatch(/hf:ann\/nothing cannot be looked up: .*404/)
  const other = await startHub([{ path: "README.md" }, { path: "model.safetensors" }])
  const none = await pullHere({ dataDir: emptyDir(), reference: "hf:ann/some-GGUF:Q8_0", hub: other.origin })
  expect(none.reason).toContain("has no GGUF file")
})

test("a file in parts is refused, and what is whole is told", async () => {
  const parts = [1, 2].map((part) => ({ path: `Q8_0/some-Q8_0-0000${part}-of-00002.gguf` }))
  const hub = await startHub([...parts, { path: "some-Q4_0.gguf" }])
  const reference = "hf:ann/some-GGUF:Q8_0"
  const { reason } = await pullHere({ dataDir: emptyDir(), reference, hub: hub.origin })
  expect(reason).toMatch(/has Q8_0 in 2 parts, and files in parts are not pulled.*\n.*\n.*\n {2}some-Q4_0\.gguf/)
})

test("a listing that does not fit its file is noticed: another size, another sum", async () => {
  const reference = "hf:ann/some-GGUF"
  const sizes = await startHub([{ path: "some-Q8_0.gguf", size: 49_999 }])
  expect((await pullHere({ dataDir: emptyDir(), reference, hub: sizes.origin })).reason).toContain("50000 bytes")
  const sums = await startHub([{ path: "some-Q8_0.gguf", oid: "1".repeat(64) }])
  expect((await pullHere({ dataDir: emptyDir(), reference, hub: sums.origin })).reason).toContain("SHA-256")
  const asked = await pullHere({ dataDir: emptyDir(), reference, hub: sums.origin, sha256: "2".repeat(64) })
  expect(asked.reason).toContain("Nothing was fetched")
})

test("a model that wants a login says HF_TOKEN, and opens with it", async () => {
  const hub = await startHub(entries, true)
  const options = { dataDir: emptyDir(), reference: "hf:ann/some-GGUF:Q8_0", hub: hub.origin }
  expect((await pullHere(options)).reason).toMatch(/401.*Set HF_TOKEN/)
  expect((await pullHere({ ...options, token: Redacted.make("hf_wrong") })).reason).toContain("does not open this")
  const { pulled } = await pullHere({ ...options, token: Redacted.make(secret) })
  expect(pulled?.record.sizeBytes).toBe(50_000)
})

test("a server that is no hub is told from one", async () => {
  const server = await startFileServer()
  const { reason } = await pullHere({ dataDir: emptyDir(), reference: "hf:a/b:Q8_0", hub: server.origin })
  expect(reason).toContain("Check HF_ENDPOINT")
})
