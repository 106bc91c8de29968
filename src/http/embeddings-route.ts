/** `POST /v1/embeddings`: OpenAI's, stateless, through the same scheduler as every conversation. */
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Stream from "effect/Stream"
import { randomId } from "../domain/random-id.ts"
import type { EmbeddingRequest } from "../inference/engine.ts"
import type { InferenceScheduler, Signal } from "../inference/scheduler.ts"
import { broken, embeddingErrorOf, errorResponse, lostMidway, overdue } from "./api-error.ts"
import { packsOf, readEmbeddingRequest } from "./embedding-request.ts"
import { begun, modelOf, readinessOf, user, type V1Options, whileReady } from "./v1-call.ts"

export const embeddingsRoute = (options: V1Options) =>
  HttpRouter.route("POST", "/v1/embeddings", (request) => answered(request, options))

const answered = Effect.fnUntraced(
  function* (request: HttpServerRequest.HttpServerRequest, options: V1Options) {
    const { limits, models } = options
    const asked = yield* Effect.fromResult(readEmbeddingRequest(yield* begun(request, options)))
    const { name, scheduler } = yield* modelOf(models, asked.model)
    const id = `embd-${randomId()}`
    yield* Effect.logDebug(`${id}: ${asked.inputs.length} inputs`)
    const requests = packsOf(asked.inputs).map((inputs, turn): EmbeddingRequest => {
      const { dimensions } = asked
      return { id: `${id}-${turn}`, user, inputs, ...(dimensions !== undefined && { dimensions }) }
    })
    // One after another: all inputs of a client hold one slot, and give it back after each turn.
    const embedding = Effect.forEach(requests, (one) => vectorsOf(scheduler, one))
    const turns = yield* whileReady(embedding, yield* readinessOf(scheduler)).pipe(
      Effect.timeoutOrElse({ duration: limits.turnMaxMs, orElse: () => Effect.fail(overdue) })
    )
    const vectors = turns.flatMap(({ vectors }) => vectors)
    const tokens = turns.reduce((sum, { promptTokens }) => sum + promptTokens, 0)
    const data = vectors.map((vector, index) => ({
      object: "embedding",
      index,
      embedding: asked.isBase64 ? vector : numbersOf(vector)
    }))
    const usage = { prompt_tokens: tokens, total_tokens: tokens }
    return HttpServerResponse.jsonUnsafe(
      { object: "list", data, model: name, usage },
      { headers: { "x-request-id": id, "cache-control": "no-store" } }
    )
  },
  Effect.catchTag("ApiError", (error) => Effect.succeed(errorResponse(error))),
  Effect.catchDefect((defect) =>
    Effect.as(Effect.logError("a request for embeddings broke", defect), errorResponse(broken))
  )
)

/** Of the last attempt: what an earlier one said is void. */
const vectorsOf = Effect.fnUntraced(function* (scheduler: InferenceScheduler["Service"], request: EmbeddingRequest) {
  const turn = { vectors: [] as string[], promptTokens: -1 }
  const hear = (signal: Signal) => {
    if (signal.type === "vector") turn.vectors[signal.index] = signal.vector
    else if (signal.type === "restarted") turn.vectors = []
    else if (signal.type === "finished") turn.promptTokens = signal.usage.promptTokens
  }
  const reading = Stream.runForEach(scheduler.infer({ ...request, firstAttempt: 1 }), (signal) =>
    Effect.sync(() => hear(signal))
  )
  yield* Effect.mapError(reading, embeddingErrorOf)
  if (turn.promptTokens < 0 || turn.vectors.length !== request.inputs.length) return yield* lostMidway
  return turn
})

function numbersOf(vector: string): ReadonlyArray<number> {
  const bytes = Buffer.from(vector, "base64")
  return Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i))
}
