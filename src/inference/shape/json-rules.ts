/** The rules that all JSON grammars share. Each of them has one way of reading a text, or a few that end soon. */
import { literal, type Piece, type Rules } from "./gbnf-text.ts"

/** `line`: on one line. `free`: indented as well. */
export type Spacing = "line" | "free"

/** Between two tokens. It is bounded, or a model that is lost writes spaces for ever. */
export function spaceOf(rules: Rules, spacing: Spacing): string {
  return rules.once(`${spacing}-space`, () => (spacing === "line" ? '" "?' : '" "? | "\\n" " "{0,20}'))
}

/**
 * One character of a string. Only what survives our own reading of an answer (worker/answer-text.ts); of the escapes
 * none that makes half of a character.
 */
export function character(rules: Rules): string {
  return rules.once(
    "char",
    () =>
      "[ !#-\\x5B\\x5D-~\\u00A0-\\uD7FF\\uE000-\\uFFFC\\uFFFE-\\uFFFF\\U00010000-\\U0010FFFF] | " +
      '"\\\\" (["\\\\/bfnrt] | "u" [0-9A-CEFa-cef] [0-9A-Fa-f]{3})'
  )
}

function text(rules: Rules): string {
  return rules.once("text", () => `"\\"" ${character(rules)}* "\\""`)
}

const digitsMax = 15

export function jsonNumber(rules: Rules): string {
  return rules.once(
    "number",
    () => `"-"? ("0" | [1-9] [0-9]{0,${digitsMax - 1}}) ("." [0-9]{1,${digitsMax}})? ([eE] [-+]? [0-9]{1,2})?`
  )
}

const valueWidth = 8

export function anyValue(rules: Rules, spacing: Spacing): Piece {
  const name = `${spacing}-value`
  const value = rules.once(name, () => {
    // The names are those of rules that refer to each other.
    const space = spaceOf(rules, spacing)
    const list = rules.once(`${spacing}-list`, () => `"[" ${space} (${name} ("," ${space} ${name})* ${space})? "]"`)
    return `${anyObject(rules, spacing, name).text} | ${list} | ${text(rules)} | ${jsonNumber(rules)} | "true" | "false" | "null"`
  })
  return { text: value, width: valueWidth }
}

/** An object of any keys, whose values are of the rule `value`. */
export function anyObject(rules: Rules, spacing: Spacing, value: string): Piece {
  const object = rules.once(`${spacing}-map-of-${value}`, () => {
    const space = spaceOf(rules, spacing)
    const member = `${text(rules)} ":" ${space} ${value}`
    return `"{" ${space} (${member} ("," ${space} ${member})* ${space})? "}"`
  })
  return { text: object, width: valueWidth }
}

/** JSON as the grammar writes a given value: what our reading of an answer leaves out is escaped. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\x7F-\x9F\uFFFD]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`
  )
}

const day31 = '("0" [1-9] | [12] [0-9] | "3" [01])'
const day30 = '("0" [1-9] | [12] [0-9] | "30")'
const day28 = '("0" [1-9] | "1" [0-9] | "2" [0-8])'
const months = `("0" [13578] | "10" | "12") "-" ${day31} | ("0" [469] | "11") "-" ${day30} | "02-" ${day28}`
const date = `[0-9]{4} "-" (${months})`
const clock = '("0" | "1") [0-9]'
const time = `(${clock} | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] ("." [0-9]{1,3})? ("Z" | [+-] (${clock} | "2" [0-3]) ":" [0-5] [0-9])`
const hex = "[0-9a-f]"

/** RFC 3339, §5.6, without leap days and leap seconds; RFC 9562, §4. */
export const formats: Readonly<Record<string, string>> = {
  date,
  time,
  "date-time": `${date} "T" ${time}`,
  uuid: `${hex}{8} "-" ${hex}{4} "-" [1-8] ${hex}{3} "-" [89ab] ${hex}{3} "-" ${hex}{12}`
}

export function quotedText(inside: string): string {
  return `${literal('"')} ${inside} ${literal('"')}`
}
