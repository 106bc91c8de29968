/** What a schema found wrong, in words for an operator: what, where, and what would be right. Never a secret. */
import * as SchemaAST from "effect/SchemaAST"
import type * as SchemaIssue from "effect/SchemaIssue"
import { nearestKey } from "../domain/nearest-key.ts"
import type { Path } from "./config-document.ts"

/** Where a value was written. */
export interface Origin {
  /** What a person calls it: `channels[0].secret`, `PORT`. */
  readonly name: string
  /** `parley.yaml:4`, `environment`. */
  readonly where: string
  /** The value, where it can be no secret. */
  readonly shown?: string
}

export interface Problem {
  readonly path: Path
  readonly words: string
}

/** A problem of the schema, at its path. */
interface Leaf {
  readonly issue: SchemaIssue.Issue
  readonly path: Path
  /** The innermost map around it. */
  readonly map: SchemaAST.Objects | undefined
}

/** All problems of one decoding of `input`. */
export function problemsOf(
  issue: SchemaIssue.Issue,
  input: unknown,
  originOf: (path: Path) => Origin
): ReadonlyArray<Problem> {
  const leaves = leavesOf(issue, [], undefined)
  const misspelt = new Set(leaves.map(meantBy))
  return leaves
    .filter(({ issue, path }) => issue._tag !== "MissingKey" || !misspelt.has(nameOf(path)))
    .map((leaf) => ({ path: leaf.path, words: wordsOf(leaf, valueAt(input, leaf.path), originOf(leaf.path)) }))
}

/** `channels[0].secret` */
export function nameOf(path: Path): string {
  const steps = path.map((step) => (typeof step === "number" ? `[${step}]` : `.${keyOf(step)}`))
  return steps.join("").replace(/^\./, "")
}

/** A key as it was written. Where a quote is missing, a value stands in the place of one: that is not shown. */
function keyOf(step: PropertyKey | undefined): string {
  const key = String(step)
  return /^(?:[A-Za-z_-]{1,40}|\$\{[A-Z_]{1,40}\})$/.test(key) ? key : "(not a name)"
}

/** What was typed, short and without what moves a terminal's cursor. */
export function printable(text: string): string {
  return (text.length > 40 ? `${text.slice(0, 40)}…` : text).replace(/\p{C}/gu, "?")
}

function leavesOf(issue: SchemaIssue.Issue, path: Path, map: SchemaAST.Objects | undefined): ReadonlyArray<Leaf> {
  switch (issue._tag) {
    case "Pointer":
      return leavesOf(issue.issue, [...path, ...issue.path], map)
    case "Encoding":
      return leavesOf(issue.issue, path, map)
    case "Composite": {
      const inner = SchemaAST.isObjects(issue.ast) ? issue.ast : map
      return issue.issues.flatMap((one) => leavesOf(one, path, inner))
    }
    case "AnyOf":
      if (issue.issues.length > 0) return issue.issues.flatMap((one) => leavesOf(one, path, map))
      return [{ issue, path, map }]
    default:
      return [{ issue, path, map }]
  }
}

function wordsOf({ issue, map, path }: Leaf, value: unknown, { name, shown, where }: Origin): string {
  const key = keyOf(path.at(-1))
  const inside = path.length > 1 ? ` in ${nameOf(path.slice(0, -1))}` : ""
  switch (issue._tag) {
    case "UnexpectedKey": {
      const nearest = nearestKey(String(path.at(-1)), keysOf(map))
      const mend = nearest === undefined ? `known here: ${keysOf(map).join(", ")}` : `did you mean \`${nearest}\`?`
      return `unknown key \`${key}\`${inside} (${where}): ${mend}`
    }
    case "MissingKey": {
      const field = map?.propertySignatures.find((field) => field.name === path.at(-1))
      return `\`${key}\` is missing${inside} (${where}): expected ${expectedOf(field?.type)}`
    }
    case "Filter": {
      const expected = issue.filter.annotations?.expected
      return `${name} (${where}): expected ${expected}, found ${shown ?? foundIn(value, true)}`
    }
    default: {
      const expected = `${name} (${where}): expected ${"ast" in issue ? expectedOf(issue.ast) : "something else"}`
      // No member of the union knows this map.
      if (issue._tag === "AnyOf" && typeof value === "object" && value !== null) return expected
      return `${expected}, found ${shown ?? foundIn(value, false)}${guessOf(issue, value)}`
    }
  }
}

/** The path of the key that an unknown one was meant to be. */
function meantBy({ issue, map, path }: Leaf): string | undefined {
  if (issue._tag !== "UnexpectedKey") return undefined
  const nearest = nearestKey(String(path.at(-1)), keysOf(map))
  return nearest && nameOf([...path.slice(0, -1), nearest])
}

function keysOf(map: SchemaAST.Objects | undefined): ReadonlyArray<string> {
  return map?.propertySignatures.map(({ name }) => String(name)) ?? []
}

function expectedOf(ast: SchemaAST.AST | undefined): string {
  return String((ast && SchemaAST.resolve(ast)?.["expected"]) ?? "something else")
}

/**
 * Any text may be a secret, and any number in the place of one. `isBounded` says that the type is right and a bound
 * is not kept: such a number is no secret.
 */
function foundIn(value: unknown, isBounded: boolean): string {
  if (value === undefined || value === null) return "nothing"
  if (Array.isArray(value)) return "a list"
  if (typeof value === "object") return "a map"
  if (typeof value === "number") return isBounded ? String(value) : "a number"
  if (typeof value === "boolean") return `\`${value}\``
  return value === "" ? "an empty text" : isBounded ? "another text" : "a text"
}

function guessOf(issue: SchemaIssue.Issue, value: unknown): string {
  if (issue._tag !== "AnyOf" || typeof value !== "string") return ""
  const names = issue.ast.types.flatMap((ast) => (SchemaAST.isLiteral(ast) ? [String(ast.literal)] : []))
  const nearest = nearestKey(value, names)
  return nearest === undefined ? "" : `: did you mean \`${nearest}\`?`
}

function valueAt(input: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (at, step) => (typeof at === "object" && at !== null ? Reflect.get(at, step) : undefined),
    input
  )
}
