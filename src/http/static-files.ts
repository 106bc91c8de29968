/** The built page, from memory: what is asked for is looked up by its name, and no name leads anywhere else. */
import { createHash } from "node:crypto"
import { readdir, readFile, stat } from "node:fs/promises"
import { join, relative, sep } from "node:path"
import { promisify } from "node:util"
import { brotliCompress, constants, gzip } from "node:zlib"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"

/** The files by their path in the address; `/` is `index.html`. */
export type StaticFiles = ReadonlyMap<string, StaticFile>

interface StaticFile {
  readonly type: string
  readonly cacheControl: string
  readonly etag: string
  readonly bytes: Uint8Array
  readonly encoded: Partial<Record<Encoding, () => Promise<Uint8Array>>>
}

type Encoding = "br" | "gzip"

/** `reason` is a sentence with the mend. */
export class NoPage extends Data.TaggedError("NoPage")<{ readonly reason: string }> {}

const filesMax = 200
const bytesMax = 8 * 1024 * 1024
/** Below it the headers of an encoding cost what it saves. */
const encodedMinBytes = 1024
const assets = "/assets/"

const types: Readonly<Record<string, string>> = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  ico: "image/x-icon",
  jpg: "image/jpeg",
  js: "text/javascript; charset=utf-8",
  json: "application/json",
  map: "application/json",
  png: "image/png",
  svg: "image/svg+xml",
  txt: "text/plain; charset=utf-8",
  wasm: "application/wasm",
  webmanifest: "application/manifest+json",
  webp: "image/webp",
  woff2: "font/woff2"
}
const encodable = /\.(css|html|js|json|map|svg|txt|wasm|webmanifest)$/

/** Where `npm run web` puts the page. */
export const pageDir = join(import.meta.dirname, "../../web/dist")

export const readStaticFiles = Effect.fn("readStaticFiles")(function* (
  dir: string
): Effect.fn.Return<StaticFiles, NoPage> {
  const entries = yield* fromDisk(dir, () => readdir(dir, { recursive: true, withFileTypes: true }))
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  if (paths.length > filesMax) return yield* new NoPage({ reason: `${dir} holds more than ${filesMax} files.` })
  const files = new Map<string, StaticFile>()
  let sizeBytes = 0
  for (const path of paths) {
    sizeBytes += (yield* fromDisk(path, () => stat(path))).size
    if (sizeBytes > bytesMax) return yield* new NoPage({ reason: `${dir} holds more than ${bytesMax} bytes.` })
    const name = `/${relative(dir, path).split(sep).join("/")}`
    files.set(name, fileOf(name, yield* fromDisk(path, () => readFile(path))))
  }
  const index = files.get("/index.html")
  if (index === undefined) return yield* new NoPage({ reason: notBuilt })
  return files.set("/", index)
})

const notBuilt = "The page is not built. Build it with `npm run web`, and start Parley again."

function fromDisk<A>(path: string, read: () => Promise<A>): Effect.Effect<A, NoPage> {
  return Effect.tryPromise({
    try: read,
    catch: (error) => {
      const { code } = error as { readonly code?: string }
      return new NoPage({ reason: code === "ENOENT" ? notBuilt : `${path} cannot be read: ${code ?? String(error)}.` })
    }
  })
}

function fileOf(name: string, bytes: Uint8Array): StaticFile {
  const ending = name.split(".").at(-1) ?? ""
  return {
    type: types[ending] ?? "application/octet-stream",
    // The builder puts a digest into the name of every asset.
    cacheControl: name.startsWith(assets) ? "public, max-age=31536000, immutable" : "no-cache",
    etag: createHash("sha256").update(bytes).digest("base64url").slice(0, 22),
    bytes,
    encoded: encodable.test(name) && bytes.length >= encodedMinBytes ? encodingsOf(bytes) : {}
  }
}

/** Encoded when it is first asked for, and kept: a start should not wait for it. */
function encodingsOf(bytes: Uint8Array): StaticFile["encoded"] {
  return {
    br: once(() => promisify(brotliCompress)(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } })),
    gzip: once(() => promisify(gzip)(bytes, { level: 9 }))
  }
}

function once<A>(make: () => Promise<A>): () => Promise<A> {
  let made: Promise<A> | undefined
  return () => {
    made ??= make()
    return made
  }
}

export const serveFile = Effect.fn("serveFile")(function* (
  file: StaticFile,
  requested: Readonly<Record<string, string | undefined>>
) {
  const encoding = encodingFor(requested["accept-encoding"] ?? "", file)
  const etag = `"${file.etag}${encoding === undefined ? "" : `-${encoding}`}"`
  const headers = { etag, "cache-control": file.cacheControl, vary: "accept-encoding" }
  if (isKnown(requested["if-none-match"], etag)) return HttpServerResponse.empty({ status: 304, headers })
  const encode = encoding === undefined ? undefined : file.encoded[encoding]
  if (encoding === undefined || encode === undefined) {
    return HttpServerResponse.uint8Array(file.bytes, { contentType: file.type, headers })
  }
  const bytes = yield* Effect.promise(encode)
  return HttpServerResponse.uint8Array(bytes, {
    contentType: file.type,
    headers: { ...headers, "content-encoding": encoding }
  })
})

/** RFC 9110 §12.5.3: the heavier wish; of two that are equal, the shorter answer. */
function encodingFor(accepted: string, { encoded }: StaticFile): Encoding | undefined {
  const wishes = new Map(
    accepted.split(",").map((part) => {
      const [name = "", ...parameters] = part
        .trim()
        .toLowerCase()
        .split(/\s*;\s*/)
      const weight = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2) ?? "1"
      return [name, Number(weight) || 0] as const
    })
  )
  const weightOf = (name: string) => wishes.get(name) ?? wishes.get("*") ?? 0
  const offered = (["br", "gzip"] as const).filter((name) => encoded[name] !== undefined && weightOf(name) > 0)
  return offered.reduce<Encoding | undefined>(
    (best, name) => (best === undefined || weightOf(name) > weightOf(best) ? name : best),
    undefined
  )
}

/** RFC 9110 §13.1.2, which compares weakly. */
function isKnown(ifNoneMatch: string | undefined, etag: string): boolean {
  const tags = (ifNoneMatch ?? "").split(",").map((tag) => tag.trim().replace(/^W\//, ""))
  return tags.includes(etag) || tags.includes("*")
}
