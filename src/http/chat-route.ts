/** `POST /v1/chat/completions`: OpenAI's, stateless, through the same scheduler as every conversation. */
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Pull from "effect/Pull"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { randomId } from "../domain/random-id.ts"
import type { InferenceRequest, Sampling } from "../inference/engine.ts"
import type { Failure, Signal, Standing } from "../inference/scheduler.ts"
import { apiErrorOf, broken, errorResponse, lostMidway, overdue } from "./api-error.ts"
import {
  type AnswerHead,
  completionOf,
  errorEvent,
  eventsOf,
  hear,
  type StreamedAnswer,
  silence,
  type WholeAnswer
} from "./chat-answer.ts"
import { type ChatRequest, readChatRequest } from "./chat-request.ts"
import { begun, modelOf, type Readiness, readinessOf, user, type V1Options, whileReady } from "./v1-call.ts"

/** Proxies commonly cut a connection that is silent for 30 s or longer. */
const silenceMaxMs = 15_000
/** A reader that takes nothing for so long is gone; it holds no slot, but its connection. */
const stalledMaxMs = 60_000

export const chatRoute = (options: V1Options) =>
  HttpRouter.route("POST", "/v1/chat/completions", (request) => answered(request, options))

const answered = Effect.fnUntraced(
  function* (request: HttpServerRequest.HttpServerRequest, options: V1Options) {
    const { limits, models } = options
    const asked = yield* Effect.fromResult(readChatRequest(yield* begun(request, options)))
    const { name, sampling, scheduler } = yield* modelOf(models, asked.model)
    const nowMs = yield* Clock.currentTimeMillis
    const head = { id: `chatcmpl-${randomId()}`, created: Math.floor(nowMs / 1_000), model: name }
    const wanted = inferenceOf(head.id, asked, { ...samplingDefault, ...sampling }, limits.answerTokensMax)
    const manner = asked.isStream ? "streamed" : "whole"
    yield* Effect.logDebug(`${head.id}: ${manner}, ${asked.messages.length} messages`)
    const call: Call = {
      head,
      signals: scheduler.infer({ ...wanted, ...standingOf(asked) }),
      answerTokensMax: wanted.answerTokensMax,
      dueMs: nowMs + limits.turnMaxMs,
      readiness: yield* readinessOf(scheduler)
    }
    return yield* asked.isStream ? streamed(call, asked.includeUsage, request) : whole(call, limits.turnMaxMs)
  },
  Effect.catchTag("ApiError", (error) => Effect.succeed(errorResponse(error))),
  Effect.catchDefect((defect) => Effect.as(Effect.logError("a chat completion broke", defect), errorResponse(broken)))
)

interface Call {
  readonly head: AnswerHead
  readonly signals: Stream.Stream<Signal, Failure>
  readonly answerTokensMax: number
  /** When it is given up. */
  readonly dueMs: number
  readonly readiness: Readiness
}

/** OpenAI's. */
const samplingDefault = { temperature: 1 }

function inferenceOf(id: string, asked: ChatRequest, sampling: Sampling, answerTokensMax: number): InferenceRequest {
  const { messages, seed, shape, stop, toolUse } = asked
  return {
    ...sampling,
    ...Object.fromEntries(Object.entries(asked.sampling).filter(([, value]) => value !== undefined)),
    id,
    user,
    messages,
    // The client keeps the conversation: it is told when it no longer fits, and nothing is dropped behind its back.
    mayDrop: false,
    answerTokensMax: Math.min(asked.answerTokensMax ?? answerTokensMax, answerTokensMax),
    stop,
    ...(seed !== undefined && { seed }),
    ...(shape !== undefined && { shape }),
    ...(toolUse !== undefined && { toolUse })
  }
}

/** What was streamed cannot be taken back; of what was not, nobody has seen anything. */
function standingOf({ isFlex, isStream }: ChatRequest): Standing {
  return { firstAttempt: 1, class: isFlex ? "background" : "interactive", mayRestart: !isStream }
}

