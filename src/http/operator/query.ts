/** What an operator asks for: the query of an address, read field by field. */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import { nearestKey } from "../../domain/nearest-key.ts"

/** `message` says which field, what was expected, and never what was sent. */
export class BadQuery extends Data.TaggedError("BadQuery")<{ readonly message: string }> {}

interface Field<A> {
  /** Ends the sentence "expected …". */
  readonly expected: string
  /** Undefined for what does not fit. */
  readonly read: (text: string) => A | undefined
}

type Fields = Readonly<Record<string, Field<unknown>>>
type Read<F extends Fields> = { readonly [K in keyof F]: F[K] extends Field<infer A> ? A | undefined : never }

const textMaxChars = 1024

export const text: Field<string> = {
  expected: `1 to ${textMaxChars} characters`,
  read: (given) => (given === "" || given.length > textMaxChars || given.includes("\0") ? undefined : given)
}

export const flag: Field<boolean> = {
  expected: "`true` or `false`",
  read: (given) => (given === "true" ? true : given === "false" ? false : undefined)
}

export const whole = (least: number, most: number): Field<number> => ({
  expected: `a whole number from ${least} to ${most}`,
  read: (given) =>
    /^\d{1,15}$/.test(given) && Number(given) >= least && Number(given) <= most ? Number(given) : undefined
})

export const oneOf = <const A extends string>(values: ReadonlyArray<A>): Field<A> => ({
  expected: values.map((value) => `\`${value}\``).join(" or "),
  read: (given) => values.find((value) => value === given)
})

/** Each field at most once, and none that is not known. */
export const readQuery = Effect.fnUntraced(function* <F extends Fields>(fields: F) {
  const { url } = yield* HttpServerRequest.HttpServerRequest
  const read: Record<string, unknown> = {}
  for (const [name, given] of new URL(url, "http://parley").searchParams) {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined
    if (field === undefined) return yield* new BadQuery({ message: unknown(fields, name) })
    if (name in read) return yield* new BadQuery({ message: `\`${name}\` is given twice` })
    const value = field.read(given)
    if (value === undefined) return yield* new BadQuery({ message: `\`${name}\`: expected ${field.expected}` })
    read[name] = value
  }
  return read as Read<F>
})

function unknown(fields: Fields, name: string): string {
  const nearest = nearestKey(name, Object.keys(fields))
  return `the query has a field that is not known here${nearest === undefined ? "" : `: did you mean \`${nearest}\`?`}`
}
