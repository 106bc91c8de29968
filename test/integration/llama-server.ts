/** node llama-server.ts MODEL: a server that dies while its worker answers. Prints the worker's process id. */
import { Effect, References, Stream } from "effect"
import { openLlama } from "../../src/inference/llama.ts"

const file = process.argv[2]!
const options = { name: "doomed", file, slotsMax: 2, contextTokens: 2_048, progressMaxMs: 20_000, loadMaxMs: 20_000 }
const request = { id: "1", user: "ann", answerTokensMax: 1_000, temperature: 1, stop: [] }

const answerForEver = Effect.gen(function* () {
  const engine = yield* openLlama(options)
  const messages = [{ role: "user" as const, content: "Talk." }]
  const forEver = Effect.forever(Stream.runDrain(engine.generate({ ...request, messages })))
  yield* Effect.forkScoped(forEver)
  yield* Effect.forkScoped(forEver)
  process.stdout.write(`${yield* engine.workerPid}\n`)
  yield* Effect.never
})

await Effect.runPromise(Effect.scoped(Effect.provideService(answerForEver, References.MinimumLogLevel, "None")))
