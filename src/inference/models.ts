/** The engine that a model's configuration names. */
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { type Background, openInBackground } from "./background.ts"
import type { OpenEngine } from "./engine.ts"
import { openLlama } from "./llama.ts"
import { openOpenai } from "./openai.ts"

export type ModelSpec = LlamaSpec | OpenaiSpec

export interface LlamaSpec {
  readonly name: string
  readonly engine: "llama"
  readonly file: string
  readonly slots: number
  readonly contextTokens: number
  readonly cacheMb?: number | undefined
  readonly gpu?: string | false | undefined
  readonly threads?: number | undefined
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

/** More than a few steps: a worker that was swapped out may take seconds. */
const progressMaxMs = 30_000
/** Large models on slow disks take minutes. */
const loadMaxMs = 300_000
const openaiLimits = { connectMaxMs: 5_000, firstTokenMaxMs: 120_000, nextTokenMaxMs: 30_000 }

/** What runs where no model is configured: the guide, which is small, knows little and says so (models/guide.md). */
export const builtIn: LlamaSpec = {
  name: "built-in",
  engine: "llama",
  file: fileURLToPath(new URL("../../models/guide.gguf", import.meta.url)),
  slots: 4,
  contextTokens: 1024
}

/** Opens the model in the background; without a configuration, the guide. */
export const openModel = (spec: ModelSpec | undefined): Effect.Effect<Background, never, Scope.Scope> => {
  const { name, slots: slotsMax, ...sizes } = spec ?? builtIn
  const open = spec === undefined ? Effect.andThen(Effect.logInfo(aboutBuiltIn), openSpec(builtIn)) : openSpec(spec)
  return openInBackground({ name, slotsMax, ...roomOf(sizes), open })
}

interface Sizes {
  readonly cacheTokens?: number | undefined
  readonly contextTokens?: number
}

/** Each sequence of a worker of ours has its context to itself. */
function roomOf({ cacheTokens, contextTokens }: Sizes) {
  if (contextTokens !== undefined) return { contextTokens }
  return cacheTokens === undefined ? {} : { cacheTokensMax: cacheTokens }
}

const aboutBuiltIn =
  "no model is configured: the built-in guide answers, which knows Parley and little else. PARLEY_MODEL names another"

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
  const { cacheMb, contextTokens, file, gpu, name, slots, threads } = spec
  const cacheBytesMax = cacheMb === undefined ? undefined : cacheMb * 1024 ** 2
  const graphics = gpu === undefined || gpu === false ? false : "auto"
  const fixed = threads === undefined ? {} : { threads }
  const sizes = { slotsMax: slots, contextTokens, cacheBytesMax }
  return openLlama({ name, file, ...sizes, gpu: graphics, ...fixed, progressMaxMs, loadMaxMs })
}
