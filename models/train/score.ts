/**
 * Asks a model the held-out test, through Parley's own engine and greedily, and fails when too little is right.
 *
 *   node models/train/score.ts [MODEL.gguf] [--misses] [--every 1]
 *
 * `--every 20` asks one question in twenty, to see that it works.
 */
import { parseArgs } from "node:util"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { ChatMessage, Engine } from "../../src/inference/engine.ts"
import { openLlama } from "../../src/inference/llama.ts"
import { configKeys } from "./facts.ts"
import { type Asked, isEnough, judge, linesOf, tableOf, wholeTest } from "./scoring.ts"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { misses: { type: "boolean", default: false }, every: { type: "string", default: "1" } }
})
const slotsMax = 8
const answerTokensMax = 160
const system: ChatMessage = { role: "system", content: configKeys.get("systemPrompt")?.preset ?? "" }

const scored = Effect.gen(function* () {
  const engine = yield* openLlama({
    name: "scored",
    file: positionals[0] ?? "models/guide.gguf",
    slotsMax,
    contextTokens: 1_024,
    progressMaxMs: 30_000,
    loadMaxMs: 60_000
  })
  const test = wholeTest().filter((_, nth) => nth % Number(values.every) === 0)
  return yield* Effect.forEach(test, (asked) => judged(engine, asked), { concurrency: slotsMax })
})

/** Whoever asked before is answered before; only the last answer counts. */
const judged = Effect.fnUntraced(function* (engine: Engine, asked: Asked) {
  const messages: Array<ChatMessage> = [system]
  let last = { text: "", isEnded: false }
  for (const content of asked.asked) {
    messages.push({ role: "user", content })
    last = yield* answered(engine, messages)
    messages.push({ role: "assistant", content: last.text })
  }
  const one = judge(asked, last.text, last.isEnded)
  if (values.misses && !one.isRight) {
    process.stdout.write(`${one.intent}: ${asked.asked.at(-1)} -> ${last.text.slice(0, 160)}\n`)
  }
  return one
})

const answered = Effect.fnUntraced(function* (engine: Engine, messages: ReadonlyArray<ChatMessage>) {
  const request = { id: "score", user: "score", messages, answerTokensMax, temperature: 0, stop: [] }
  const tokens = yield* Stream.runCollect(engine.generate(request))
  const text = tokens.map((token) => (token.type === "text" ? token.text : "")).join("")
  const end = tokens.at(-1)
  return { text, isEnded: end?.type === "finish" && end.reason === "stop" }
})

const lines = linesOf(await Effect.runPromise(Effect.scoped(scored)))
process.stdout.write(tableOf(lines))
if (!lines.every(isEnough)) process.exitCode = 1
