/**
 * A file that is not whole yet, beside the place where it will be, and what is known of the whole.
 *
 *   P1. The bytes on disk are a beginning of the file that the ticket describes, whatever kills the process.
 *   P2. `digest` is of the bytes on disk, also of those that an earlier process wrote.
 */
import { createHash, type Hash } from "node:crypto"
import { createReadStream } from "node:fs"
import { type FileHandle, open, readFile, rm } from "node:fs/promises"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { bytesText } from "../quantity.ts"
import { replaceFile } from "../replace-file.ts"
import { codeOf, fileWords, ModelTrouble } from "./model-trouble.ts"

export const Ticket = Schema.Struct({
  source: Schema.String,
  sizeBytes: Schema.Int,
  /** What the server says when the file is the same: a strong ETag, or the time of its last change. */
  validator: Schema.optionalKey(Schema.String),
  /** That it has to have. */
  sha256: Schema.optionalKey(Schema.String)
})
export type Ticket = typeof Ticket.Type

export interface PartFile {
  readonly path: string
  /** Undefined when nothing is known, and there are no bytes. */
  readonly ticket: () => Ticket | undefined
  readonly bytes: () => number
  readonly digest: () => string
  /** Forgets what is there: from here on it is another file. */
  readonly begin: (ticket: Ticket) => Effect.Effect<void, ModelTrouble>
  readonly append: (piece: Uint8Array) => Effect.Effect<void, ModelTrouble>
  /** Returns when the bytes are on disk. */
  readonly flush: Effect.Effect<void, ModelTrouble>
  readonly remove: Effect.Effect<void, ModelTrouble>
}

const ticketMaxBytes = 65_536

/**
 * Takes what an earlier process left when `isOurs` of its ticket; otherwise it begins with nothing. `reading` is told
 * how many bytes are read again: at some hundred MB a second.
 */
export const openPart = Effect.fn("openPart")(function* (
  path: string,
  isOurs: (ticket: Ticket) => boolean,
  reading: (bytes: number) => Effect.Effect<void>
): Effect.fn.Return<PartFile, ModelTrouble, Scope.Scope> {
  const handle = yield* Effect.acquireRelease(
    attempt(path, () => openOrCreate(path)),
    (handle) => Effect.promise(() => close(handle, path))
  )
  const state: State = { path, handle, ticket: undefined, bytes: 0, hash: createHash("sha256") }
  const found = yield* Effect.promise(() => readTicket(`${path}.json`))
  const { size } = yield* attempt(path, () => handle.stat())
  if (found !== undefined && isOurs(found) && size <= found.sizeBytes) {
    yield* reading(size)
    yield* attempt(path, () => readAgain(state, found))
  }
  return {
    path,
    ticket: () => state.ticket,
    bytes: () => state.bytes,
    digest: () => state.hash.copy().digest("hex"),
    begin: (ticket) => attempt(path, () => begin(state, ticket)),
    append: (piece) => attempt(path, () => append(state, piece)).pipe(Effect.mapError(withState(state))),
    flush: attempt(path, () => handle.sync()).pipe(Effect.mapError(withState(state))),
    remove: attempt(path, () => removeFiles(path))
  }
})

/** The part and its ticket, for good. */
export async function removeFiles(path: string): Promise<void> {
  await rm(path, { force: true })
  await rm(`${path}.json`, { force: true })
}

interface State {
  readonly path: string
  readonly handle: FileHandle
  ticket: Ticket | undefined
  bytes: number
  hash: Hash
}

async function openOrCreate(path: string): Promise<FileHandle> {
  return await open(path, "r+").catch((cause: unknown) => {
    if (codeOf(cause) === "ENOENT") return open(path, "wx+", 0o644)
    throw cause
  })
}

/** A part without bytes would say nothing to the next process. */
async function close(handle: FileHandle, path: string): Promise<void> {
  const { nlink, size } = await handle.stat()
  await handle.close()
  if (size === 0 && nlink > 0) await removeFiles(path)
}

async function readTicket(path: string): Promise<Ticket | undefined> {
  const text = await readFile(path, "utf8").catch(() => "")
  if (text.length > ticketMaxBytes) return undefined
  const decoded = Schema.decodeUnknownOption(Schema.fromJsonString(Ticket))(text)
  return decoded._tag === "Some" ? decoded.value : undefined
}

async function readAgain(state: State, ticket: Ticket): Promise<void> {
  for await (const piece of createReadStream(state.path, { highWaterMark: 1024 * 1024 })) {
    state.hash.update(piece as Buffer)
    state.bytes += (piece as Buffer).length
  }
  state.ticket = ticket
}

/** Empty first: a ticket must never stand beside the bytes of another file. */
async function begin(state: State, ticket: Ticket): Promise<void> {
  await state.handle.truncate(0)
  state.bytes = 0
  state.hash = createHash("sha256")
  state.ticket = ticket
  await replaceFile(`${state.path}.json`, `${JSON.stringify(ticket)}\n`)
}

async function append(state: State, piece: Uint8Array): Promise<void> {
  for (let written = 0; written < piece.length; ) {
    const rest = piece.subarray(written)
    const { bytesWritten } = await state.handle.write(rest, 0, rest.length, state.bytes)
    state.hash.update(rest.subarray(0, bytesWritten))
    state.bytes += bytesWritten
    written += bytesWritten
  }
}

const attempt = <A>(path: string, run: () => Promise<A>): Effect.Effect<A, ModelTrouble> =>
  Effect.tryPromise({
    try: run,
    catch: (cause) => new ModelTrouble({ reason: `${path} cannot be written: ${fileWords(cause)}.` })
  })

const withState = (state: State) => (trouble: ModelTrouble) =>
  new ModelTrouble({
    reason: `${trouble.reason} What has come is kept, ${bytesText(state.bytes)}: make room, and type the same again.`
  })
