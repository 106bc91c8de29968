/**
 * What a GGUF file says of its model, read from its first bytes without llama.cpp.
 *
 *   H1. Any bytes at all give a head or a sentence; nothing is allocated that the bytes do not hold.
 *   H2. What a writer was told comes back.
 *   H3. A file that ends before its last tensor does is known by its head.
 *
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
import { type FileHandle, open } from "node:fs/promises"
import * as Effect from "effect/Effect"
import { ggmlTypes } from "./ggml-types.ts"
import { ggufProblem } from "./gguf-file.ts"
import { fileTypes } from "./gguf-file-types.ts"

export interface GgufHead {
  /** Numbers, texts, truths, and lists of at most `listMax` numbers. */
  readonly metadata: ReadonlyMap<string, GgufScalar | ReadonlyArray<number>>
  /** Of the other lists, such as a vocabulary. */
  readonly listLengths: ReadonlyMap<string, number>
  readonly parameters: number
  /** Of the weights alone. */
  readonly weightBytes: number
  /** `Q4_K_M`: of the mixture, as the file says; where it does not, the type that most weights have. */
  readonly quantisation: string
  /** The length that the file must have. */
  readonly endBytes: number
}

export type GgufScalar = string | number | boolean

/** A vocabulary of a million tokens and its merges take some 40 MB. */
const headMaxBytes = 128 * 1024 * 1024
const headFirstBytes = 1024 * 1024
const listMax = 1_024
const countMax = 1_000_000
const dimensionsMax = 8
const nestingMax = 4
const defaultAlignment = 32

/** The end of a sentence that begins with the file's name, where it is no whole GGUF file. */
export interface NoHead {
  readonly problem: string
}

/** Reads as much of the file as its head needs. */
export const readGgufHead = Effect.fn("readGgufHead")(function* (
  file: string
): Effect.fn.Return<{ readonly head: GgufHead; readonly fileBytes: number }, NoHead> {
  const problem = yield* ggufProblem(file)
  if (problem !== undefined) return yield* Effect.fail<NoHead>({ problem })
  return yield* Effect.tryPromise({
    try: () => headOf(file),
    catch: (cause): NoHead => ({ problem: `cannot be read (${cause})` })
  }).pipe(Effect.flatMap((found) => ("problem" in found ? Effect.fail(found) : Effect.succeed(found))))
})

async function headOf(file: string) {
  await using handle = await open(file)
  const { size } = await handle.stat()
  for (let length = headFirstBytes; ; length *= 4) {
    const bytes = await firstBytes(handle, Math.min(length, size, headMaxBytes))
    const head = parseGgufHead(bytes)
    if (head !== "longer") return "problem" in head ? head : { head, fileBytes: size }
    if (bytes.length === size) return { problem: "is cut off: its head is not whole" }
    if (bytes.length === headMaxBytes) return { problem: "has a head that is too long to be believed" }
  }
}

async function firstBytes(handle: FileHandle, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length)
  let read = 0
  while (read < length) {
    const { bytesRead } = await handle.read(bytes, read, length - read, read)
    if (bytesRead === 0) break
    read += bytesRead
  }
  return bytes.subarray(0, read)
}

class Unreadable extends Error {}
class Longer extends Error {}

/** A list of which only the length is kept. */
class Unkept {
  readonly length: number

  constructor(length: number) {
    this.length = length
  }
}

type Value = GgufScalar | ReadonlyArray<number> | Unkept

/** `"longer"` when the head goes on after these bytes. */
export function parseGgufHead(bytes: Buffer): GgufHead | NoHead | "longer" {
  try {
    return parse(new Cursor(bytes))
  } catch (error) {
    if (error instanceof Longer) return "longer"
    if (error instanceof Unreadable) return { problem: error.message }
    throw error
  }
}

