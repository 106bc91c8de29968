/** An engine that says what a test tells it to, token by token, and dies on demand. */
import { type Cause, Effect, Queue, Stream } from "effect"
import type { Engine, EngineError, InferenceRequest, Token } from "../../src/inference/engine.ts"

export interface Generation {
  readonly id: string
  /** Counts the generations of this id, from 1. */
  readonly nth: number
  readonly say: (...tokens: ReadonlyArray<Token>) => void
  /** Says something that names this generation, so that a splice shows. */
  readonly saySome: () => void
  readonly said: () => string
  readonly finish: () => void
  /** Stops without a finish, which no engine should. */
  readonly end: () => void
  readonly fail: (error: EngineError) => void
}

export interface ScriptedEngine extends Engine {
  /** What is generated now, the oldest first. */
  readonly generations: Set<Generation>
  ready: boolean
}

type Sizes = Pick<Engine, "contextTokens" | "cacheTokensMax">

export function scriptedEngine(slotsMax: number, sizes: Sizes = {}): ScriptedEngine {
  const counts = new Map<string, number>()
  const engine: ScriptedEngine = {
    name: "scripted",
    slotsMax,
    ...sizes,
    ready: true,
    generations: new Set(),
    generate: ({ id }: InferenceRequest) =>
      Stream.callback<Token, EngineError>((queue) =>
        Effect.acquireRelease(
          Effect.sync(() => {
            counts.set(id, (counts.get(id) ?? 0) + 1)
            const generation = generationOf(id, counts.get(id)!, queue)
            engine.generations.add(generation)
            return generation
          }),
          (generation) => Effect.sync(() => engine.generations.delete(generation))
        )
      ),
    isReady: Effect.sync(() => engine.ready),
    trouble: Effect.sync(() => (engine.ready ? undefined : "It was told not to be ready."))
  }
  return engine
}

function generationOf(id: string, nth: number, queue: Queue.Queue<Token, EngineError | Cause.Done>): Generation {
  const said: Array<string> = []
  const say = (...tokens: ReadonlyArray<Token>) => {
    Queue.offerAllUnsafe(queue, tokens)
    for (const token of tokens) if (token.type === "text") said.push(token.text)
  }
  return {
    id,
    nth,
    say,
    saySome: () => say({ type: "progress" }, { type: "text", text: `${id}/${nth}/${said.length} ` }),
    said: () => said.join(""),
    finish: () => {
      say({ type: "finish", reason: "stop", usage: { promptTokens: 1, answerTokens: said.length } })
      Queue.endUnsafe(queue)
    },
    end: () => void Queue.endUnsafe(queue),
    fail: (error) => void Effect.runSync(Queue.fail(queue, error))
  }
}
