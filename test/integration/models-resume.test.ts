/** D1–D3: whatever is cut where, the bytes are those of the server's file, and it ends. */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import fc from "fast-check"
import { expect, test } from "vitest"
import { modelBytes, startFileServer } from "./file-server.ts"
import { emptyDir } from "./main-process.ts"
import { pullHere, sha256Of } from "./models-bench.ts"

const sizeBytes = 40_000
const older = modelBytes(sizeBytes, 1)
const newer = modelBytes(sizeBytes, 2)

/** How a server says which file it has, before and after it changed. */
const validators = {
  etag: [{ etag: '"one"' }, { etag: '"two"' }],
  date: [{ lastModified: "Sat, 01 Jan 2028 00:00:00 GMT" }, { lastModified: "Sun, 02 Jan 2028 00:00:00 GMT" }],
  weak: [{ etag: 'W/"one"' }, { etag: 'W/"two"' }],
  none: [{}, {}]
} as const

const story = fc.record({
  cuts: fc.array(fc.oneof(fc.nat(sizeBytes), fc.constantFrom(0, 1, 3, 4, 5, sizeBytes - 1)), { maxLength: 5 }),
  ranges: fc.boolean(),
  validator: fc.constantFrom(...(["etag", "date", "weak", "none"] as const)),
  /** Before which connection the file changes. */
  changesAt: fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined }),
  isSumKnown: fc.boolean(),
  /** Each connection by a process of its own, as after a kill. */
  isKilled: fc.boolean(),
  pieceBytes: fc.constantFrom(1_000, 7_919, 65_536)
})

test("D1, D2: wherever connections are cut, what is whole has the bytes of one file of the server", async () => {
  const dir = emptyDir()
  let runsSoFar = 0
  const seen = { resumed: 0, begunAnew: 0, refused: 0 }
  await fc.assert(
    fc.asyncProperty(story, async ({ changesAt, cuts, isKilled, isSumKnown, pieceBytes, ranges, validator }) => {
      const [before, after] = validators[validator]
      const dataDir = join(dir, String(runsSoFar++))
      let connections = 0
      const server = await startFileServer({
        ...{ bytes: older, ranges, cuts: [...cuts], pieceBytes, etag: undefined },
        ...before
      })
      server.served.instead = () => {
        if (++connections === changesAt) Object.assign(server.served, { bytes: newer, ...after })
        return false
      }
      const options = {
        dataDir,
        reference: server.url,
        limits: { failuresMax: isKilled ? -1 : 20 },
        ...(isSumKnown && { sha256: sha256Of(older) })
      }
      let outcome = await pullHere(options)
      const runs = isKilled ? cuts.length + 2 : 0
      for (let run = 0; run < runs && outcome.pulled === undefined; run++) outcome = await pullHere(options)
      if (server.requests.some(({ headers }) => headers.range !== undefined)) seen.resumed++
      if (outcome.notes.some((note) => note.includes("begins anew"))) seen.begunAnew++
      const isChanged = server.served.bytes === newer
      if (outcome.pulled === undefined) {
        seen.refused++
        expect([isChanged, isSumKnown, outcome.reason]).toEqual([true, true, expect.stringContaining("SHA-256")])
      } else {
        const { file, record } = outcome.pulled
        const bytes = readFileSync(file)
        expect([sha256Of(older), ...(isChanged ? [sha256Of(newer)] : [])]).toContain(sha256Of(bytes))
        expect(record).toMatchObject({ sizeBytes, sha256: sha256Of(bytes) })
        expect(readdirSync(join(dataDir, "models")).sort()).toEqual(["model.gguf", "model.gguf.json"])
      }
    }),
    { numRuns: 120 }
  )
  for (const [what, times] of Object.entries(seen))
    expect([what, times]).toEqual([what, expect.toSatisfy((n) => n > 2)])
})

test("D3: a server that always cuts where it did is given up, and what came is kept", async () => {
  const server = await startFileServer({ cuts: Array.from({ length: 50 }, () => 0) })
  server.served.cuts[0] = 10_000
  const dataDir = emptyDir()
  const outcome = await pullHere({ dataDir, reference: server.url, limits: { failuresMax: 3 } })
  expect(outcome.reason).toMatch(/4 attempts.*brought nothing further.*9\.77 KiB: type the same again/)
  expect(server.requests.length).toBe(5)
  const part = join(dataDir, "models/model.gguf.part")
  expect(readFileSync(part)).toEqual(server.served.bytes.subarray(0, 10_000))
  server.served.cuts = []
  const { doneBytes, notes, pulled } = await pullHere({ dataDir, reference: server.url })
  expect([notes[0], doneBytes[0]]).toEqual([expect.stringContaining("Going on after the 9.77 KiB"), 10_000])
  expect(readFileSync(pulled!.file)).toEqual(server.served.bytes)
  expect(server.requests.at(-1)?.headers).toMatchObject({ range: "bytes=10000-", "if-range": '"one"' })
  expect(existsSync(part)).toBe(false)
})

test("D3: a server that knows no ranges and always cuts does not go on for ever", async () => {
  const server = await startFileServer({ ranges: false, cuts: Array.from({ length: 50 }, () => 30_000) })
  const outcome = await pullHere({ dataDir: emptyDir(), reference: server.url, limits: { failuresMax: 4 } })
  expect(outcome.reason).toContain("brought nothing further")
  expect(server.requests.length).toBe(6)
})

test("D3: a body that is longer than was said is not taken", async () => {
  const server = await startFileServer()
  server.served.instead = ({ headers }, response) => {
    if (headers.range === undefined) {
      response.writeHead(200, { "content-length": 50_000, etag: '"one"' }).write(server.served.bytes.subarray(0, 100))
      setImmediate(() => setTimeout(() => response.destroy(), 50))
      return true
    }
    response.writeHead(206, { etag: '"one"', "content-range": "bytes 100-49999/50000" })
    response.end(Buffer.alloc(60_000))
    return true
  }
  const outcome = await pullHere({ dataDir: emptyDir(), reference: server.url })
  expect(outcome.reason).toContain("sends more than it said")
})

test("a server that hangs up after its last byte, as those of HTTP/1.0 do, is read to the end", async () => {
  const server = await startFileServer({ bytes: modelBytes(3_000_000) })
  const { bytes } = server.served
  server.served.instead = (_, response) => {
    response.writeHead(200, { "content-length": bytes.length, connection: "close" }).end(bytes)
    return true
  }
  for (let time = 0; time < 5; time++) {
    const { pulled, reason } = await pullHere({ dataDir: emptyDir(), reference: server.url })
    expect([reason, pulled?.record.sha256]).toEqual(["", sha256Of(bytes)])
  }
})
