/** `parley models pull`: a file from the hub or from an address, whole and checked, in the models folder. */
import { existsSync } from "node:fs"
import { rename, rm } from "node:fs/promises"
import { join } from "node:path"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { makeDir } from "../../store/data-lock.ts"
import { dirMode } from "../../store/embedded-home.ts"
import { holdLock } from "../../store/lock-file.ts"
import { bytesText } from "../quantity.ts"
import { type DownloadLimits, download, downloadLimits, type Wanted, type Watcher } from "./download.ts"
import { findInHub } from "./hub.ts"
import { type ModelRecord, readRecord, writeRecord } from "./model-record.ts"
import { fileWords, ModelTrouble } from "./model-trouble.ts"
import { openPart, type PartFile, removeFiles } from "./part-file.ts"
import { addressText, fileNameOf, parseReference } from "./reference.ts"
import type { Hub } from "./web-get.ts"

export interface PullOptions {
  /** As it was typed. */
  readonly reference: string
  readonly sha256: string | undefined
  readonly dataDir: string
  readonly hub: Hub
  readonly watcher: Watcher
  readonly limits?: DownloadLimits
}

export interface Pulled {
  readonly file: string
  readonly record: ModelRecord
  /** Nothing had to be fetched. */
  readonly wasHere: boolean
}

/** To be read again it takes longer than a person waits without a word. */
const largeBytes = 256 * 1024 * 1024
/** Of other accounts than ours only those that may pass the data directory can read it. */
const modelsDirMode = 0o755

export const modelsDir = (dataDir: string) => join(dataDir, "models")

export const pull = Effect.fn("pull")(function* (
  options: PullOptions
): Effect.fn.Return<Pulled, ModelTrouble, Scope.Scope> {
  const { dataDir, hub, limits = downloadLimits, watcher } = options
  const { name, wanted } = yield* wantedOf(options)
  const dir = modelsDir(dataDir)
  const file = join(dir, name)
  yield* Effect.try({
    try: () => {
      makeDir(dataDir, dirMode)
      makeDir(dir, modelsDirMode)
    },
    catch: (cause) => new ModelTrouble({ reason: `${dir} cannot be used: ${fileWords(cause)}.` })
  })
  yield* hold(file)
  const here = yield* recordHere(file, wanted)
  if (here !== undefined && here.sha256 === wanted.sha256) return { file, record: here, wasHere: true }
  const part = yield* openPart(
    `${file}.part`,
    ({ sha256, source }) => source === wanted.source && sha256 === wanted.sha256,
    (bytes) => (bytes < largeBytes ? Effect.void : watcher.note(`Reading the ${bytesText(bytes)} that are here …`))
  )
  const validatorHere = wanted.sha256 === undefined ? here?.validator : undefined
  const outcome = yield* download({ ...wanted, validatorHere }, part, hub, watcher, limits)
  if (outcome === "unchanged" && here !== undefined) {
    yield* removePart(part)
    return { file, record: here, wasHere: true }
  }
  return { file, record: yield* finish(file, wanted, part), wasHere: false }
}, Effect.scoped)

const wantedOf = Effect.fnUntraced(function* ({ hub, limits, reference: typed, sha256 }: PullOptions) {
  if (sha256 !== undefined && !/^[0-9a-f]{64}$/i.test(sha256)) {
    return yield* new ModelTrouble({
      reason: "--sha256 takes the 64 hexadecimal digits of a SHA-256 sum.",
      exitCode: 2
    })
  }
  const parsed = parseReference(typed)
  if (Result.isFailure(parsed)) return yield* new ModelTrouble({ reason: `${parsed.failure}.`, exitCode: 2 })
  const reference = parsed.success
  const given = sha256?.toLowerCase()
  if (reference.type === "address") {
    const { url } = reference
    const wanted: Wanted = { url, source: addressText(url), sha256: given }
    return { wanted, name: yield* named(fileNameOf(url.pathname), wanted.source) }
  }
  const { path, wanted } = yield* findInHub(hub, reference.repo, reference.wanted, limits)
  if (given !== undefined && wanted.sha256 !== undefined && given !== wanted.sha256) {
    const reason = `${wanted.source} has the SHA-256 ${wanted.sha256} at the hub, and not ${given}. Nothing was fetched.`
    return yield* new ModelTrouble({ reason })
  }
  return { wanted: { ...wanted, sha256: wanted.sha256 ?? given }, name: yield* named(fileNameOf(path), wanted.source) }
})

const named = (name: string | undefined, source: string): Effect.Effect<string, ModelTrouble> =>
  name === undefined
    ? new ModelTrouble({ reason: `${source} does not end with the name of a file, such as model.gguf.`, exitCode: 2 })
    : Effect.succeed(name)

const hold = (file: string) =>
  holdLock(`${file}.lock`).pipe(
    Effect.catchTags({
      LockHeld: ({ pid }) => {
        const reason = `${file} is being pulled already, by process ${pid}. Wait for it, or end it: kill ${pid}`
        return Effect.fail(new ModelTrouble({ reason }))
      },
      LockUnusable: ({ cause }) =>
        Effect.fail(new ModelTrouble({ reason: `${file}.lock cannot be written: ${fileWords(cause)}.` }))
    })
  )

/** Of the file that is there, if it came from the same place. Another one is nobody's to replace. */
const recordHere = Effect.fnUntraced(function* (file: string, { source }: Wanted) {
  if (!existsSync(file)) return undefined
  const record = yield* readRecord(file)
  if (record?.source === source) return record
  const from = record === undefined ? "not from there" : `from ${record.source}`
  return yield* new ModelTrouble({ reason: `${file} is there already, ${from}. Move it away first, or remove it.` })
})

/** From here on it is a model: the record first, as a record without its file says nothing. */
const finish = Effect.fnUntraced(function* (file: string, { sha256: wanted, source }: Wanted, part: PartFile) {
  const { sizeBytes, validator } = part.ticket()!
  const sha256 = part.digest()
  if (wanted !== undefined && wanted !== sha256) {
    yield* removePart(part)
    const reason = `${source} does not have the SHA-256 that it should: ${wanted} was expected, and ${sha256} came.`
    return yield* new ModelTrouble({ reason: `${reason} What came is removed.` })
  }
  const pulledAt = new Date(yield* Clock.currentTimeMillis).toISOString()
  const record: ModelRecord = { source, sizeBytes, sha256, pulledAt, ...(validator && { validator }) }
  yield* writeRecord(file, record)
  yield* Effect.tryPromise({
    try: async () => {
      await rename(part.path, file)
      await rm(`${part.path}.json`, { force: true })
    },
    catch: (cause) => new ModelTrouble({ reason: `${file} cannot be written: ${fileWords(cause)}.` })
  })
  return record
})

const removePart = (part: PartFile) => Effect.promise(() => removeFiles(part.path).catch(() => undefined))
