/** Which model answers, changed in the text of `parley.yaml`: comments and everything else stay as they are. */
import { isDeepStrictEqual } from "node:util"
import * as Result from "effect/Result"
import { type Document, isCollection, isMap, isScalar, isSeq, type Node, type Pair, parseDocument, visit } from "yaml"
import { ConfigError } from "./config.ts"

type Entry = Readonly<Record<string, unknown>>

/**
 * The text with `file` as its first model. An entry of the engine `llama` keeps its name, slots and context; one of
 * another engine keeps its name. With `file` undefined the text has no models, and the built-in one answers.
 */
export function withModel(name: string, text: string, file: string | undefined): Result.Result<string, ConfigError> {
  const before = parseDocument(text, { logLevel: "error" })
  const value: unknown = before.errors.length > 0 ? undefined : (before.toJS() ?? {})
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return Result.fail(ConfigError.of([`${name} is not a YAML map of settings`]))
  }
  // The text `${` would be read as the beginning of a variable's name.
  const wanted = changed(
    value as Entry,
    file?.replaceAll("${", () => "$" + "${")
  )
  if (isDeepStrictEqual(value, wanted)) return Result.succeed(text)
  // The library writes a text anew: it moves comments, and knows every form. A cut leaves all else as it was.
  for (const edit of [cut, rewritten]) {
    const written = edit(before, text, wanted)
    const read = parseDocument(written, { logLevel: "error" })
    if (read.errors.length === 0 && isDeepStrictEqual(read.toJS() ?? {}, wanted)) return Result.succeed(written)
  }
  return Result.fail(ConfigError.of([`${name} could not be edited: set \`file\` of its first model yourself`]))
}

function changed({ models, ...others }: Entry, file: string | undefined): Entry {
  if (file === undefined) return others
  const [first, ...rest] = Array.isArray(models) ? (models as ReadonlyArray<Entry>) : []
  const entry = first?.["engine"] === "llama" ? { ...first, file } : { name: nameOf(first), engine: "llama", file }
  return { ...others, models: [entry, ...rest] }
}

/** Clients of /v1 know the model by its name. */
function nameOf(first: Entry | undefined): string {
  const name = first?.["name"]
  return typeof name === "string" ? name : "default"
}

/** Changes the one line, puts the lines at the end, or takes them away. */
function cut(document: Document.Parsed, text: string, wanted: Entry): string {
  const pair = pairOf(document.contents, "models")
  const models = wanted["models"]
  if (!Array.isArray(models)) return pair === undefined ? text : withoutLines(text, pair)
  const [first] = models as ReadonlyArray<Entry>
  const path = JSON.stringify(first?.["file"])
  if (pair === undefined) {
    const end = text === "" || text.endsWith("\n") ? "" : "\n"
    return `${text}${end}models:\n  - name: default\n    engine: llama\n    file: ${path}\n`
  }
  const entry = isSeq(pair.value) ? pair.value.items[0] : undefined
  const file = pairOf(entry, "file")?.value
  if (!isScalar(file) || !file.range) return text
  return text.slice(0, file.range[0]) + path + text.slice(file.range[1])
}

function pairOf(node: unknown, key: string): Pair | undefined {
  return isMap(node) ? node.items.find((pair) => isScalar(pair.key) && pair.key.value === key) : undefined
}

/** From the line of the key to the line of the last value in it, with what is said in these lines. */
function withoutLines(text: string, pair: Pair): string {
  const start = isScalar(pair.key) ? (pair.key.range?.[0] ?? 0) : 0
  let end = start
  visit(pair.value as Node, (_, node) => {
    if ((isScalar(node) || (isCollection(node) && node.flow)) && node.range) end = Math.max(end, node.range[1])
  })
  const newline = text.indexOf("\n", end - 1)
  return text.slice(0, text.lastIndexOf("\n", start) + 1) + (newline < 0 ? "" : text.slice(newline + 1))
}

function rewritten(document: Document.Parsed, text: string, wanted: Entry): string {
  const models = wanted["models"]
  if (!Array.isArray(models)) document.delete("models")
  else {
    const had: unknown = document.get("models")
    const [first] = models as ReadonlyArray<Entry>
    if (isSeq(had) && had.items.length > 0) had.set(0, document.createNode(first))
    else document.set("models", document.createNode(models))
  }
  // Lists are indented as they were.
  return document.toString({ lineWidth: 0, indentSeq: !/:[ \t]*(#.*)?\n- /.test(text) })
}
