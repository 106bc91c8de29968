/**
 * The configuration of a server: command line > environment > file > default, checked as one.
 *
 *   F1. Every problem is reported at once, each with where it was written and what would be right.
 *   F2. No problem shows the value of a secret, nor any text of the file but its keys.
 *   F3. Any text at all gives a `Config` or a `ConfigError`.
 */
import * as Data from "effect/Data"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { builtIn } from "../inference/models.ts"
import { type ConfigDocument, type Environment, type Path, readDocument } from "./config-document.ts"
import { nameOf, type Origin, printable, problemsOf } from "./config-problems.ts"
import { type Config, ConfigFile, type ModelConfig } from "./config-schema.ts"
import { isLoopbackHost } from "./loopback-host.ts"

export interface ConfigInput {
  /** The text of the file, and how messages call it; undefined where there is no file. */
  readonly file: { readonly name: string; readonly text: string } | undefined
  readonly environment: Environment
  readonly flags: Flags
}

/** What was given on the command line, as it was written. */
export interface Flags {
  readonly host?: string
  readonly port?: string
  readonly data?: string
}

/** The server cannot start with this configuration. Each problem is a sentence for an operator. */
export class ConfigError extends Data.TaggedError("ConfigError")<{
  readonly problems: ReadonlyArray<string>
  readonly message: string
}> {
  static of(problems: ReadonlyArray<string>): ConfigError {
    const distinct = [...new Set(problems)]
    const more = distinct.length - problemsMax
    const listed = more > 0 ? [...distinct.slice(0, problemsMax), `and ${more} more`] : distinct
    return new ConfigError({ problems: listed, message: listed.join("\n") })
  }
}

const problemsMax = 50

/** The keys of the file that something outside of it replaces. */
type Given = Partial<Record<keyof Config, Origin & { readonly value: unknown }>>

export function parseConfig(input: ConfigInput): Result.Result<Config, ConfigError> {
  return Result.map(readConfig(input), ({ config }) => config)
}

/** A configuration, and where each value of it was written; undefined for defaults. */
export interface SourcedConfig {
  readonly config: Config
  readonly originOf: (path: Path) => Origin | undefined
}

export function readConfig({ environment, file, flags }: ConfigInput): Result.Result<SourcedConfig, ConfigError> {
  const name = file?.name ?? "parley.yaml"
  const document = readDocument(file?.text ?? "", environment)
  const ofText = document.problems.map(({ line, words }) => `${name}:${line}: ${words}`)
  if (document.value === undefined) return Result.fail(ConfigError.of(ofText))
  const given = { ...fromEnvironment(environment), ...fromFlags(flags) }
  const originOf = (path: Path) => givenAt(given, path) ?? writtenAt(document, name, path)
  const input = overlaid(document.value, given)
  const decoded = Schema.decodeUnknownResult(ConfigFile)(input, { errors: "all", onExcessProperty: "error" })
  const problems = Result.match(decoded, {
    onSuccess: (config) => contradictionsOf(config, originOf),
    onFailure: ({ issue }) =>
      problemsOf(issue, input, originOf).flatMap(({ path, words }) =>
        // What is said about the text of a line is the cause of what the schema finds in it.
        document.problems.some(({ line }) => line === document.lineOf(path)) && !givenAt(given, path) ? [] : [words]
      )
  })
  if (ofText.length + problems.length > 0) return Result.fail(ConfigError.of([...ofText, ...problems]))
  const sourceOf = (path: Path) =>
    givenAt(given, path) ?? (isWritten(document.value, path) ? writtenAt(document, name, path) : undefined)
  return Result.mapBoth(decoded, {
    onFailure: () => ConfigError.of(problems),
    onSuccess: (config) => ({ config, originOf: sourceOf })
  })
}

function isWritten(value: unknown, [step, ...rest]: Path): boolean {
  if (step === undefined) return true
  return typeof value === "object" && value !== null && step in value && isWritten(Reflect.get(value, step), rest)
}

/** An empty variable counts as not set: this is what `NAME: ${NAME:-}` of a compose file gives. */
function fromEnvironment(environment: Environment): Given {
  const take = (name: string, value: (text: string) => unknown, isShown: boolean) => {
    const text = environment[name] ?? ""
    return text === ""
      ? undefined
      : { name, where: "environment", value: value(text), ...(isShown && { shown: quoted(text) }) }
  }
  return defined({
    host: take("HOST", asText, true),
    port: take("PORT", asNumber, true),
    databaseUrl: take("DATABASE_URL", asText, false),
    dataDir: take("PARLEY_DATA", asText, true),
    models: take("PARLEY_MODEL", asModels, false),
    token: take("PARLEY_TOKEN", asText, false),
    otlpEndpoint: take("OTEL_EXPORTER_OTLP_ENDPOINT", asText, false),
    debug: take("AI_DEBUG", asBoolean, true)
  })
}

