/** A scheduler on virtual time, with an engine that says what the test tells it to. */
import { it } from "@effect/vitest"
import { Effect, Exit, type Fiber, Option, Stream } from "effect"
import { TestClock } from "effect/testing"
import { EngineLost } from "../../src/inference/engine.ts"
import { type Failure, InferenceScheduler, layer, type Options, type Signal } from "../../src/inference/scheduler.ts"
import { type ScriptedEngine, scriptedEngine } from "../property/scripted-engine.ts"

export interface Bench {
  readonly engine: ScriptedEngine
  readonly scheduler: InferenceScheduler["Service"]
  readonly ask: (id: string, more?: More) => Effect.Effect<Reading>
  /** What is generated now. */
  readonly running: () => ReadonlyArray<string>
  /** The oldest generation of this request dies with its engine. */
  readonly lose: (...ids: ReadonlyArray<string>) => Effect.Effect<void>
  readonly finish: (id: string) => Effect.Effect<void>
}

export interface Reading {
  readonly signals: ReadonlyArray<Signal>
  readonly fiber: Fiber.Fiber<void, Failure>
}

type Request = Parameters<InferenceScheduler["Service"]["infer"]>[0]
type More = Partial<Request>

export const requestOf = (id: string, more: More = {}): Request => ({
  id,
  user: id.split("-")[0]!,
  messages: [],
  answerTokensMax: 9,
  temperature: 0,
  stop: [],
  firstAttempt: 1,
  ...more
})

export function scenario(
  title: string,
  { slotsMax = 1, ...options }: Partial<Options> & { readonly slotsMax?: number },
  play: (bench: Bench) => Effect.Effect<void, unknown>
): void {
  const engine = options.engine ?? scriptedEngine(slotsMax)
  const live = Effect.gen(function* () {
    const scheduler = yield* InferenceScheduler
    const scope = yield* Effect.scope
    const scripted = engine as ScriptedEngine
    const generationOf = (id: string) => scripted.generations.values().find((generation) => generation.id === id)!
    yield* play({
      engine: scripted,
      scheduler,
      running: () => [...scripted.generations].map(({ id }) => id),
      ask: Effect.fnUntraced(function* (id: string, more?: More) {
        const signals: Array<Signal> = []
        const reading = Stream.runForEach(scheduler.infer(requestOf(id, more)), (signal) =>
          Effect.sync(() => signals.push(signal))
        )
        const fiber = yield* Effect.forkIn(reading, scope)
        yield* TestClock.adjust(0)
        return { signals, fiber }
      }),
      lose: (...ids) => {
        for (const generation of ids.map(generationOf)) generation.fail(new EngineLost({ reason: "It died." }))
        return TestClock.adjust(0)
      },
      finish: (id) => {
        generationOf(id).finish()
        return TestClock.adjust(0)
      }
    })
  })
  it.effect(title, () => Effect.provide(live, layer({ queueMax: 2, queueTokensMax: 100_000, ...options, engine })))
}

export const errorOf = ({ fiber }: Reading) => {
  const exit = fiber.pollUnsafe()
  return exit && Option.getOrUndefined(Exit.findErrorOption(exit))
}