const whole = Effect.fnUntraced(function* (call: Call, turnMaxMs: number) {
  const answer: WholeAnswer = { text: "", calls: [], end: undefined }
  const reading = Stream.runForEachArray(call.signals, (signals) => Effect.sync(() => hear(answer, signals)))
  yield* whileReady(reading, call.readiness).pipe(
    Effect.mapError((error) => (error._tag === "ApiError" ? error : apiErrorOf(error, call.answerTokensMax))),
    Effect.timeoutOrElse({ duration: turnMaxMs, orElse: () => Effect.fail(overdue) })
  )
  if (answer.end === undefined) return yield* lostMidway
  return HttpServerResponse.jsonUnsafe(completionOf(call.head, answer, answer.end), {
    headers: { "x-request-id": call.head.id, "cache-control": "no-store" }
  })
})

type Signals = Pull.Pull<ReadonlyArray<Signal>, Failure>

/**
 * The status waits for the first text, so that whatever is refused is refused by its status; but no longer than a
 * connection may be silent. What fails later is an event.
 */
const streamed = Effect.fnUntraced(function* (
  call: Call,
  includeUsage: boolean,
  request: HttpServerRequest.HttpServerRequest
) {
  const answer: StreamedAnswer = { head: call.head, includeUsage, hasBegun: false, isOver: false }
  const pull: Signals = yield* Stream.toPull(call.signals)
  const first = yield* whileReady(firstEvents(pull, answer, call), call.readiness)
  const bytes = Stream.unfold(first, (unsent: string) =>
    Effect.map(unsent === "" ? laterEvents(pull, answer, call) : Effect.succeed(unsent), (events) =>
      events === "" ? undefined : ([Buffer.from(events), ""] as const)
    )
  )
  const response = NodeHttpServerRequest.toServerResponse(request)
  response.setTimeout(stalledMaxMs, () => response.destroy())
  return HttpServerResponse.stream(bytes, { contentType: "text/event-stream; charset=utf-8", headers: headersOf(call) })
})

function headersOf({ head }: Call) {
  // The last one is for nginx, which would keep the events until the end.
  return { "x-request-id": head.id, "cache-control": "no-store", "x-accel-buffering": "no" }
}

const firstEvents = Effect.fnUntraced(function* (pull: Signals, answer: StreamedAnswer, call: Call) {
  const untilMs = (yield* Clock.currentTimeMillis) + silenceMaxMs
  for (;;) {
    const events = yield* nextEvents(pull, answer, call, untilMs)
    if (events !== "") return events
  }
})

/** "" at the end. */
const laterEvents = Effect.fnUntraced(function* (pull: Signals, answer: StreamedAnswer, call: Call) {
  while (!answer.isOver) {
    const untilMs = (yield* Clock.currentTimeMillis) + silenceMaxMs
    const events = yield* Effect.catch(nextEvents(pull, answer, call, untilMs), (error) =>
      Effect.sync(() => errorEvent(answer, error))
    )
    if (events !== "") return events
  }
  return ""
})

/** "" for signals that are nothing to the client. */
const nextEvents = Effect.fnUntraced(function* (pull: Signals, answer: StreamedAnswer, call: Call, untilMs: number) {
  const nowMs = yield* Clock.currentTimeMillis
  const taken = yield* Effect.timeoutOption(Effect.result(pull), Math.max(1, Math.min(untilMs, call.dueMs) - nowMs))
  if (taken._tag === "None") {
    if ((yield* Clock.currentTimeMillis) >= call.dueMs) return yield* overdue
    return silence
  }
  if (Result.isSuccess(taken.value)) return eventsOf(answer, taken.value.success)
  const { failure } = taken.value
  return yield* Cause.isDone(failure) ? lostMidway : apiErrorOf(failure, call.answerTokensMax)
})
