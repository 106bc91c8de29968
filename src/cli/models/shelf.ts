/** Every model that can be used here: the built-in one, those of the configuration, and the files that were pulled. */
import { readdir, stat } from "node:fs/promises"
import { basename, resolve } from "node:path"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { readGgufHead } from "../../inference/gguf-head.ts"
import { shapeOf } from "../../inference/memory-needed.ts"
import { baseUrlsOf, builtIn } from "../../inference/models.ts"
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
  const files = yield* pulledFiles(modelsDir(dataDir))
  const configured = models.map((model) => (model.engine === "llama" ? resolve(model.file) : undefined))
  const others = files.filter((file) => !configured.includes(file))
  return [
    yield* modelOf(builtIn.name, builtIn.file, models.length === 0),
    ...(yield* Effect.forEach(models, (model) => configuredModel(model))),
    ...(yield* Effect.forEach(others, (file) => modelOf(basename(file), file, false)))
  ]
})

const configuredModel = (model: ModelConfig): Effect.Effect<ShelfModel> =>
  model.engine === "llama"
    ? modelOf(model.name, resolve(model.file), true)
    : Effect.succeed({ name: model.name, isInUse: true, where: baseUrlsOf(model).join(", ") })

const modelOf = Effect.fnUntraced(function* (
  name: string,
  file: string,
  isInUse: boolean
): Effect.fn.Return<ShelfModel> {
  const base = { name, isInUse, where: file }
  const sizeBytes = yield* Effect.promise(() => sizeOf(file))
  if (sizeBytes === undefined) return { ...base, problem: "is not there" }
  const read = yield* Effect.result(readGgufHead(file))
  const record = yield* readRecord(file)
  const known = { ...base, sizeBytes, ...(record !== undefined && { sha256: record.sha256, source: record.source }) }
  if (Result.isFailure(read)) return { ...known, problem: read.failure.problem }
  const { head } = read.success
  const { architecture, trainedContext } = shapeOf(head)
  return {
    ...known,
    architecture,
    quantisation: head.quantisation,
    parameters: head.parameters,
    ...(trainedContext !== undefined && { contextTokens: trainedContext })
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
