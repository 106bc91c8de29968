/** Which file of a Hugging Face repository is meant: asks the hub what there is, and chooses. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { bytesText } from "../quantity.ts"
import type { Wanted } from "./download.ts"
import { ModelTrouble } from "./model-trouble.ts"
import { GetFailed, get, type Hub, nextPiece, type WebLimits, webLimits } from "./web-get.ts"

/** https://huggingface.co/docs/hub/api: GET /api/models/{repo} */
const Repository = Schema.Struct({ sha: Schema.String.check(Schema.isPattern(/^[0-9a-f]{40,64}$/)) })

/** GET /api/models/{repo}/tree/{revision}; `lfs.oid` is the sha256 of a large file. */
const Entries = Schema.Array(
  Schema.Struct({
    type: Schema.String,
    path: Schema.String,
    size: Schema.Int,
    lfs: Schema.optionalKey(Schema.Struct({ oid: Schema.String, size: Schema.Int }))
  })
)

export interface HubFile {
  readonly path: string
  readonly sizeBytes: number
  readonly sha256: string | undefined
}

const answerMaxBytes = 16 * 1024 * 1024
/** Of 1,000 entries each. */
const pagesMax = 20
const listedMax = 30

/** The file of `repo` that `name` means, at the revision of this moment. */
export const findInHub = Effect.fn("findInHub")(
  function* (hub: Hub, repo: string, name: string | undefined, limits: WebLimits = webLimits) {
    const api = `${hub.url.href.replace(/\/$/, "")}/api/models/${repo}`
    const { sha } = yield* ask(hub, new URL(api), Repository, limits)
    const files = yield* filesOf(hub, new URL(`${api}/tree/${sha}?recursive=true`), limits)
    const { path, sha256, sizeBytes } = yield* Effect.fromResult(chooseFile(files, name)).pipe(
      Effect.mapError((reason) => new ModelTrouble({ reason: `${repo} ${reason}` }))
    )
    const way = path.split("/").map(encodeURIComponent).join("/")
    const url = new URL(`${hub.url.href.replace(/\/$/, "")}/${repo}/resolve/${sha}/${way}`)
    return { path, wanted: { url, source: `hf:${repo}:${path}`, sizeBytes, sha256 } satisfies Wanted }
  },
  (found, _hub, repo) =>
    Effect.catchTag(found, "GetFailed", ({ reason }) =>
      Effect.fail(new ModelTrouble({ reason: `hf:${repo} cannot be looked up: ${reason}.` }))
    )
)

const filesOf = Effect.fnUntraced(function* (hub: Hub, first: URL, limits: WebLimits) {
  const files: Array<HubFile> = []
  let url: URL | undefined = first
  for (let page = 0; page < pagesMax && url !== undefined; page++) {
    const { body, link }: Answer = yield* fetchText(hub, url, limits)
    const entries = yield* decoded(Entries, body, url)
    files.push(
      ...entries
        .filter(({ path, type }) => type === "file" && /\.gguf$/i.test(path) && !/\p{C}/u.test(path))
        .map(({ lfs, path, size }) => ({ path, sizeBytes: lfs?.size ?? size, sha256: sha256Of(lfs?.oid) }))
    )
    // A listing that goes on says where (RFC 8288).
    url = URL.parse(/<([^>]+)>;\s*rel="next"/.exec(link)?.[1] ?? "") ?? undefined
  }
  return files
})

const sha256Of = (oid: string | undefined) => (/^[0-9a-f]{64}$/.test(oid ?? "") ? oid : undefined)

/**
 * `name` is a quantisation, which the names of files end with by custom, or the path of a file. Without it the only
 * one is meant. A failure is the end of a sentence that begins with the repository.
 */
export function chooseFile(files: ReadonlyArray<HubFile>, name: string | undefined): Result.Result<HubFile, string> {
  const models = files.filter(({ path }) => !/(^|\/)(mmproj|imatrix)|[-._](mmproj|imatrix)[-._]/i.test(path))
  if (models.length === 0) return Result.fail("has no GGUF file. Look for a repository whose name ends with -GGUF.")
  const exact = models.find(({ path }) => path === name)
  const fitting = exact ? [exact] : models.filter(({ path }) => name === undefined || isOf(path, name))
  const whole = fitting.filter(({ path }) => !part.test(path))
  const list = listed(models)
  if (whole.length === 1) return Result.succeed(whole[0]!)
  if (whole.length > 1)
    return Result.fail(`has more than one file of that kind. Say which, as user/repo:FILE:${listed(whole)}`)
  if (fitting.length > 0) {
    const reason = `has ${name ?? "its model"} in ${fitting.length} parts, and files in parts are not pulled.`
    return Result.fail(`${reason} Take one that is whole:${list}`)
  }
  return Result.fail(`has no ${name}. There is:${list}`)
}

const part = /-\d{5}-of-\d{5}\.gguf$/i

function isOf(path: string, quantisation: string): boolean {
  const name = (path.split("/").at(-1) ?? "").replace(part, ".gguf").toLowerCase()
  const end = `${quantisation.toLowerCase()}.gguf`
  return name === end || ["-", ".", "_"].some((sign) => name.endsWith(sign + end))
}

function listed(files: ReadonlyArray<HubFile>): string {
  const lines = files.slice(0, listedMax).map(({ path, sizeBytes }) => `  ${path}  ${bytesText(sizeBytes)}`)
  const more = files.length > listedMax ? [`  and ${files.length - listedMax} more`] : []
  return ["", ...lines, ...more].join("\n")
}

interface Answer {
  readonly body: string
  readonly link: string
}

const ask = <A>(hub: Hub, url: URL, schema: Schema.Codec<A, unknown>, limits: WebLimits) =>
  Effect.flatMap(fetchText(hub, url, limits), ({ body }) => decoded(schema, body, url))

const decoded = <A>(schema: Schema.Codec<A, unknown>, body: string, url: URL) =>
  Schema.decodeUnknownEffect(Schema.fromJsonString(schema))(body).pipe(
    Effect.mapError(() => {
      const reason = `${url.host} does not answer as the Hugging Face hub does. Check HF_ENDPOINT.`
      return new ModelTrouble({ reason })
    })
  )

const fetchText = Effect.fnUntraced(function* (hub: Hub, url: URL, limits: WebLimits) {
  const answer = yield* get(url, { accept: "application/json" }, hub, limits)
  const pieces: Array<Uint8Array> = []
  for (let bytes = 0; ; ) {
    const piece: Uint8Array | undefined = yield* nextPiece(answer.body, limits)
    if (piece === undefined) break
    pieces.push(piece)
    bytes += piece.length
    if (bytes > answerMaxBytes) {
      return yield* new GetFailed({ reason: `${url.host} sends too much`, isPassing: false, isUnreached: false })
    }
  }
  return { body: Buffer.concat(pieces).toString(), link: answer.header("link") ?? "" }
}, Effect.scoped)
