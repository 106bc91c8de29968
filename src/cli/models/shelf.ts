/** Every model that can be used here: the built-in one, those of the configuration, and the files that were pulled. */
import { readdir, stat } from "node:fs/promises"
import { basename, resolve } from "node:path"
import * as Effect from "effect/Effect"
import { readGgufHeader } from "../../inference/gguf-header.ts"
import { builtInFile } from "../../inference/models.ts"
import type { Config, ModelConfig } from "../config-schema.ts"
import { readRecord } from "./model-record.ts"
import { modelsDir } from "./pull.ts"

export interface ShelfModel {
  readonly name: string
  readonly isInUse: boolean
  /** A file, or the address of a server. */
  readonly where: string
  readonly sizeBytes?: number
  readonly architecture?: string
  readonly quantisation?: string
  readonly parameters?: number
  /** That it was trained for. */
  readonly contextTokens?: number
  readonly sha256?: string
  readonly source?: string
  /** Why it cannot be used, as far as its first bytes tell. */
  readonly problem?: string
}

/** The built-in one first, then those of the configuration, then the others by their names. */
export const shelf = Effect.fn("shelf")(function* (config: Pick<Config, "dataDir" | "models">) {
  const { dataDir, models } = config
  const builtIn = builtInFile(dataDir)
  const inUse = models[0]
  const files = yield* pulledFiles(modelsDir(dataDir))
  const configured = models.map((model) => (model.engine === "llama" ? resolve(model.file) : undefined))
  const others = files.filter((file) => !configured.includes(file))
  return [
    yield* builtInModel(builtIn, inUse === undefined),
    ...(yield* Effect.forEach(models, (model) => configuredModel(model, model === inUse))),
    ...(yield* Effect.forEach(others, (file) => modelOf(basename(file), file, false)))
  ]
})

const builtInModel = Effect.fnUntraced(function* (file: string, isInUse: boolean) {
  const model = yield* modelOf("built-in", resolve(file), isInUse)
  if (model.sizeBytes !== undefined) return model
  // It is made when it is first needed.
  return { name: "built-in", isInUse, where: model.where } satisfies ShelfModel
})

const configuredModel = (model: ModelConfig, isInUse: boolean): Effect.Effect<ShelfModel> =>
  model.engine === "llama"
    ? modelOf(model.name, resolve(model.file), isInUse)
    : Effect.succeed({ name: model.name, isInUse, where: model.baseUrl })

const modelOf = Effect.fnUntraced(function* (
  name: string,
  file: string,
  isInUse: boolean
): Effect.fn.Return<ShelfModel> {
  const base = { name, isInUse, where: file }
  const sizeBytes = yield* Effect.promise(() => sizeOf(file))
  if (sizeBytes === undefined) return { ...base, problem: "is not there" }
  const header = yield* readGgufHeader(file)
  const record = yield* readRecord(file)
  return {
    ...base,
    sizeBytes,
    ...(header?.architecture !== undefined && { architecture: header.architecture }),
    ...(header?.quantisation !== undefined && { quantisation: header.quantisation }),
    ...(header !== undefined && { parameters: header.parameters }),
    ...(header?.contextTokens !== undefined && { contextTokens: header.contextTokens }),
    ...(record !== undefined && { sha256: record.sha256, source: record.source }),
    ...(header === undefined && { problem: "is no GGUF file, or only the beginning of one" })
  }
})

async function sizeOf(file: string): Promise<number | undefined> {
  const found = await stat(file).catch(() => undefined)
  return found?.isFile() ? found.size : undefined
}

/** The paths of the models that were pulled, or put there. */
export const pulledFiles = (dir: string): Effect.Effect<ReadonlyArray<string>> =>
  Effect.promise(async () => {
    const names = await readdir(dir).catch(() => [])
    return names
      .filter((name) => /\.gguf$/i.test(name))
      .sort()
      .map((name) => resolve(dir, name))
  })
