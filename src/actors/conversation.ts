/** Joins one conversation's machine to the scheduler: the switch in which every action is named once. */
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { Doing, Glimpse } from "../domain/glimpse.ts"
import { accountOf } from "../domain/ids.ts"
import { type Traces, traceOfAll } from "../domain/trace.ts"
import type { Sampling } from "../inference/engine.ts"
import type { InferenceScheduler, ModelFailed, QueueFull, Signal } from "../inference/scheduler.ts"
import {
  type ConversationAction,
  type ConversationContext,
  type ConversationEvent,
  type ConversationSettings,
  conversationMachine,
  type InferenceFailure,
  isAtRest,
  isEphemeral,
  migrations,
  refresh,
  version
} from "../machines/conversation.ts"
import type { Entry, Journal, PendingInbound, Rows } from "../store/journal.ts"
import type { Actor, Behaviour, Facts } from "./actor.ts"
import { Draft } from "./draft.ts"
import { languageOf, notices } from "./notices.ts"
import { promptOf } from "./prompt.ts"
import { answeredRows, failedRows, stoppedRows, unreadableRows } from "./turn-rows.ts"
import { TurnTrace } from "./turn-trace.ts"

/** The newest messages that a prompt is made of; the engine drops of them what does not fit. */
const messagesMax = 64

export interface ConversationOptions extends ConversationSettings {
  readonly mailboxMax: number
  readonly systemPrompt: string
  readonly answerTokensMax: number
  readonly sampling: Sampling
}

export interface ConversationServices {
  readonly journal: Journal["Service"]
  readonly scheduler: InferenceScheduler["Service"]
  /** Told at once what can be seen of the conversation; must not throw. */
  readonly show: (glimpse: Glimpse) => void
  readonly traces?: Traces | undefined
}

type Machine = typeof conversationMachine
type Self = Actor<Machine>

/** How the person's conversation `id` behaves. One for each live conversation. */
export function conversationBehaviour(
  id: string,
  options: ConversationOptions,
  services: ConversationServices
): Behaviour<Machine> {
  return new Conversation(id, options, services)
}

class Conversation implements Behaviour<Machine> {
  readonly #id: string
  readonly #options: ConversationOptions
  readonly #services: ConversationServices
  readonly #draft: Draft
  #answer: Fiber.Fiber<void> | undefined
  /** In the language of what was asked last. */
  #notices = notices.en
  /** Of the events that are answered. */
  #eventKeys: ReadonlyArray<string> = []
  readonly #trace: TurnTrace | undefined

  constructor(id: string, options: ConversationOptions, services: ConversationServices) {
    this.#id = id
    this.#options = options
    this.#services = services
    this.#draft = new Draft(services.show)
    this.#trace = services.traces && new TurnTrace(id, services.traces)
  }

  get machine() {
    return conversationMachine
  }

  get version() {
    return version
  }

  get migrations() {
    return migrations
  }

