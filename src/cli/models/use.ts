/** `parley models use`: the model is tried first, and then written into the configuration. */
import { existsSync } from "node:fs"
import { stat } from "node:fs/promises"
import { basename, join, resolve } from "node:path"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import { nearestKey } from "../../domain/nearest-key.ts"
import type { ConfigError, Flags } from "../config.ts"
import type { Environment } from "../config-document.ts"
import { withModel } from "../config-edit.ts"
import { type ConfigText, parsed, readConfigText } from "../config-load.ts"
import { replaceFile } from "../replace-file.ts"
import { fileWords, ModelTrouble } from "./model-trouble.ts"
import { modelsDir } from "./pull.ts"
import { pulledFiles } from "./shelf.ts"
import { type Trial, tryModel } from "./trial.ts"

export interface UseOptions {
  /** `built-in`, a name in the models folder, or a path. */
  readonly model: string
  readonly environment: Environment
  readonly flags: Flags & { readonly config?: string }
  /** Told when the loading begins. */
  readonly loading: (what: string) => Effect.Effect<void>
}

export interface Used {
  /** Undefined: the built-in one. */
  readonly file: string | undefined
  readonly configPath: string
  readonly trial: Trial
}

export const builtInName = "built-in"

export const useModel = Effect.fn("useModel")(function* ({
  environment,
  flags,
  loading,
  model
}: UseOptions): Effect.fn.Return<Used, ModelTrouble | ConfigError, FileSystem.FileSystem> {
  const read = readConfigText(environment, flags.config, "always")
  const before = yield* read
  const { dataDir } = yield* parsed(before, environment, flags)
  const file = model === builtInName ? undefined : yield* fileOf(model, modelsDir(dataDir))
  // What the file will say counts here, whatever the environment says of models.
  const { models } = yield* parsed(yield* edited(before, file), { ...environment, PARLEY_MODEL: undefined }, flags)
  yield* loading(file ?? "the built-in model")
  const trial = yield* tryModel(models[0])
  // Loading takes minutes, and somebody may have edited the file meanwhile.
  const after = yield* edited(yield* read, file)
  yield* parsed(after, { ...environment, PARLEY_MODEL: undefined }, flags)
  yield* write(after)
  return { file, configPath: before.path, trial }
})

const edited = ({ path, text = "" }: ConfigText, file: string | undefined) =>
  Effect.map(Effect.fromResult(withModel(path, text, file)), (text) => ({ path, text }))

/** A name in the models folder, with or without its ending, comes before a path. */
const fileOf = Effect.fnUntraced(function* (model: string, dir: string) {
  const named = [join(dir, model), join(dir, `${model}.gguf`)].filter(() => !model.includes("/"))
  const found = [...named, model].map((path) => resolve(path)).find((path) => existsSync(path))
  if (found !== undefined) return found
  const names = (yield* pulledFiles(dir)).map((path) => basename(path).replace(/\.gguf$/i, ""))
  const nearest = nearestKey(model, [...names, builtInName])
  const mend =
    nearest !== undefined
      ? `Did you mean ${nearest}?`
      : names.length > 0
        ? `There is: ${[builtInName, ...names].join(", ")}.`
        : "Get one with parley models pull, or give the path of a GGUF file."
  return yield* new ModelTrouble({ reason: `there is no model ${model} in ${dir}, and no such file. ${mend}` })
})

const write = ({ path, text }: { readonly path: string; readonly text: string }) =>
  Effect.tryPromise({
    try: async () => {
      const isFile = await stat(path).then(
        (found) => found.isFile(),
        () => true
      )
      if (!isFile) throw new Error("it is not a file")
      await replaceFile(path, text)
    },
    catch: (cause) => {
      const reason = `the model answers, but ${path} cannot be written: ${fileWords(cause)}. Nothing was changed.`
      return new ModelTrouble({ reason })
    }
  })