function parse(cursor: Cursor): GgufHead {
  if (cursor.take(4).toString("latin1") !== "GGUF") throw new Unreadable("is not a GGUF file")
  const version = cursor.u32()
  if (version < 2 || version > 3) throw new Unreadable(`is GGUF of version ${version}; 2 and 3 are known`)
  const tensorCount = cursor.count()
  const pairCount = cursor.count()
  const metadata = new Map<string, GgufScalar | ReadonlyArray<number>>()
  const listLengths = new Map<string, number>()
  for (let i = 0; i < pairCount; i++) {
    const key = cursor.text()
    const value = readValue(cursor, cursor.u32(), 0)
    if (value instanceof Unkept) listLengths.set(key, value.length)
    else metadata.set(key, value)
  }
  const tensors: Array<ReturnType<typeof tensorOf>> = []
  for (let i = 0; i < tensorCount; i++) tensors.push(tensorOf(cursor))
  const alignment = Number(metadata.get("general.alignment") ?? defaultAlignment)
  if (!(alignment >= 1 && alignment <= 1 << 20)) throw new Unreadable("has an alignment that cannot be")
  const dataAt = Math.ceil(cursor.at / alignment) * alignment
  const byType = new Map<string, number>()
  for (const { type, weights } of tensors) byType.set(type, (byType.get(type) ?? 0) + weights)
  return {
    metadata,
    listLengths,
    parameters: sum(tensors.map(({ weights }) => weights)),
    weightBytes: sum(tensors.map(({ bytes }) => bytes)),
    quantisation:
      fileTypes[String(metadata.get("general.file_type"))] ??
      [...byType].toSorted(([, a], [, b]) => b - a)[0]?.[0] ??
      "none",
    endBytes: tensors.reduce((end, { bytes, offset }) => Math.max(end, dataAt + offset + bytes), dataAt)
  }
}

function tensorOf(cursor: Cursor) {
  cursor.skipText()
  const dimensions = cursor.u32()
  if (dimensions > dimensionsMax) throw new Unreadable(`has a tensor of ${dimensions} dimensions`)
  let weights = 1
  for (let i = 0; i < dimensions; i++) weights *= cursor.u64()
  const type = cursor.u32()
  const offset = cursor.u64()
  const known = ggmlTypes.get(type)
  const bytes = known === undefined ? 0 : (weights / known.blockWeights) * known.blockBytes
  if (!Number.isSafeInteger(weights) || bytes > Number.MAX_SAFE_INTEGER) {
    throw new Unreadable("has a tensor of a size that cannot be")
  }
  return { weights, type: known?.name ?? `type ${type}`, bytes: Math.ceil(bytes), offset }
}

/** The types of values: u8 i8 u16 i16 u32 i32 f32 bool string array u64 i64 f64. */
const fixedBytes = [1, 1, 2, 2, 4, 4, 4, 1, undefined, undefined, 8, 8, 8]
const stringType = 8
const arrayType = 9

function readValue(cursor: Cursor, type: number, depth: number): Value {
  if (type === stringType) return cursor.text()
  if (type === arrayType) return arrayOf(cursor, depth)
  return cursor.scalar(type)
}

function arrayOf(cursor: Cursor, depth: number): ReadonlyArray<number> | Unkept {
  if (depth >= nestingMax) throw new Unreadable("has lists in lists in lists")
  const type = cursor.u32()
  const length = cursor.u64()
  const size = fixedBytes[type]
  if (size !== undefined && length > listMax) cursor.skip(size * length)
  else if (size !== undefined) return Array.from({ length }, () => Number(cursor.scalar(type)))
  // Each item takes bytes, so a length that is a lie ends with them.
  else if (type === stringType) for (let i = 0; i < length; i++) cursor.skipText()
  else for (let i = 0; i < length; i++) readValue(cursor, type, depth + 1)
  return new Unkept(length)
}

class Cursor {
  at = 0
  readonly #bytes: Buffer

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  take(length: number): Buffer {
    const start = this.at
    this.skip(length)
    return this.#bytes.subarray(start, this.at)
  }

  skip(length: number): void {
    if (length > headMaxBytes) throw new Unreadable("has a length in it that cannot be")
    if (this.at + length > this.#bytes.length) throw new Longer()
    this.at += length
  }

  u32(): number {
    return this.take(4).readUInt32LE()
  }

  u64(): number {
    const value = this.take(8).readBigUInt64LE()
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new Unreadable("has a length in it that cannot be")
    return Number(value)
  }

  count(): number {
    const count = this.u64()
    if (count > countMax) throw new Unreadable(`has ${count} entries in its head, which cannot be`)
    return count
  }

  text(): string {
    return this.take(this.u64()).toString("utf8")
  }

  skipText(): void {
    this.skip(this.u64())
  }

  scalar(type: number): number | boolean {
    const size = fixedBytes[type]
    if (size === undefined) throw new Unreadable(`has a value of type ${type}, which is not known`)
    const bytes = this.take(size)
    switch (type) {
      case 6:
        return bytes.readFloatLE()
      case 7:
        return bytes[0] !== 0
      case 10:
        return Number(bytes.readBigUInt64LE())
      case 11:
        return Number(bytes.readBigInt64LE())
      case 12:
        return bytes.readDoubleLE()
      default:
        return type % 2 === 0 ? bytes.readUIntLE(0, size) : bytes.readIntLE(0, size)
    }
  }
}

function sum(all: ReadonlyArray<number>): number {
  return all.reduce((total, one) => total + one, 0)
}
