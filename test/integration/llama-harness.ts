/** What the tests of the llama engine share: a random model in a folder of its own, and short questions to it. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Schedule, Stream } from "effect"
import { afterAll, beforeAll } from "vitest"
import { writeRandomModel } from "../../models/random-model.ts"
import type { EngineError, InferenceRequest, Token } from "../../src/inference/engine.ts"
import { type LlamaEngine, type LlamaOptions, openLlama } from "../../src/inference/llama.ts"

export const directory = mkdtempSync(join(tmpdir(), "parley-llama-"))
export const file = join(directory, "random.gguf")
beforeAll(() => writeRandomModel(file))
afterAll(() => rmSync(directory, { recursive: true }))

export const slotsMax = 8
export const defaults: LlamaOptions = {
  name: "random",
  file,
  slotsMax,
  contextTokens: 512,
  progressMaxMs: 20_000,
  loadMaxMs: 20_000,
  restartDelayMinMs: 20
}
export class Llama extends Context.Service<Llama, LlamaEngine>()("test/Llama") {}
export const llama = Layer.effect(
  Llama,
  Effect.suspend(() => openLlama(defaults))
)

export const asked = (content: string, more: Partial<InferenceRequest> = {}): InferenceRequest => ({
  id: content,
  user: "ann",
  messages: [{ role: "user", content }],
  answerTokensMax: 40,
  temperature: 0,
  stop: [],
  ...more
})

export const textOf = (tokens: ReadonlyArray<Token>) => tokens.map((t) => (t.type === "text" ? t.text : "")).join("")
export const endOf = (tokens: ReadonlyArray<Token>) => {
  const end = tokens.at(-1)
  assert(end?.type === "finish")
  return end
}
export const answer = (engine: LlamaEngine, request: InferenceRequest) => Stream.runCollect(engine.generate(request))
export const answerText = (engine: LlamaEngine, request: InferenceRequest) =>
  Effect.map(answer(engine, request), textOf)

/** Answers for as long as it is let, and is running when this returns. */
export const answering = Effect.fnUntraced(function* (engine: LlamaEngine, content: string) {
  const before = yield* engine.counts
  const request = asked(content, { answerTokensMax: 250, temperature: 1.5, seed: 7 })
  const fiber = yield* Effect.forkChild(Effect.forever(Stream.runDrain(engine.generate(request))))
  yield* until(Effect.map(engine.counts, ({ steps }) => steps > before.steps + 1))
  return fiber
})

export const until = (condition: Effect.Effect<boolean>) =>
  condition.pipe(
    Effect.repeat({ until: (holds: boolean) => holds, schedule: Schedule.spaced(5) }),
    Effect.timeoutOrElse({ duration: 15_000, orElse: () => Effect.die("it did not come to pass") })
  )

export const lost = (fiber: Fiber.Fiber<never, EngineError>) => Effect.flip(Fiber.join(fiber))

/** A process whose parent is gone may wait to be reaped for ever, as a zombie. */
export function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"))
  } catch {
    return false
  }
}

export const words = [
  "Hello!",
  "How are you?",
  "你好吗?",
  "What is the capital of France?",
  "One and two",
  "😀",
  "tell me",
  "a"
]
