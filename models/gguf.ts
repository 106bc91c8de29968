/**
 * The bytes of a GGUF v3 file: a header, metadata, tensor infos, then each tensor's data at a multiple of 32.
 *
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
export type GgufValue =
  | { readonly type: "u32" | "f32"; readonly value: number }
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "i32[]"; readonly value: ReadonlyArray<number> }
  | { readonly type: "string[]"; readonly value: ReadonlyArray<string> }

export interface Tensor {
  readonly name: string
  /** The fastest dimension first, as ggml counts. */
  readonly dimensions: ReadonlyArray<number>
  readonly type: "F32" | "Q8_0"
  readonly data: Uint8Array
}

const alignment = 32
const tensorTypes = { F32: 0, Q8_0: 8 }
const valueTypes = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 }

export function encodeGguf(metadata: Readonly<Record<string, GgufValue>>, tensors: ReadonlyArray<Tensor>): Buffer {
  const pairs = Object.entries(metadata).map(([key, value]) => Buffer.concat([string(key), encode(value)]))
  let offset = 0
  const infos = tensors.map(({ data, dimensions, name, type }) => {
    const info = [string(name), u32(dimensions.length), ...dimensions.map(u64), u32(tensorTypes[type]), u64(offset)]
    offset += padded(data.length)
    return Buffer.concat(info)
  })
  const counts = [Buffer.from("GGUF"), u32(3), u64(tensors.length), u64(pairs.length)]
  const head = Buffer.concat([...counts, ...pairs, ...infos])
  return Buffer.concat([head, ...tensors.map(({ data }) => data)].map(pad))
}

function encode({ type, value }: GgufValue): Buffer {
  switch (type) {
    case "u32":
      return Buffer.concat([u32(valueTypes.u32), u32(value)])
    case "f32":
      return Buffer.concat([u32(valueTypes.f32), Buffer.from(Float32Array.of(value).buffer)])
    case "bool":
      return Buffer.concat([u32(valueTypes.bool), Buffer.of(value ? 1 : 0)])
    case "string":
      return Buffer.concat([u32(valueTypes.string), string(value)])
    case "i32[]":
      return array(valueTypes.i32, value.length, Buffer.from(Int32Array.from(value).buffer))
    case "string[]":
      return array(valueTypes.string, value.length, Buffer.concat(value.map(string)))
  }
}

function array(type: number, length: number, items: Buffer): Buffer {
  return Buffer.concat([u32(valueTypes.array), u32(type), u64(length), items])
}

function string(text: string): Buffer {
  const bytes = Buffer.from(text, "utf8")
  return Buffer.concat([u64(bytes.length), bytes])
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}

function pad(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([bytes], padded(bytes.length))
}

function padded(length: number): number {
  return Math.ceil(length / alignment) * alignment
}
