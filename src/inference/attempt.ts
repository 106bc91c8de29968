/** One attempt at one request: what an engine says until it has finished, asked again while it has no room. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type Engine, type EngineError, EngineLost, EngineRefused, type EngineRequest, type Token } from "./engine.ts"

export interface Patience {
  /** The least pause before a busy engine is asked again, whatever it said. */
  readonly busyMinMs: number
  /** All pauses together; then it fails with `EngineBusy`. */
  readonly busyMaxMs: number
}

/** Succeeds once `onToken` had the `finish`, which is the last token it gets, and the engine's stream is over. */
export const runAttempt = Effect.fnUntraced(function* (
  engine: Engine,
  request: EngineRequest,
  { busyMaxMs, busyMinMs }: Patience,
  onToken: (token: Token) => void
) {
  for (let waitedMs = 0; ; ) {
    const busy = yield* Effect.catchTag(generate(engine, request, onToken), "EngineBusy", Effect.succeed)
    if (busy === undefined) return
    const waitMs = Math.max(busy.retryAfterMs, busyMinMs)
    waitedMs += waitMs
    if (waitedMs > busyMaxMs) return yield* busy
    yield* Effect.sleep(waitMs)
  }
})

function generate(
  engine: Engine,
  request: EngineRequest,
  onToken: (token: Token) => void
): Effect.Effect<undefined, EngineError> {
  let isFinished = false
  const pass = (tokens: ReadonlyArray<Token>) =>
    Effect.sync(() => {
      for (const token of tokens) {
        if (isFinished) return
        isFinished = token.type === "finish"
        onToken(token)
      }
    })
  return Effect.matchEffect(Stream.runForEachArray(askOf(engine, request), pass), {
    // What has finished stays finished, whatever becomes of the engine.
    onFailure: (error) => (isFinished ? Effect.undefined : Effect.fail(error)),
    onSuccess: () =>
      isFinished ? Effect.undefined : Effect.fail(new EngineLost({ reason: "The answer stopped before its end." }))
  })
}

/** Whichever way the engine is asked for it. */
export function askOf(engine: Engine, request: EngineRequest): Stream.Stream<Token, EngineError> {
  if (!("inputs" in request)) return engine.generate(request)
  const reason = "it makes no embeddings"
  return engine.embed?.(request) ?? Stream.fail(new EngineRefused({ reason, part: "model" }))
}
