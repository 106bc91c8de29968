/** How fast an engine answers one conversation alone. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Engine, EngineError, InferenceRequest } from "./engine.ts"

const measuredMs = 1_000
const warmUpTokens = 4
/** A slow model is given the time for two tokens, for between them lies what is measured. */
const tokensMin = 2
const answersMax = 10_000

/** In tokens a second, after a warm-up, over a second or two tokens, whichever takes longer. */
export const measureSpeed = Effect.fn("measureSpeed")(function* (
  engine: Engine
): Effect.fn.Return<number, EngineError> {
  yield* Stream.runDrain(engine.generate({ ...question, answerTokensMax: warmUpTokens }))
  let tokens = 0
  let spentMs = 0
  for (let answers = 0; answers < answersMax && (spentMs < measuredMs || tokens < tokensMin); answers++) {
    let lastMs: number | undefined
    yield* Stream.runForEachWhile(engine.generate({ ...question, seed: answers }), (token) =>
      Effect.map(Clock.currentTimeNanos, (nanos) => {
        const nowMs = Number(nanos) / 1e6
        // From the first token on: before it is the prompt. Each step tells of one token, if only of a part of a
        // character.
        if (token.type !== "finish" && lastMs !== undefined) {
          tokens += 1
          spentMs += nowMs - lastMs
        }
        lastMs = token.type === "text" || lastMs !== undefined ? nowMs : undefined
        return spentMs < measuredMs || tokens < tokensMin
      })
    )
  }
  return spentMs > 0 ? (tokens * 1000) / spentMs : 0
})

const question: InferenceRequest = {
  id: "speed",
  user: "speed",
  messages: [{ role: "user", content: "Tell me a long story of a ship and of the people on it." }],
  answerTokensMax: 100_000,
  temperature: 1,
  stop: []
}