  get input() {
    return settingsOf(this.#options)
  }

  get mailboxMax() {
    return this.#options.mailboxMax
  }

  get isEphemeral() {
    return isEphemeral
  }

  get isAtRest() {
    return isAtRest
  }

  get close() {
    return Effect.andThen(
      this.#cancel(),
      Effect.sync(() => this.#trace?.end("parked"))
    )
  }

  refresh(context: ConversationContext): ConversationContext {
    return refresh(context, settingsOf(this.#options))
  }

  eventOf({ position, text }: PendingInbound): ConversationEvent {
    return { type: text.trim().toLowerCase() === "/stop" ? "user.stop" : "user.message", position }
  }

  rows(action: ConversationAction, { inbound, nextKey }: Facts): Partial<Rows> {
    switch (action.type) {
      case "message.keep": {
        const { position, turn } = action
        if (inbound !== undefined) this.#trace?.keep(inbound.eventKey)
        return { messages: [{ role: "user", text: inbound?.text ?? "", turn, position }] }
      }
      case "command.ignore": {
        const { position } = action
        return { settle: [{ after: position - 1, upTo: position, fate: "ignored", rule: "command" }] }
      }
      case "turn.answered":
        return answeredRows(action, this.#textOf(action.turn), nextKey(), this.#notices)
      case "turn.stopped":
        return stoppedRows(action, this.#textOf(action.turn), nextKey(), this.#notices)
      case "turn.failed":
        return failedRows(action, nextKey(), this.#notices)
      case "inference.request":
      case "inference.cancel":
        return {}
    }
  }

  apology({ inbound, nextKey }: Facts): Partial<Rows> {
    return inbound === undefined
      ? {}
      : unreadableRows(inbound.position, this.#draft.turn, nextKey(), notices[languageOf(inbound.text)])
  }

  written(entry: Entry, took: Duration.Duration): void {
    this.#trace?.committed(entry, took)
    const { messageSeq: seq, snapshot } = entry
    const { attempt, turn } = snapshot.context as ConversationContext
    this.#services.show({ type: "recorded", seq, turn, attempt, value: doingOf(snapshot.value) })
    this.#draft.record(turn, attempt)
  }

  perform(action: ConversationAction, self: Self): Effect.Effect<void> {
    switch (action.type) {
      case "inference.request":
        return Effect.andThen(this.#cancel(), this.#fork(this.#answerTurn(action.turn, action.attempt, self)))
      case "inference.cancel":
        return this.#cancel()
      case "turn.answered":
      case "turn.stopped":
        return Effect.sync(() => this.#trace?.end(action.type === "turn.answered" ? "answered" : "stopped"))
      case "turn.failed":
        return Effect.sync(() => this.#trace?.end(action.reason, true))
      case "message.keep":
      case "command.ignore":
        return Effect.void // they are rows of the entry
    }
  }

  #textOf(turn: number): string {
    return this.#draft.turn === turn ? this.#draft.text : ""
  }

  #cancel(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const answer = this.#answer
      this.#answer = undefined
      return answer === undefined ? Effect.void : Fiber.interrupt(answer)
    })
  }

  #fork(answer: Effect.Effect<void>): Effect.Effect<void> {
    return Effect.map(Effect.forkDetach(answer), (fiber) => {
      this.#answer = fiber
    })
  }

  #answerTurn(turn: number, attempt: number, self: Self): Effect.Effect<void> {
    const fail = (reason: InferenceFailure, more: { readonly retryAfterMs?: number } = {}) =>
      Effect.suspend(() =>
        self.report({ type: "inference.failed", turn, attempt: this.#draft.attempt, reason, ...more })
      )
    return Effect.gen({ self: this }, function* () {
      this.#draft.begin(turn, attempt)
      const stored = yield* Effect.retry(this.#services.journal.messages(this.#id, turn, messagesMax), untilItAnswers)
      this.#notices = notices[languageOf(stored.findLast(({ role }) => role === "user")?.text ?? "")]
      this.#eventKeys = stored.flatMap(({ eventKey }) => eventKey ?? [])
      this.#trace?.ask(turn, attempt, this.#eventKeys)
      const messages = promptOf(this.#options.systemPrompt, stored, messagesMax)
      const userId = stored.findLast((message) => message.userId !== undefined)?.userId ?? this.#id
      const user = `${accountOf(this.#id)}/${userId}`
      const { answerTokensMax, sampling } = this.#options
      const request = { id: `${this.#id}/${turn}`, user, messages, answerTokensMax, ...sampling, stop: [] }
      const signals = this.#services.scheduler.infer({ ...request, firstAttempt: attempt })
      yield* Stream.runForEach(signals, (signal) => this.#take(turn, signal, self))
    }).pipe(
      Effect.catchTags({
        QueueFull: ({ retryAfterMs }: QueueFull) => fail("busy", { retryAfterMs }),
        PromptTooLong: () => fail("too-long"),
        ModelFailed: (failure: ModelFailed) =>
          Effect.andThen(
            this.#noted(Effect.logWarning(`the model failed on ${this.#id} turn ${turn}`, failure.reason)),
            failure.kind === "busy" || failure.kind === "down"
              ? fail(failure.kind, failure.retryAfterMs === undefined ? {} : { retryAfterMs: failure.retryAfterMs })
              : fail("broken")
          )
      }),
      Effect.catchCause((cause) =>
        Cause.hasInterruptsOnly(cause)
          ? Effect.failCause(cause)
          : Effect.andThen(
              this.#noted(Effect.logError(`answering ${this.#id} turn ${turn} broke`, cause)),
              fail("broken")
            )
      ),
      Effect.ignore // its successor asks again
    )
  }

  /** With the trace of the running turn. */
  #noted(line: Effect.Effect<void>): Effect.Effect<void> {
    return Effect.suspend(() => {
      const trace = traceOfAll(this.#id, this.#eventKeys)?.root.traceId
      return trace === undefined ? line : Effect.annotateLogs(line, { trace })
    })
  }

  #take(turn: number, signal: Signal, self: Self): Effect.Effect<void, unknown> {
    const { attempt } = signal
    this.#trace?.hear(signal)
    switch (signal.type) {
      case "started":
      case "call": // None: no tools are offered, and no vectors asked for.
      case "vector":
        return Effect.void
      case "text": {
        const isFirst = this.#draft.text === ""
        this.#draft.add(signal.text)
        if (!isFirst) return Effect.void
        return Effect.andThen(
          this.#noted(Effect.logDebug(`streaming ${this.#id} turn ${turn} attempt ${attempt}`)),
          self.report({ type: "inference.started", turn, attempt })
        )
      }
      case "restarted": {
        const before = this.#draft.attempt
        this.#draft.begin(turn, attempt)
        return Effect.andThen(
          this.#noted(
            Effect.logWarning(`turn ${turn} of ${this.#id} starts again as attempt ${attempt}`, signal.reason)
          ),
          self.report({ type: "inference.restarted", turn, attempt: before, next: attempt })
        )
      }
      case "finished":
        return self.report({ type: "inference.finished", turn, attempt })
    }
  }
}

const untilItAnswers = { schedule: Schedule.spaced("500 millis") }

function settingsOf({ policy, settleMs, turnMaxMs }: ConversationSettings): ConversationSettings {
  return { policy, settleMs, turnMaxMs }
}

function doingOf(value: unknown): Doing {
  if (value === "done" || value === "typing") return value
  return (value as { readonly answering: "awaiting-model" | "streaming" }).answering
}
