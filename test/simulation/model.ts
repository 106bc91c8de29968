/** A simulated model worker of one process: each answer names its generation, so that a splice shows. */
import { Cause, Effect, Queue, Stream } from "effect"
import {
  type Engine,
  EngineBusy,
  type EngineError,
  EngineLost,
  EngineRefused,
  type InferenceRequest,
  type Token
} from "../../src/inference/engine.ts"
import type { Dice } from "./dice.ts"
import type { Fault, Point } from "./failpoints.ts"
import type { Observation } from "./history.ts"
import type { SimulatedProcess } from "./simulated-process.ts"
import type { Timeline } from "./timeline.ts"

export interface ModelParts {
  readonly process: SimulatedProcess
  readonly slotsMax: number
  readonly timeline: Timeline
  readonly dice: Dice
  readonly pass: (point: Point) => Fault | undefined
  readonly observe: (observation: Observation) => void
  /** Names a generation, over all processes. */
  readonly nextMark: () => string
}

type Tokens = Queue.Queue<Token, EngineError | Cause.Done>

interface Generation {
  readonly mark: string
  readonly tokens: Tokens
  readonly words: number
  readonly isPoisoned: boolean
  said: string
  count: number
  isOver: boolean
}

/** A worker that is silent for longer is killed. */
const silenceMaxMs = 20_000
export const poison = "poison"

export class SimulatedModel {
  readonly #parts: ModelParts
  readonly #running = new Set<Generation>()
  #isReady = true

  constructor(parts: ModelParts) {
    this.#parts = parts
  }

  get engine(): Engine {
    return {
      name: "simulated",
      slotsMax: this.#parts.slotsMax,
      contextTokens: 8_192,
      generate: (request) => this.#generate(request),
      isReady: Effect.sync(() => this.#isReady),
      trouble: Effect.sync(() => (this.#isReady ? undefined : "it is being started"))
    }
  }

  /** All that it works on is lost. */
  crash(): void {
    const { dice, process, timeline } = this.#parts
    if (!this.#isReady || !process.isAlive) return
    this.#isReady = false
    for (const generation of [...this.#running]) {
      this.#end(generation, false)
      process.hear(() => void Queue.failCauseUnsafe(generation.tokens, lost("the worker died")))
    }
    timeline.after(dice.int(300, 6_000), () => {
      this.#isReady = true
    })
  }

  /** Its process is gone, and it with it. */
  end(): void {
    for (const generation of [...this.#running]) this.#end(generation, false)
  }

  #generate(request: InferenceRequest): Stream.Stream<Token, EngineError> {
    return Stream.callback<Token, EngineError>((tokens) =>
      Effect.acquireRelease(
        Effect.suspend(() => this.#begin(request, tokens)),
        (generation) => Effect.sync(() => this.#end(generation, false))
      )
    )
  }

  #begin({ messages, user }: InferenceRequest, tokens: Tokens): Effect.Effect<Generation, EngineError> {
    const { dice, nextMark, observe, pass, process, timeline } = this.#parts
    if (!process.isAlive) return Effect.never
    const fault = pass("generate.asked")
    if (fault === "crash") {
      process.crash()
      return Effect.never
    }
    if (fault === "model-busy") return Effect.fail(new EngineBusy({ retryAfterMs: dice.int(200, 8_000) }))
    if (fault === "model-crash") this.crash()
    if (!this.#isReady) return Effect.fail(new EngineLost({ reason: "the worker is being started" }))
    const mark = nextMark()
    const isPoisoned = messages.at(-1)?.content.includes(poison) ?? false
    const generation = { mark, tokens, words: dice.int(2, 24), isPoisoned, said: "", count: 0, isOver: false }
    const prompt = messages.map(({ content, role }) => ({ role, content }))
    observe({ type: "asked", atMs: timeline.nowMs, mark, process: process.name, user, prompt })
    if (fault === "model-refused") {
      this.#end(generation, false)
      return Effect.fail(new EngineRefused({ reason: "it will not" }))
    }
    this.#running.add(generation)
    timeline.after(dice.int(20, 400), () => this.#step(generation))
    return Effect.succeed(generation)
  }

  #step(generation: Generation): void {
    const { pass, process } = this.#parts
    if (generation.isOver || !process.isAlive) return
    const isLast = generation.count === generation.words
    const fault = pass(isLast ? "generate.finished" : "generate.token")
    if (fault === "crash") process.crash()
    else if (fault === "model-crash" || (generation.isPoisoned && generation.count === 2)) this.crash()
    else if (fault === "model-hang" || fault === "model-endless") this.#hang(generation, fault === "model-hang")
    else if (isLast) this.#finish(generation)
    else this.#speak(generation, fault)
  }

  #speak(generation: Generation, fault: Fault | undefined): void {
    const { dice, timeline } = this.#parts
    const { count, mark } = generation
    generation.count++
    this.#say(generation, { type: "text", text: `${mark}.${count} ` })
    // What comes after the end of a stream is heard by nobody.
    if (fault === "late-tokens") timeline.after(dice.int(100, 2_000), () => this.#late(generation))
    timeline.after(fault === "model-stall" ? 8_000 : dice.int(10, 90), () => this.#step(generation))
  }

  #finish(generation: Generation): void {
    this.#say(generation, { type: "text", text: `${generation.mark}.end` })
    this.#say(generation, {
      type: "finish",
      reason: "stop",
      usage: { promptTokens: 20, answerTokens: generation.count }
    })
    this.#end(generation, true)
    this.#parts.process.hear(() => void Queue.endUnsafe(generation.tokens))
  }

  /** It says nothing any more, and so is killed; or it shows that it lives, and never comes to an end. */
  #hang(generation: Generation, isSilent: boolean): void {
    const go = () => {
      if (generation.isOver) return
      if (isSilent) this.crash()
      else {
        this.#say(generation, { type: "progress" })
        this.#parts.timeline.after(silenceMaxMs / 4, go)
      }
    }
    this.#parts.timeline.after(isSilent ? silenceMaxMs : 1_000, go)
  }

  #late({ isOver, mark, tokens }: Generation): void {
    if (!isOver) return
    this.#parts.process.hear(() => void Queue.offerUnsafe(tokens, { type: "text", text: ` late-of-${mark}` }))
  }

  #say(generation: Generation, token: Token): void {
    if (token.type === "text") generation.said += token.text
    this.#parts.process.hear(() => void Queue.offerUnsafe(generation.tokens, token))
  }

  #end(generation: Generation, isWhole: boolean): void {
    if (generation.isOver) return
    generation.isOver = true
    this.#running.delete(generation)
    const { observe, timeline } = this.#parts
    observe({ type: "said", atMs: timeline.nowMs, mark: generation.mark, text: generation.said, isWhole })
  }
}

function lost(reason: string): Cause.Cause<EngineError> {
  return Cause.fail(new EngineLost({ reason }))
}
