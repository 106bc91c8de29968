/** The page as a browser gets it: encodings, what it has already, and names that lead nowhere. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { brotliDecompressSync, gunzipSync } from "node:zlib"
import { expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"
import { onTestFinished } from "vitest"
import { pageRoutes } from "../../src/http/page-route.ts"
import { type NoPage, readStaticFiles, type StaticFiles } from "../../src/http/static-files.ts"

const script = "export const words = 'one and two and three'\n".repeat(100)
const built = {
  "index.html": "<!doctype html><title>Parley</title>",
  "favicon.svg": "<svg/>",
  "assets/index-BxK1.js": script,
  "assets/face-9f.woff2": "x".repeat(5000)
}

function dirWith(files: Readonly<Record<string, string | Uint8Array>>): string {
  const dir = mkdtempSync(join(tmpdir(), "parley-page-"))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true })
    writeFileSync(join(dir, name), content)
  }
  return dir
}

type Ask = (path: string, headers?: Record<string, string>, method?: string) => Effect.Effect<Answer>
interface Answer {
  readonly status: number
  readonly headers: Record<string, string>
  readonly bytes: Buffer
}

const serving = (page: StaticFiles | NoPage): Ask => {
  const { dispose, handler } = HttpRouter.toWebHandler(Layer.mergeAll(Layer.empty, ...pageRoutes(page)), {
    disableLogger: true
  })
  onTestFinished(dispose)
  return (path, headers = {}, method = "GET") =>
    Effect.promise(async () => {
      const answer = await handler(new Request(`http://localhost${path}`, { headers, method }))
      const bytes = Buffer.from(await answer.arrayBuffer())
      return { status: answer.status, headers: Object.fromEntries(answer.headers), bytes }
    })
}
const servingBuilt = Effect.suspend(() => Effect.map(readStaticFiles(dirWith(built)), serving))

it.effect("the page is asked for again each time, an asset never", () =>
  Effect.gen(function* () {
    const ask = yield* servingBuilt
    for (const path of ["/", "/index.html", "/?conversation=1"]) {
      const page = yield* ask(path)
      expect(page).toMatchObject({
        status: 200,
        headers: { "cache-control": "no-cache", "content-type": "text/html; charset=utf-8", vary: "accept-encoding" }
      })
      expect(page.bytes.toString()).toBe(built["index.html"])
    }
    const asset = yield* ask("/assets/index-BxK1.js")
    expect(asset).toMatchObject({
      status: 200,
      headers: {
        "cache-control": "public, max-age=31536000, immutable",
        "content-type": "text/javascript; charset=utf-8"
      }
    })
    expect((yield* ask("/favicon.svg")).headers["content-type"]).toBe("image/svg+xml")
    expect((yield* ask("/assets/face-9f.woff2")).headers["content-type"]).toBe("font/woff2")
  })
)

it.effect("a file is encoded as the browser likes it best, and only when that saves something", () =>
  Effect.gen(function* () {
    const ask = yield* servingBuilt
    const encodingOf = (accepted: string, path = "/assets/index-BxK1.js") =>
      Effect.map(ask(path, { "accept-encoding": accepted }), ({ headers }) => headers["content-encoding"])
    for (const [accepted, encoding] of [
      ["gzip, deflate, br, zstd", "br"],
      ["GZIP", "gzip"],
      ["*", "br"],
      ["br;q=0.5, gzip", "gzip"],
      ["br; q=0, gzip;q=0.1", "gzip"],
      ["br;q=0, *", "gzip"],
      ["br;q=nonsense", undefined],
      ["deflate, identity", undefined],
      ["", undefined]
    ] as const) {
      expect([accepted, yield* encodingOf(accepted)]).toEqual([accepted, encoding])
    }
    expect(yield* encodingOf("br", "/")).toBeUndefined()
    expect(yield* encodingOf("br", "/assets/face-9f.woff2")).toBeUndefined()
    for (const [accepted, decode] of [
      ["br", brotliDecompressSync],
      ["gzip", gunzipSync]
    ] as const) {
      const { bytes, headers } = yield* ask("/assets/index-BxK1.js", { "accept-encoding": accepted })
      expect(decode(bytes).toString()).toBe(script)
      expect(headers["content-length"]).toBe(String(bytes.length))
      expect(bytes.length).toBeLessThan(script.length / 10)
    }
  })
)

it.effect("what the browser has is not sent again, in the encoding in which it has it", () =>
  Effect.gen(function* () {
    const ask = yield* servingBuilt
    const etagOf = (headers: Record<string, string>) =>
      Effect.map(ask("/assets/index-BxK1.js", headers), (answer) => answer.headers["etag"] ?? "")
    const plain = yield* etagOf({})
    const br = yield* etagOf({ "accept-encoding": "br" })
    expect(new Set([plain, br, yield* etagOf({ "accept-encoding": "gzip" })]).size).toBe(3)
    const known = (tags: string, accepted = "") =>
      Effect.map(
        ask("/assets/index-BxK1.js", { "if-none-match": tags, "accept-encoding": accepted }),
        ({ bytes, headers, status }) => [status, bytes.length > 0, headers["vary"]]
      )
    expect(yield* known(plain)).toEqual([304, false, "accept-encoding"])
    expect(yield* known(`"x", W/${plain}`)).toEqual([304, false, "accept-encoding"])
    expect(yield* known("*")).toEqual([304, false, "accept-encoding"])
    expect(yield* known(br, "br")).toEqual([304, false, "accept-encoding"])
    expect(yield* known(br)).toEqual([200, true, "accept-encoding"])
    expect(yield* known('"x"')).toEqual([200, true, "accept-encoding"])
  })
)

it.effect("HEAD is GET without the body, other methods are told which", () =>
  Effect.gen(function* () {
    const ask = yield* servingBuilt
    const head = yield* ask("/assets/index-BxK1.js", {}, "HEAD")
    expect([head.status, head.bytes.length, head.headers["content-length"]]).toEqual([200, 0, String(script.length)])
    for (const path of ["/", "/assets/index-BxK1.js", "/metrics"]) {
      expect(yield* ask(path, {}, "DELETE")).toMatchObject({ status: 405, headers: { allow: "GET, HEAD" } })
    }
    expect(yield* ask("/login", {}, "PUT")).toMatchObject({ status: 405, headers: { allow: "GET, HEAD, POST" } })
    expect((yield* ask("/nothing", {}, "DELETE")).status).toBe(404)
  })
)

it.effect("no name leads out of the folder", () =>
  Effect.gen(function* () {
    const dir = dirWith({ "secret.txt": "secret", ...Object.fromEntries(inFolder("dist", built)) })
    const ask = serving(yield* readStaticFiles(join(dir, "dist")))
    const paths = ["/../secret.txt", "/assets/../../secret.txt", "/..%2fsecret.txt", "/%2e%2e/secret.txt", "/.%2e\\x"]
    for (const path of [...paths, "/assets", "/assets/", "//index.html", "/__proto__", "/constructor", "/x%00.js"]) {
      expect([path, (yield* ask(path)).status]).toEqual([path, 404])
    }
  })
)

const inFolder = (folder: string, files: Readonly<Record<string, string>>) =>
  Object.entries(files).map(([name, content]) => [join(folder, name), content] as const)

it.effect("a page that is not built, too large or without a start says so, with the mend", () =>
  Effect.gen(function* () {
    const reasonFor = (dir: string) => Effect.map(Effect.flip(readStaticFiles(dir)), ({ reason }) => reason)
    const notBuilt = expect.stringContaining("npm run web")
    expect(yield* reasonFor("/nowhere/at/all")).toEqual(notBuilt)
    expect(yield* reasonFor(dirWith({ "assets/a.js": "" }))).toEqual(notBuilt)
    const many = Object.fromEntries(Array.from({ length: 201 }, (_, nth) => [`${nth}.js`, ""]))
    expect(yield* reasonFor(dirWith({ ...built, ...many }))).toContain("more than 200 files")
    const large = { "a.js": new Uint8Array(5_000_000), "b.js": new Uint8Array(5_000_000) }
    expect(yield* reasonFor(dirWith({ ...built, ...large }))).toContain("more than 8388608 bytes")
    const ask = serving(yield* Effect.flip(readStaticFiles("/nowhere/at/all")))
    const answer = yield* ask("/")
    expect([answer.status, answer.bytes.toString()]).toEqual([503, expect.stringContaining("npm run web")])
    expect((yield* ask("/assets/index-BxK1.js")).status).toBe(404)
  })
)
