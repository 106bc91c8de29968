/** Reads the configuration file, if there is one, and checks it together with the environment and the flags. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { ConfigError, type Flags, parseConfig, readConfig, type SourcedConfig } from "./config.ts"
import type { Environment } from "./config-document.ts"
import type { Config } from "./config-schema.ts"

const fileMaxBytes = 1024 * 1024
const defaultPath = "parley.yaml"
const reasons: Readonly<Record<string, string>> = {
  BadResource: "it is not a file",
  NotFound: "there is no such file",
  PermissionDenied: "this user may not read it"
}

export interface ConfigText {
  readonly path: string
  /** Undefined where there is no such file. */
  readonly text: string | undefined
}

/** `config` is the path of `--config`; without it and PARLEY_CONFIG, a missing `parley.yaml` is no error. */
export const loadConfig = Effect.fn("loadConfig")(function* (
  environment: Environment,
  flags: Flags & { readonly config?: string }
): Effect.fn.Return<Config, ConfigError, FileSystem.FileSystem> {
  const { path, text } = yield* readConfigText(environment, flags.config, "unless-named")
  return yield* parsed({ path, text }, environment, flags)
})

/** The configuration that a text would be, wherever it stands. */
export const parsed = ({ path, text }: ConfigText, environment: Environment, flags: Flags) =>
  Effect.fromResult(parseConfig({ environment, file: text === undefined ? undefined : { name: path, text }, flags }))

/** As `loadConfig`, and where each value was written. */
export const loadSources = Effect.fn("loadSources")(function* (
  environment: Environment,
  flags: Flags & { readonly config?: string }
): Effect.fn.Return<SourcedConfig & { readonly file: string | undefined }, ConfigError, FileSystem.FileSystem> {
  const { path, text } = yield* readConfigText(environment, flags.config, "unless-named")
  const file = text === undefined ? undefined : path
  const read = readConfig({ environment, file: text === undefined ? undefined : { name: path, text }, flags })
  return { ...(yield* Effect.fromResult(read)), file }
})

/** `mayBeMissing`: whether a file that is not there is no error, also when somebody named it. */
export const readConfigText = Effect.fn("readConfigText")(function* (
  environment: Environment,
  flag: string | undefined,
  mayBeMissing: "always" | "unless-named"
): Effect.fn.Return<ConfigText, ConfigError, FileSystem.FileSystem> {
  const named = namedPath(environment, flag)
  const path = named?.path ?? defaultPath
  const text = yield* readText(path).pipe(
    Effect.catchTag("PlatformError", (error) => {
      const isFine = mayBeMissing === "always" || named === undefined
      if (error.reason._tag === "NotFound" && isFine) return Effect.succeed(undefined)
      const who = named === undefined ? "" : `, which ${named.by} names,`
      const why = reasons[error.reason._tag] ?? error.reason._tag
      return Effect.fail(ConfigError.of([`${path}${who} cannot be read: ${why}`]))
    })
  )
  return { path, text }
})

function namedPath(environment: Environment, flag: string | undefined) {
  if (flag !== undefined) return { by: "--config", path: flag }
  const path = environment["PARLEY_CONFIG"] ?? ""
  return path === "" ? undefined : { by: "PARLEY_CONFIG", path }
}

/** At most one byte more than is allowed is read: the path may be a pipe, or never end. */
const readText = Effect.fnUntraced(function* (path: string) {
  const fileSystem = yield* FileSystem.FileSystem
  const chunks = yield* Stream.runCollect(fileSystem.stream(path, { bytesToRead: fileMaxBytes + 1 }))
  const bytes = Buffer.concat(chunks)
  if (bytes.length > fileMaxBytes) return yield* Effect.fail(ConfigError.of([`${path} is longer than 1 MiB`]))
  const text = Result.try(() => new TextDecoder("utf-8", { fatal: true }).decode(bytes))
  return yield* Effect.fromResult(Result.mapError(text, () => ConfigError.of([`${path} is not UTF-8 text`])))
})
