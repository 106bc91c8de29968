/** What a GGUF file says of itself: read from its first bytes, whatever they are. */
import { open } from "node:fs/promises"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"

export interface GgufHeader {
  readonly architecture: string | undefined
  /** `Q4_K_M`; of the mixture, where the tensors have several types. */
  readonly quantisation: string | undefined
  readonly parameters: number
  /** That it was trained for, in tokens. */
  readonly contextTokens: number | undefined
}

/** The vocabulary is most of a header: 8 MB for 150,000 tokens. */
const headerMaxBytes = 64 * 1024 * 1024
const readBytes = 1024 * 1024

/** Undefined when there is no header to be read: another kind of file, another version, or cut short. */
export const readGgufHeader = (file: string): Effect.Effect<GgufHeader | undefined> =>
  Effect.tryPromise(() => firstBytes(file)).pipe(
    Effect.map(parseGgufHeader),
    Effect.orElseSucceed(() => undefined)
  )

/** Never throws, and is done after as many steps as there are bytes. */
export function parseGgufHeader(bytes: Buffer): GgufHeader | undefined {
  return Result.getOrElse(
    Result.try(() => parse({ bytes, at: 0 })),
    () => undefined
  )
}

/** Grows until the header is whole: most are a few MB, and a file may have many GB. */
async function firstBytes(file: string): Promise<Buffer> {
  await using handle = await open(file)
  let bytes = Buffer.alloc(0)
  for (let size = readBytes; size <= headerMaxBytes; size *= 4) {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(size), 0, size, 0)
    bytes = buffer.subarray(0, bytesRead)
    if (bytesRead < size || parseGgufHeader(bytes) !== undefined) return bytes
  }
  return bytes
}

/** A read past the end throws, as Buffer's do. */
interface Cursor {
  readonly bytes: Buffer
  at: number
}

function parse(cursor: Cursor): GgufHeader | undefined {
  if (take(cursor, 4).toString("latin1") !== "GGUF") return undefined
  const version = u32(cursor)
  // Version 1 counted in 32 bits, and was in use for a month.
  if (version !== 2 && version !== 3) return undefined
  const tensors = u64(cursor)
  const pairs = u64(cursor)
  const said = new Map<string, unknown>()
  for (let pair = 0; pair < pairs; pair++) said.set(string(cursor), value(cursor, u32(cursor)))
  let parameters = 0
  for (let tensor = 0; tensor < tensors; tensor++) parameters += tensorWeights(cursor)
  const architecture = text(said.get("general.architecture"))
  return {
    architecture,
    quantisation: fileTypes[String(said.get("general.file_type"))],
    parameters,
    contextTokens: number(said.get(`${architecture}.context_length`))
  }
}

function tensorWeights(cursor: Cursor): number {
  string(cursor)
  const dimensions = Array.from({ length: dimensionsOf(cursor) }, () => u64(cursor))
  // Its type, and its offset.
  take(cursor, 4 + 8)
  return dimensions.reduce((product, dimension) => product * dimension, 1)
}

/** GGML_MAX_DIMS. */
const dimensionsMax = 4

function dimensionsOf(cursor: Cursor): number {
  const count = u32(cursor)
  if (count > dimensionsMax) throw new RangeError("no tensor has so many dimensions")
  return count
}

const sizes: Readonly<Record<number, number>> = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 }
const stringType = 8
const arrayType = 9

/** Arrays are passed over: nothing of theirs is shown. */
function value(cursor: Cursor, type: number): unknown {
  if (type === stringType) return string(cursor)
  if (type === arrayType) return skipArray(cursor)
  const bytes = take(cursor, sizeOf(type))
  return type === 4 ? bytes.readUInt32LE() : type === 10 ? Number(bytes.readBigUInt64LE()) : undefined
}

function skipArray(cursor: Cursor): undefined {
  const type = u32(cursor)
  const count = u64(cursor)
  if (type !== stringType) take(cursor, count * sizeOf(type))
  else for (let item = 0; item < count; item++) take(cursor, u64(cursor))
}

function sizeOf(type: number): number {
  const size = sizes[type]
  if (size === undefined) throw new RangeError("no such type of value")
  return size
}

function string(cursor: Cursor): string {
  return take(cursor, u64(cursor)).toString("utf8")
}

function take(cursor: Cursor, length: number): Buffer {
  if (cursor.at + length > cursor.bytes.length) throw new RangeError("cut short")
  const bytes = cursor.bytes.subarray(cursor.at, cursor.at + length)
  cursor.at += length
  return bytes
}

const u32 = (cursor: Cursor) => take(cursor, 4).readUInt32LE()
const u64 = (cursor: Cursor) => Number(take(cursor, 8).readBigUInt64LE())
const text = (value: unknown) => (typeof value === "string" ? value : undefined)
const number = (value: unknown) => (typeof value === "number" ? value : undefined)

/** `llama_ftype` of llama.h, without those that were removed. */
const fileTypes: Readonly<Record<string, string>> = {
  0: "F32",
  1: "F16",
  2: "Q4_0",
  3: "Q4_1",
  7: "Q8_0",
  8: "Q5_0",
  9: "Q5_1",
  10: "Q2_K",
  11: "Q3_K_S",
  12: "Q3_K_M",
  13: "Q3_K_L",
  14: "Q4_K_S",
  15: "Q4_K_M",
  16: "Q5_K_S",
  17: "Q5_K_M",
  18: "Q6_K",
  19: "IQ2_XXS",
  20: "IQ2_XS",
  21: "Q2_K_S",
  22: "IQ3_XS",
  23: "IQ3_XXS",
  24: "IQ1_S",
  25: "IQ4_NL",
  26: "IQ3_S",
  27: "IQ3_M",
  28: "IQ2_S",
  29: "IQ2_M",
  30: "IQ4_XS",
  31: "IQ1_M",
  32: "BF16",
  36: "TQ1_0",
  37: "TQ2_0",
  38: "MXFP4",
  39: "NVFP4",
  40: "Q1_0",
  41: "Q2_0"
}
