/** Whether a model answers: it is loaded as the server would load it, and asked something. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { EngineError } from "../../inference/engine.ts"
import { builtIn, type ModelSpec, openSpec } from "../../inference/models.ts"
import { ModelTrouble } from "./model-trouble.ts"

export interface Trial {
  readonly question: string
  readonly answer: string
  readonly answerTokens: number
  readonly loadMs: number
  readonly answerMs: number
}

const question = "Say hello in one short sentence."
const answerTokensMax = 48

/** `spec` undefined is the built-in model. */
export const tryModel = Effect.fn("tryModel")(
  function* (spec: ModelSpec | undefined): Effect.fn.Return<Trial, ModelTrouble, Scope.Scope> {
    const begunMs = yield* Clock.currentTimeMillis
    const opened = openSpec(spec ?? builtIn)
    const engine = yield* Effect.mapError(opened, ({ reason }) => new ModelTrouble({ reason }))
    const loadedMs = yield* Clock.currentTimeMillis
    const tokens = yield* Stream.runCollect(
      engine.generate({
        id: "trial",
        user: "operator",
        messages: [{ role: "user", content: question }],
        answerTokensMax,
        temperature: 0,
        stop: []
      })
    ).pipe(Effect.mapError((error) => new ModelTrouble({ reason: `${engine.name} was loaded, ${wordsOf(error)}` })))
    const answer = tokens.map((token) => (token.type === "text" ? token.text : "")).join("")
    const end = tokens.at(-1)
    const answerTokens = end?.type === "finish" ? end.usage.answerTokens : 0
    if (answer.trim() === "") {
      return yield* new ModelTrouble({ reason: `${engine.name} was loaded, and answered a question with nothing.` })
    }
    return {
      question,
      answer,
      answerTokens,
      loadMs: loadedMs - begunMs,
      answerMs: (yield* Clock.currentTimeMillis) - loadedMs
    }
  },
  Effect.scoped,
  // What goes wrong is in the error.
  Effect.provide(Logger.layer([]))
)

function wordsOf(error: EngineError): string {
  switch (error._tag) {
    case "EngineBusy":
      return "and was busy."
    case "PromptTooLong":
      return `and has no room for a question: ${error.tokens} tokens, of ${error.tokensMax}. Give it more contextTokens.`
    default:
      return `and could not answer: ${error.reason}`
  }
}