function fromFlags(flags: Flags): Given {
  const take = (name: string, text: string | undefined, value: (text: string) => unknown) =>
    text === undefined ? undefined : { name, where: "command line", value: value(text), shown: quoted(text) }
  return defined({
    host: take("--host", flags.host, asText),
    port: take("--port", flags.port, asNumber),
    dataDir: take("--data", flags.data, asText)
  })
}

function defined(given: { readonly [K in keyof Given]: Given[K] | undefined }): Given {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}

const asText = (text: string) => text
const asNumber = (text: string) => (/^[0-9]{1,9}$/.test(text) ? Number(text) : text)
const asBoolean = (text: string) => ({ true: true, "1": true, false: false, "0": false })[text] ?? text
const asModels = (text: string) =>
  /^https?:/.test(text) ? [{ engine: "openai", baseUrl: text }] : [{ engine: "llama", file: text }]

const quoted = (text: string) => `\`${printable(text)}\``

function overlaid(value: unknown, given: Given): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value
  return { ...value, ...Object.fromEntries(Object.entries(given).map(([key, origin]) => [key, origin.value])) }
}

function givenAt(given: Given, [key]: Path): Origin | undefined {
  return Object.entries(given).find(([name]) => name === key)?.[1]
}

function writtenAt(document: ConfigDocument, file: string, path: Path): Origin {
  return { name: nameOf(path) || "the file", where: `${file}:${document.lineOf(path)}` }
}

/** What no key is wrong about by itself. */
function contradictionsOf(config: Config, originOf: (path: Path) => Origin): ReadonlyArray<string> {
  const at = (path: Path) => `${originOf(path).name} (${originOf(path).where})`
  const repeated = (list: "channels" | "models", key: string, names: ReadonlyArray<string>) =>
    names.flatMap((name, index) => {
      const first = names.indexOf(name)
      return first === index ? [] : [`${at([list, index, key])}: ${at([list, first])} has the same ${key}`]
    })
  const open =
    isLoopbackHost(config.host) || config.token !== undefined
      ? []
      : [
          `${at(["host"])}: other machines can reach this address, and there is no token. ` +
            "This sets one: export PARLEY_TOKEN=$(openssl rand -hex 32)"
        ]
  const names = config.models.length === 0 ? [builtIn.name] : config.models.map(({ name }) => name)
  const unknown = (path: Path, model: string | undefined) =>
    model === undefined || names.includes(model)
      ? []
      : [`${at(path)}: there is no model \`${model}\`; there is: ${names.join(", ")}`]
  return [
    ...open,
    ...unknown(["web", "model"], config.web.model),
    ...config.channels.flatMap(({ model }, index) => unknown(["channels", index, "model"], model)),
    ...repeated(
      "channels",
      "account",
      config.channels.map(({ account, kind }) => `${kind}/${account}`)
    ),
    ...repeated(
      "models",
      "name",
      config.models.map(({ name }) => name)
    ),
    ...config.models.flatMap((model, index) => addressTrouble(model, ["models", index], at))
  ]
}

function addressTrouble(model: ModelConfig, path: Path, at: (path: Path) => string): ReadonlyArray<string> {
  if (model.engine === "llama") return []
  const { baseUrl, baseUrls } = model
  if (baseUrl === undefined && baseUrls === undefined) {
    return [`${at(path)}: \`baseUrl\` is missing: expected the address of a server, such as http://127.0.0.1:8000/v1`]
  }
  if (baseUrl !== undefined && baseUrls !== undefined) {
    return [`${at([...path, "baseUrls"])}: there is a \`baseUrl\` as well: put all addresses into \`baseUrls\``]
  }
  return repeatedUrls(baseUrls ?? []).map((nth) => `${at([...path, "baseUrls", nth])}: this address is there twice`)
}

function repeatedUrls(urls: ReadonlyArray<string>): ReadonlyArray<number> {
  const plain = urls.map((url) => new URL(url).href.replace(/\/$/, ""))
  return plain.flatMap((url, index) => (plain.indexOf(url) === index ? [] : [index]))
}
