/** The text of `parley.yaml` as plain data that knows its lines, with `${NAME}` filled in from the environment. */
import * as Result from "effect/Result"
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type Scalar,
  visit,
  type YAMLError
} from "yaml"

export type Environment = Readonly<Record<string, string | undefined>>
export type Path = ReadonlyArray<PropertyKey>

export interface ConfigDocument {
  readonly value: unknown
  /** The line of the key at a path, or of the innermost thing around it that was written; from 1. */
  readonly lineOf: (path: Path) => number
  /** What is wrong with the text itself, in words. No problem shows a value: it may be a secret. */
  readonly problems: ReadonlyArray<{ readonly line: number; readonly words: string }>
}

const variable = /^[A-Za-z_][A-Za-z0-9_]*$/

/** Never throws, whatever the text. When it is not YAML at all, `value` is undefined and `problems` says why. */
export function readDocument(text: string, environment: Environment): ConfigDocument {
  const lines = new LineCounter()
  const parsed = Result.try(() =>
    parseDocument(text, { lineCounter: lines, logLevel: "error", prettyErrors: false, stringKeys: true })
  )
  if (Result.isFailure(parsed)) return unreadable("the YAML is nested too deeply")
  const document = parsed.success
  const lineAt = (offset: number) => lines.linePos(offset).line
  const problems = [...document.errors, ...document.warnings].map((error) => ({
    line: lineAt(error.pos[0]),
    words: wordsOf(error, text)
  }))
  visit(document, {
    Scalar: (role, node) => {
      if (role === "key" || typeof node.value !== "string") return
      node.value = filledIn(node.value, environment, (words) =>
        problems.push({ line: lineAt(node.range?.[0] ?? 0), words })
      )
    }
  })
  const value = Result.try(() => withoutEmpty(document.toJS({ maxAliasCount: 100 })))
  if (Result.isFailure(value)) return unreadable("the YAML repeats an alias too often, or within itself")
  const isBroken = document.errors.some(({ code }) => code !== "DUPLICATE_KEY")
  return {
    value: isBroken ? undefined : (value.success ?? {}),
    lineOf: (path) => lineAt(offsetOf(document, path)),
    problems
  }
}

function unreadable(words: string): ConfigDocument {
  return { value: undefined, lineOf: () => 1, problems: [{ line: 1, words }] }
}

/** The words of the library quote the text, which may hold a secret. */
function wordsOf({ code, pos }: YAMLError, text: string): string {
  const word = /^["']?([\w.-]{1,64})/.exec(text.slice(pos[0], pos[0] + 66))?.[1] ?? ""
  switch (code) {
    case "DUPLICATE_KEY":
      return `the key \`${word}\` is given twice in the same map`
    case "TAB_AS_INDENT":
      return "not YAML: a tab indents this line; use spaces"
    case "BLOCK_AS_IMPLICIT_KEY":
      return "not YAML: two keys on one line (a text with `: ` in it needs quotes)"
    case "MULTILINE_IMPLICIT_KEY":
      return "not YAML: there is no `:` after this key"
    case "BAD_INDENT":
      return "not YAML: this line is indented differently from its neighbours"
    case "MISSING_CHAR":
      return "not YAML: a quote, bracket, comma or colon is missing here"
    case "RESOURCE_EXHAUSTION":
      return "the YAML is nested too deeply"
    case "MULTIPLE_DOCS":
      return "only one YAML document is read: remove what follows `---`"
    case "BAD_ALIAS":
      return "not YAML: this alias has no anchor before it (a text that begins with `*` needs quotes)"
    case "TAG_RESOLVE_FAILED":
      return "this YAML tag is not known (a text that begins with `!` needs quotes)"
    default:
      return `not YAML (${code.toLowerCase().replaceAll("_", " ")})`
  }
}

/** `${NAME}` is the value of NAME, `$${` is the text `${`. */
function filledIn(text: string, environment: Environment, report: (words: string) => void): string {
  return text.replace(/\$\$\{|\$\{([^}]*)(\}?)/g, (written: string, name: string | undefined, end: string) => {
    if (name === undefined) return "${"
    if (end === "" || !variable.test(name)) {
      report(`"\${" begins the name of an environment variable, as in \${NAME}; "$\${" stands for the text "\${"`)
      return written
    }
    const value = environment[name]
    if (value === undefined) report(`the environment variable ${name} is not set`)
    return value ?? written
  })
}

/** A key with nothing behind it (`channels:` with all its entries commented out) counts as left out. */
function withoutEmpty(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutEmpty)
  if (typeof value !== "object" || value === null) return value
  const kept = Object.entries(value).filter(([, inner]) => inner !== null)
  return Object.fromEntries(kept.map(([key, inner]) => [key, withoutEmpty(inner)]))
}

function offsetOf(document: Document.Parsed, path: Path): number {
  let node: Node | null | undefined = document.contents
  let offset = node?.range?.[0] ?? 0
  for (const step of path) {
    if (isAlias(node)) node = node.resolve(document)
    if (isMap<Scalar, Node | null>(node)) {
      const pair: Pair<Scalar, Node | null> | undefined = node.items.find(
        ({ key }) => isScalar(key) && String(key.value) === String(step)
      )
      offset = pair?.key.range?.[0] ?? offset
      node = pair?.value
    } else if (isSeq<Node>(node)) {
      node = node.items[Number(step)]
      offset = node?.range?.[0] ?? offset
    } else return offset
  }
  return offset
}
