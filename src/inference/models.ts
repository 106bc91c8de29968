/** The engine that a model's configuration names. */
import { existsSync } from "node:fs"
import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { type Background, openInBackground } from "./background.ts"
import { EngineBroken, type OpenEngine } from "./engine.ts"
import { openLlama } from "./llama.ts"
import { openOpenai } from "./openai.ts"
import { writeRandomModel } from "./random-model.ts"

export type ModelSpec =
  | {
      readonly name: string
      readonly engine: "llama"
      readonly file: string
      readonly slots: number
      readonly contextTokens: number
      readonly gpu?: string | false | undefined
    }
  | {
      readonly name: string
      readonly engine: "openai"
      readonly baseUrl: string
      readonly apiKey?: Redacted.Redacted | undefined
      readonly model?: string | undefined
      readonly slots: number
    }

/** A decode step takes milliseconds; a worker that was swapped out may take seconds. */
const progressMaxMs = 30_000
/** Large models on slow disks take minutes. */
const loadMaxMs = 300_000
const openaiLimits = { connectMaxMs: 5_000, firstTokenMaxMs: 120_000, nextTokenMaxMs: 30_000 }
const builtInSlots = 4
const builtInContextTokens = 1024

/** Opens the model in the background; without a configuration, a tiny random one that is made in `dataDir`. */
export const openModel = (
  spec: ModelSpec | undefined,
  dataDir: string
): Effect.Effect<Background, never, Scope.Scope> =>
  openInBackground({
    name: spec?.name ?? "built-in",
    slotsMax: spec?.slots ?? builtInSlots,
    open: spec === undefined ? openBuiltIn(dataDir) : openSpec(spec)
  })

function openSpec(spec: ModelSpec): OpenEngine {
  if (spec.engine === "openai") {
    const { apiKey, baseUrl, model, name, slots } = spec
    return openOpenai({
      name,
      baseUrl,
      slotsMax: slots,
      ...openaiLimits,
      ...(apiKey && { apiKey: Redacted.value(apiKey) }),
      ...(model !== undefined && { model })
    })
  }
  const { contextTokens, file, gpu, name, slots } = spec
  const graphics = gpu === undefined || gpu === false ? false : "auto"
  return openLlama({ name, file, slotsMax: slots, contextTokens, gpu: graphics, progressMaxMs, loadMaxMs })
}

/** Where the built-in model lies once it was needed. */
export const builtInFile = (dataDir: string) => join(dataDir, "random.gguf")

/** Until a trained model ships with Parley: it babbles, through the same engine as any other. */
const openBuiltIn = Effect.fn("openBuiltIn")(function* (dataDir: string) {
  const file = builtInFile(dataDir)
  yield* Effect.logWarning(
    "no model is configured: a tiny random one answers, in babble. Set PARLEY_MODEL to a GGUF file"
  )
  yield* Effect.tryPromise({
    try: async () => {
      await mkdir(dataDir, { recursive: true, mode: 0o700 })
      if (!existsSync(file)) await writeRandomModel(file)
    },
    catch: (cause) => new EngineBroken({ model: "built-in", reason: `${file} could not be written: ${String(cause)}` })
  })
  return yield* openLlama({
    name: "built-in",
    file,
    slotsMax: builtInSlots,
    contextTokens: builtInContextTokens,
    progressMaxMs,
    loadMaxMs
  })
})
