/** Reads an object of a request field by field: each is honoured, without effect, or refused by its name. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { nearestKey } from "../domain/nearest-key.ts"
import { type ApiError, invalid } from "./api-error.ts"

export interface TakenField<A> {
  /** `idle`: a wrong value is refused, a right one changes nothing. */
  readonly kind: "honoured" | "idle"
  /** Ends the sentence "expected …". */
  readonly expected: string
  readonly decode: (value: unknown) => Result.Result<A, unknown>
}

export interface RefusedField {
  readonly kind: "refused"
  /** Values by which a client asks for nothing, as many send all their defaults. */
  readonly isNothing: (value: unknown) => boolean
  readonly because: string
}

export type Fields = Readonly<Record<string, TakenField<unknown> | RefusedField>>

export type Read<F extends Fields> = {
  readonly [Name in keyof F]: F[Name] extends TakenField<infer A> ? A | undefined : undefined
}

export function honoured<A, I>(schema: Schema.Codec<A, I>, expected: string): TakenField<A> {
  return { kind: "honoured", expected, decode: Schema.decodeUnknownResult(schema) }
}

export function idle<A, I>(schema: Schema.Codec<A, I>, expected: string): TakenField<A> {
  return { kind: "idle", expected, decode: Schema.decodeUnknownResult(schema) }
}

export function refused(because: string, ...nothing: ReadonlyArray<unknown>): RefusedField {
  return { kind: "refused", because, isNothing: (value) => nothing.includes(value) || isEmpty(value) }
}

function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0
}

const utf8 = new TextDecoder("utf-8", { fatal: true })

/** As JSON. */
export function readBody(body: Uint8Array): Result.Result<unknown, ApiError> {
  const text = Result.try(() => utf8.decode(body))
  if (Result.isFailure(text)) return Result.fail(invalid("invalid_body", null, "The body is not UTF-8."))
  const json = Result.try((): unknown => JSON.parse(text.success))
  return Result.mapError(json, () => invalid("invalid_body", null, "The body is not JSON."))
}

/** Null is as if it were absent. `path` is of the object itself, "" for the body. */
export function readFields<F extends Fields>(
  fields: F,
  value: unknown,
  path: string
): Result.Result<Read<F>, ApiError> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return Result.fail(wrong(path, "an object", value))
  }
  const read: Record<string, unknown> = {}
  for (const [name, given] of Object.entries(value)) {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined
    const param = pathOf(path, name)
    if (field === undefined) return Result.fail(unknownField(fields, name, param))
    if (given === null) continue
    if (field.kind === "refused") {
      if (field.isNothing(given)) continue
      return Result.fail(invalid("unsupported_parameter", param, `\`${param}\` is not supported: ${field.because}`))
    }
    const decoded = field.decode(given)
    if (Result.isFailure(decoded)) return Result.fail(wrong(param, field.expected, given))
    read[name] = decoded.success
  }
  return Result.succeed(read as Read<F>)
}

/** The first failure, or all. */
export function eachOf<A>(
  list: ReadonlyArray<unknown>,
  read: (value: unknown, index: number) => Result.Result<A, ApiError>
): Result.Result<ReadonlyArray<A>, ApiError> {
  const all: Array<A> = []
  for (const [index, value] of list.entries()) {
    const one = read(value, index)
    if (Result.isFailure(one)) return Result.fail(one.failure)
    all.push(one.success)
  }
  return Result.succeed(all)
}

export function wrong(param: string, expected: string, found: unknown): ApiError {
  const name = param === "" ? "The body" : `\`${param}\``
  return invalid("invalid_value", param === "" ? null : param, `${name}: expected ${expected}, found ${kindOf(found)}`)
}

export function missing(param: string, expected: string): ApiError {
  return invalid("missing_required_parameter", param, `\`${param}\` is missing: expected ${expected}`)
}

function unknownField(fields: Fields, name: string, param: string): ApiError {
  const nearest = nearestKey(name, Object.keys(fields))
  const mend = nearest === undefined ? "" : ` Did you mean \`${nearest}\`?`
  return invalid("unknown_parameter", param, `\`${param}\` is not a field that is known here.${mend}`)
}

const nameMaxChars = 64

function pathOf(path: string, name: string): string {
  const printable = name.slice(0, nameMaxChars).toWellFormed().replace(/\p{C}/gu, "?")
  return path === "" ? printable : `${path}.${printable}`
}

/** Never the value itself: it may be what a person wrote, and errors are logged. */
function kindOf(value: unknown): string {
  if (value === null || value === undefined) return "nothing"
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : `a list of ${value.length}`
  if (value === "") return "an empty string"
  if (typeof value === "number" || typeof value === "boolean") return String(value)
  return typeof value === "string" ? "a string" : "an object"
}
