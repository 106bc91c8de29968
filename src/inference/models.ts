/** The engine that a model's configuration names. */
import { stat } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { durationMsOf } from "../domain/amounts.ts"
import type { OpenEngine } from "./engine.ts"
import { readGgufHead } from "./gguf-head.ts"
import { openLlama } from "./llama.ts"
import { memoryNeeded, shapeOf } from "./memory-needed.ts"
import type { Need, PooledModel } from "./model-life.ts"
import { openOpenai } from "./openai.ts"
import type { WorkerEvent } from "./worker-process.ts"

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
  /** How long it stays in memory after its last request, as durationMsOf reads it. */
  readonly keepAlive?: string | number | undefined
}

export interface OpenaiSpec {
  readonly name: string
  readonly engine: "openai"
  /** One of these two. Several serve the same model, with the same key. */
  readonly baseUrl?: string | undefined
  readonly baseUrls?: ReadonlyArray<string> | undefined
  readonly apiKey?: Redacted.Redacted | undefined
  readonly model?: string | undefined
  /** Of each server, as its cache is. */
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

/** What the pool makes of it. The first is the default, which is kept for ever unless it is configured otherwise. */
export function pooledModel(spec: ModelSpec, isFirst: boolean): PooledModel {
  const { name, slots, ...sizes } = spec
  const servers = spec.engine === "openai" ? baseUrlsOf(spec).length : 1
  return {
    name,
    slotsMax: slots * servers,
    ...roomOf(sizes, servers),
    keepAliveMs: keepAliveMsOf(spec, isFirst),
    need: spec.engine === "openai" ? Effect.succeed({ bytes: 0, isDoubtful: false }) : needOf(spec),
    open: (watch) => openSpec(spec, watch)
  }
}

export function baseUrlsOf({ baseUrl, baseUrls = [] }: OpenaiSpec): ReadonlyArray<string> {
  return baseUrl === undefined ? baseUrls : [baseUrl]
}

const keepAliveDefaultMs = 600_000

/** A model on another server is not ours to unload. */
function keepAliveMsOf(spec: ModelSpec, isFirst: boolean): number {
  if (spec.engine === "openai") return Number.POSITIVE_INFINITY
  const configured = spec.keepAlive === undefined ? undefined : durationMsOf(spec.keepAlive)
  return configured ?? (isFirst ? Number.POSITIVE_INFINITY : keepAliveDefaultMs)
}

/** Of one on a graphics card only what the process around it takes: how much the card has is not known here. */
const needOf = Effect.fnUntraced(function* ({ contextTokens, file, gpu, slots }: LlamaSpec): Effect.fn.Return<Need> {
  const read = yield* Effect.result(readGgufHead(file))
  if (Result.isFailure(read)) return { bytes: yield* Effect.promise(() => sizeOf(file)), isDoubtful: true }
  const { fileBytes, head } = read.success
  const needed = memoryNeeded(head.weightBytes, shapeOf(head), { contextTokens, slots })
  const isOnCard = gpu !== undefined && gpu !== false
  return { bytes: isOnCard ? needed.workBytes : needed.bytes, isDoubtful: fileBytes < head.endBytes }
})

const sizeOf = (file: string) =>
  stat(file).then(
    ({ size }) => size,
    () => 0
  )

interface Sizes {
  readonly cacheTokens?: number | undefined
  readonly contextTokens?: number
}

/** Each sequence of a worker of ours has its context to itself. */
function roomOf({ cacheTokens, contextTokens }: Sizes, servers: number) {
  if (contextTokens !== undefined) return { contextTokens }
  return cacheTokens === undefined ? {} : { cacheTokensMax: cacheTokens * servers }
}

/** `watch` is told of each worker that comes or goes. */
export function openSpec(spec: ModelSpec, watch?: (event: WorkerEvent) => void): OpenEngine {
  if (spec.engine === "openai") {
    const { apiKey, model, name, slots } = spec
    return openOpenai({
      name,
      baseUrls: baseUrlsOf(spec),
      slotsMax: slots,
      ...openaiLimits,
      ...(apiKey && { apiKey: Redacted.value(apiKey) }),
      ...(model !== undefined && { model })
    })
  }
  const { cacheMb, contextTokens, file, gpu, name, slots, threads } = spec
  const cacheBytesMax = cacheMb === undefined ? undefined : cacheMb * 1024 ** 2
  const graphics = gpu === undefined || gpu === false ? false : "auto"
  const sizes = { slotsMax: slots, contextTokens, cacheBytesMax }
  const fixed = threads === undefined ? {} : { threads }
  const watched = watch === undefined ? {} : { watch }
  return openLlama({ name, file, ...sizes, gpu: graphics, ...fixed, ...watched, progressMaxMs, loadMaxMs })
}
