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
import type { Failure, InferenceScheduler, Signal, Standing } from "../inference/scheduler.ts"
import {
  type ApiError,
  apiErrorOf,
  broken,
  errorResponse,
  invalid,
  lostMidway,
  notReady,
  overdue,
  stopping,
  tooLarge,
  unknownModel
} from "./api-error.ts"
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

/** What the server waits for when it stops. */
export interface Chats {
  inFlight: number
  /** Set when it stops: nothing more is begun. */
  isOver: boolean
}

export interface ChatModel {
  readonly name: string
  readonly scheduler: InferenceScheduler["Service"]
  /** What a request does not say of it. */
  readonly sampling: Partial<Sampling> | undefined
}

export interface ChatRouteOptions {
  readonly chats: Chats
  /** All that are served, the default first. */
  readonly models: readonly [ChatModel, ...ReadonlyArray<ChatModel>]
  readonly limits: {
    readonly bodyMaxBytes: number
    /** A client that asks for more gets this much. */
    readonly answerTokensMax: number
    /** From the request to the end of its answer, the queue included. */
    readonly turnMaxMs: number
  }
}

/**
 * Whom the scheduler's fairness counts. There is one token, so there is one API key, and all of `/v1` is one user
 * beside those of the platforms. A `user` that a client makes up buys no share.
 */
const user = "v1"
/** Proxies commonly cut a connection that is silent for 30 s or longer. */
const silenceMaxMs = 15_000
/** A worker that died is back within a second or two: nobody need know. */
const readyMaxMs = 5_000
/** A reader that takes nothing for so long is gone; it holds no slot, but its connection. */
const stalledMaxMs = 60_000

export const chatRoute = (options: ChatRouteOptions) =>
  HttpRouter.route("POST", "/v1/chat/completions", (request) => answered(request, options))

const answered = Effect.fnUntraced(
  function* (request: HttpServerRequest.HttpServerRequest, options: ChatRouteOptions) {
    const { chats, limits, models } = options
    if (chats.isOver) return yield* stopping
    // The scope is the request's: it closes when the last byte of a stream is written.
    yield* Effect.acquireRelease(
      Effect.sync(() => chats.inFlight++),
      () => Effect.sync(() => chats.inFlight--)
    )
    const asked = yield* Effect.fromResult(readChatRequest(yield* bodyOf(request, limits.bodyMaxBytes)))
    const model = models.find(({ name }) => name === asked.model)
    if (model === undefined) {
      return yield* unknownModel(
        asked.model,
        models.map(({ name }) => name)
      )
    }
    const { sampling, scheduler } = model
    const nowMs = yield* Clock.currentTimeMillis
    const head = { id: `chatcmpl-${randomId()}`, created: Math.floor(nowMs / 1_000), model: model.name }
    const wanted = inferenceOf(head.id, asked, { ...samplingDefault, ...sampling }, limits.answerTokensMax)
    const manner = asked.isStream ? "streamed" : "whole"
    yield* Effect.logDebug(`${head.id}: ${manner}, ${asked.messages.length} messages`)
    const call: Call = {
      head,
      signals: scheduler.infer({ ...wanted, ...standingOf(asked) }),
      answerTokensMax: wanted.answerTokensMax,
      dueMs: nowMs + limits.turnMaxMs,
      readiness: (yield* scheduler.stats).ready ? undefined : untilHopeless(scheduler)
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
  /** Present when the model was not ready as the request came; fails when it stays so. */
  readonly readiness: Effect.Effect<never, ApiError> | undefined
}

const bodyOf = Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest, bodyMaxBytes: number) {
  // Whoever announces too much is not read at all.
  if (Number(request.headers["content-length"] ?? 0) > bodyMaxBytes) return yield* tooLarge(bodyMaxBytes)
  const body = yield* Effect.mapError(request.arrayBuffer, ({ reason }) =>
    reason._tag === "RequestParseError" && reason.reason === "BodyTooLarge"
      ? tooLarge(bodyMaxBytes)
      : invalid("invalid_body", null, "The body could not be read to its end.")
  )
  return new Uint8Array(body)
})

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

const untilHopeless = Effect.fnUntraced(function* (scheduler: InferenceScheduler["Service"]) {
  yield* Effect.sleep(readyMaxMs)
  const { ready, trouble } = yield* scheduler.stats
  return yield* ready ? Effect.never : notReady(trouble ?? "it is being loaded")
})

/** Of two that fail differently, whichever is first. */
function whileReady<A, E>(work: Effect.Effect<A, E>, { readiness }: Call): Effect.Effect<A, E | ApiError> {
  return readiness === undefined ? work : Effect.raceFirst(work, readiness)
}

const whole = Effect.fnUntraced(function* (call: Call, turnMaxMs: number) {
  const answer: WholeAnswer = { text: "", calls: [], end: undefined }
  const reading = Stream.runForEachArray(call.signals, (signals) => Effect.sync(() => hear(answer, signals)))
  yield* whileReady(reading, call).pipe(
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
  const first = yield* whileReady(firstEvents(pull, answer, call), call)
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
