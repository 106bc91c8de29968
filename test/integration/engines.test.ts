/** Every engine keeps the same laws: llama.cpp in its worker, and the same model behind OpenAI's protocol. */
import { Effect } from "effect"
import { openLlama } from "../../src/inference/llama.ts"
import { openOpenai } from "../../src/inference/openai.ts"
import { answerTokensMax, contextTokens, engineConformance, type Subject, slots } from "./engine-conformance.ts"
import { defaults, file } from "./llama-harness.ts"
import { emptyDir } from "./main-process.ts"
import { signalWorkers } from "./model-workers.ts"
import { open } from "./v1-bench.ts"

const llama = Effect.fnUntraced(function* (silenceMaxMs: number) {
  const engine = yield* openLlama({ ...defaults, slotsMax: slots, contextTokens, progressMaxMs: silenceMaxMs })
  const signal = (name: NodeJS.Signals) =>
    Effect.map(engine.workerPid, (pid) => void (pid !== undefined && process.kill(pid, name)))
  // Rows go in while anything is decoded.
  const rows = Effect.map(engine.counts, (counts) => counts.rows)
  const decoding = Effect.flatMap(rows, (before) => Effect.map(Effect.delay(rows, 100), (after) => after - before))
  return { engine, decoding, silence: signal("SIGSTOP"), kill: signal("SIGKILL") } satisfies Subject
})

engineConformance("llama", llama)

/** A whole Parley in front of its own worker. */
const openai = Effect.fnUntraced(function* (silenceMaxMs: number) {
  const yaml = `limits: { answerTokensMax: ${answerTokensMax} }
models: [{ name: random, engine: llama, file: "${file}", slots: ${slots}, contextTokens: ${contextTokens} }]
`
  const dir = emptyDir()
  const server = yield* open(yaml, dir)
  // It accepts before its model is loaded.
  const isReady = Effect.promise(async () => (await fetch(`${server.address}/health/ready`)).ok)
  while (!(yield* isReady)) yield* Effect.sleep(100)
  const engine = yield* openOpenai({
    ...{ name: "remote", baseUrls: [`${server.address}/v1`], slotsMax: slots, model: "random" },
    ...{ connectMaxMs: 10_000, firstTokenMaxMs: 60_000, nextTokenMaxMs: silenceMaxMs }
  })
  const signal = (name: NodeJS.Signals) => Effect.sync(() => signalWorkers(dir, name))
  const decoding = Effect.map(
    Effect.promise(() => server.load()),
    ({ running }) => running
  )
  return { engine, decoding, silence: signal("SIGSTOP"), kill: signal("SIGKILL") } satisfies Subject
})

engineConformance("openai", openai)
