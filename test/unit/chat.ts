/** A person, their conversation, and a scheduler that says what the test tells it to. */
import { type Cause, Effect, Fiber, Queue, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { Actor } from "../../src/actors/actor.ts"
import { type ConversationOptions, conversationBehaviour } from "../../src/actors/conversation.ts"
import { interpret } from "../../src/actors/interpreter.ts"
import type { Glimpse } from "../../src/domain/glimpse.ts"
import type { Outbound } from "../../src/domain/outbound.ts"
import type { EmbeddingRequest } from "../../src/inference/engine.ts"
import type { Failure, InferenceScheduler, Signal } from "../../src/inference/scheduler.ts"
import type { conversationMachine } from "../../src/machines/conversation.ts"
import type { Journal } from "../../src/store/journal.ts"
import { memoryJournal, Tables } from "../property/journal-memory.ts"

export const options: ConversationOptions = {
  policy: "collect",
  settleMs: 1_000,
  turnMaxMs: 60_000,
  mailboxMax: 8,
  systemPrompt: "Be kind.",
  answerTokensMax: 100,
  sampling: { temperature: 0.5 }
}

/** Whatever can go on has gone on. */
export const settle = Effect.repeat(TestClock.adjust(0), { times: 60 })

type Request = Exclude<Parameters<InferenceScheduler["Service"]["infer"]>[0], EmbeddingRequest>

/** One request for inference, while it is answered and afterwards. */
export class Answering {
  readonly request: Request
  readonly #signals: Queue.Queue<Signal, Failure | Cause.Done>
  #attempt: number
  isOver = false

  constructor(request: Request, signals: Queue.Queue<Signal, Failure | Cause.Done>) {
    this.request = request
    this.#signals = signals
    this.#attempt = request.firstAttempt
  }

  say(...texts: ReadonlyArray<string>) {
    const attempt = this.#attempt
    return this.#tell(...texts.map((text): Signal => ({ type: "text", attempt, text })))
  }

  restart() {
    return this.#tell({ type: "restarted", attempt: ++this.#attempt, reason: "The worker died." })
  }

  finish() {
    const usage = { promptTokens: 1, answerTokens: 1 }
    Queue.offerUnsafe(this.#signals, { type: "finished", attempt: this.#attempt, reason: "stop", usage })
    Queue.endUnsafe(this.#signals)
    return settle
  }

  fail(failure: Failure | "a defect") {
    Queue.failCauseUnsafe(this.#signals, failure === "a defect" ? causeOfDefect : causeOf(failure))
    return settle
  }

  /** What was said of the conversation's own turn, as the model saw it. */
  get prompt() {
    return this.request.messages.map(({ content, role }) => `${role}: ${content}`)
  }

  #tell(...signals: ReadonlyArray<Signal>) {
    Queue.offerAllUnsafe(this.#signals, signals)
    return settle
  }
}

const causeOf = (failure: Failure) => Effect.runSync(Effect.sandbox(Effect.fail(failure)).pipe(Effect.flip))
const causeOfDefect = Effect.runSync(Effect.sandbox(Effect.die(new Error("a bug"))).pipe(Effect.flip))

export class Chat {
  readonly tables = new Tables()
  readonly delivered: Array<Outbound> = []
  readonly answerings: Array<Answering> = []
  readonly shown: Array<Glimpse> = []
  readonly journal: Journal["Service"]
  #actor!: Actor<typeof conversationMachine>
  #fiber!: Fiber.Fiber<never, unknown>
  readonly #options: ConversationOptions
  #keys = 0

  constructor(
    own: Partial<ConversationOptions> = {},
    disturb: (journal: Journal["Service"]) => Journal["Service"] = (same) => same
  ) {
    this.#options = { ...options, ...own }
    this.journal = disturb(memoryJournal(this.tables))
  }

  /** The first life, or after a death the next one. */
  get start() {
    const { journal } = this
    const scheduler: InferenceScheduler["Service"] = {
      infer: (request) => ("inputs" in request ? Stream.empty : this.#infer(request)),
      waitOf: () => Effect.undefined,
      stats: Effect.die("nobody asks")
    }
    const show = (glimpse: Glimpse) => void this.shown.push(glimpse)
    return Effect.gen({ self: this }, function* () {
      const behaviour = conversationBehaviour("test/chat/ada", this.#options, { journal, scheduler, show })
      this.#actor = interpret("test/chat/ada", behaviour, journal, (owed) => void this.delivered.push(...owed))
      this.#fiber = yield* Effect.forkScoped(this.#actor.run)
      yield* settle
    })
  }

  get die() {
    return Fiber.interrupt(this.#fiber)
  }

  #infer(request: Request): Stream.Stream<Signal, Failure> {
    return Stream.callback<Signal, Failure>((signals) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const answering = new Answering(request, signals)
          this.answerings.push(answering)
          return answering
        }),
        (answering) =>
          Effect.sync(() => {
            answering.isOver = true
          })
      )
    )
  }

  write(...texts: ReadonlyArray<string>) {
    return Effect.gen({ self: this }, function* () {
      for (const text of texts) {
        const known = { channel: "test", account: "chat", thread: "ada", user: { id: "ada" }, text }
        const inbound = { ...known, eventKey: `${++this.#keys}` }
        yield* Effect.orDie(
          this.journal.accept(inbound, ({ conversation, position }) => {
            this.#actor.offer({ conversation, position, eventKey: inbound.eventKey, user: known.user, text })
          })
        )
      }
      yield* settle
    })
  }

  /** Shows that there is more to come. */
  get type() {
    return Effect.andThen(
      Effect.sync(() => this.#actor.hint({ type: "user.typing" })),
      settle
    )
  }

  /** Writes, and is quiet until the model is asked. */
  ask(...texts: ReadonlyArray<string>) {
    return Effect.gen({ self: this }, function* () {
      yield* this.write(...texts)
      yield* TestClock.adjust(this.#options.settleMs)
      yield* settle
      return this.answerings.at(-1)!
    })
  }

  /** What the person was told: the outcome, the text, and which of their messages it answers. */
  get told(): ReadonlyArray<string> {
    return this.delivered.map(({ inReplyTo, outcome, text, turn }) => `${turn} ${outcome} [${inReplyTo}] ${text}`)
  }

  get fates(): ReadonlyArray<string> {
    return this.tables.inbound.map(({ fate }) => fate ?? "pending")
  }

  get rows(): ReadonlyArray<string> {
    return this.tables.messages.map(({ role, text, turn }) => `${turn} ${role}: ${text}`)
  }

  get state(): unknown {
    return this.tables.entries.at(-1)?.snapshot.value
  }
}
