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

export type ModelSpec = LlamaSpec | OpenaiSpec

export interface LlamaSpec {
  readonly name: string
  readonly engine: "llama"
  readonly file: string
  readonly slots: number
  readonly contextTokens: number
  readonly gpu?: string | false | undefined
}

export interface OpenaiSpec {
  readonly name: string
  readonly engine: "openai"
  readonly baseUrl: string
  readonly apiKey?: Redacted.Redacted | undefined
  readonly model?: string | undefined
  readonly slots: number
  readonly cacheTokens?: number | undefined
}

/** A decode step takes milliseconds; a worker that was swapped out may take seconds. */
const progressMaxMs = 30_000
/** Large models on slow disks take minutes. */
const loadMaxMs = 300_000
const openaiLimits = { connectMaxMs: 5_000, firstTokenMaxMs: 120_000, nextTokenMaxMs: 30_000 }

/** What runs where no model is configured. */
export const builtIn = (dataDir: string): LlamaSpec => ({
  name: "built-in",
  engine: "llama",
  file: join(dataDir, "random.gguf"),
  slots: 4,
  contextTokens: 1024
})

/** Opens the model in the background; without a configuration, a tiny random one that is made in `dataDir`. */
export const openModel = (
  spec: ModelSpec | undefined,
  dataDir: string
): Effect.Effect<Background, never, Scope.Scope> => {
  const { name, slots: slotsMax, ...sizes } = spec ?? builtIn(dataDir)
  const open = spec === undefined ? openBuiltIn(dataDir) : openSpec(spec)
  return openInBackground({ name, slotsMax, ...roomOf(sizes), open })
}

/** Each sequence of a worker of ours has its context to itself. */
function roomOf({
  cacheTokens,
  contextTokens
}: {
  readonly cacheTokens?: number | undefined
  readonly contextTokens?: number
}) {
  if (contextTokens !== undefined) return { contextTokens }
  return cacheTokens === undefined ? {} : { cacheTokensMax: cacheTokens }
}

export function openSpec(spec: ModelSpec): OpenEngine {
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

/** Until a trained model ships with Parley: it babbles, through the same engine as any other. */
const openBuiltIn = Effect.fn("openBuiltIn")(function* (dataDir: string) {
  const spec = builtIn(dataDir)
  yield* Effect.logWarning(
    "no model is configured: a tiny random one answers, in babble. Set PARLEY_MODEL to a GGUF file"
  )
  yield* Effect.tryPromise({
    try: async () => {
      await mkdir(dataDir, { recursive: true, mode: 0o700 })
      if (!existsSync(spec.file)) await writeRandomModel(spec.file)
    },
    catch: (cause) =>
      new EngineBroken({ model: spec.name, reason: `${spec.file} could not be written: ${String(cause)}` })
  })
  return yield* openSpec(spec)
})
