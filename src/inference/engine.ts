/** The port to whatever decodes: a supervised worker process, or a server that speaks OpenAI's protocol. */
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"

export interface ChatMessage {
  readonly role: "system" | "user" | "assistant"
  readonly content: string
}

export interface InferenceRequest {
  /** One turn of one conversation; the same on every attempt. */
  readonly id: string
  /** Whom fairness counts: an API key, or an account and its user. */
  readonly user: string
  /** Oldest first. The engine drops the oldest turns until the rest fits its context, unless `mayDrop` is false. */
  readonly messages: ReadonlyArray<ChatMessage>
  /** False: what does not fit whole is `PromptTooLong`. */
  readonly mayDrop?: boolean
  readonly answerTokensMax: number
  /** 0 decodes greedily. */
  readonly temperature: number
  /** Only the likeliest candidates, of this probability together, are sampled from; left out, the engine decides. */
  readonly topP?: number
  readonly seed?: number
  readonly stop: ReadonlyArray<string>
}

export type FinishReason = "stop" | "length"

export interface Usage {
  readonly promptTokens: number
  readonly answerTokens: number
}

export type Token =
  /** The engine works on it, and nothing is to be shown; `promptTokens` once it has counted them. */
  | { readonly type: "progress"; readonly promptTokens?: number }
  /** More of the answer: whole characters only, never half of a code point. */
  | { readonly type: "text"; readonly text: string }
  /** The last one. */
  | { readonly type: "finish"; readonly reason: FinishReason; readonly usage: Usage }

export interface Engine {
  readonly name: string
  /** How many requests it decodes together. */
  readonly slotsMax: number
  /** Of one sequence, prompt and answer; left out where it is not known. */
  readonly contextTokens?: number
  /** Of all sequences together; left out, each may have all of its own. */
  readonly cacheTokensMax?: number
  /**
   * Ends with `finish`, or fails. Interrupting frees its slot at once. Silence longer than the engine's own
   * progress timeout is `EngineLost`.
   */
  readonly generate: (request: InferenceRequest) => Stream.Stream<Token, EngineError>
  /** True when a request would be decoded at once if a slot were free: loaded, and not restarting. */
  readonly isReady: Effect.Effect<boolean>
  /** What keeps it from being ready, in words for an operator; undefined when it is ready. */
  readonly trouble: Effect.Effect<string | undefined>
}

export type EngineError = EngineLost | EngineRefused | EngineBusy | PromptTooLong

/** The process or the connection died, or went silent, while it answered: the request may be run again. */
export class EngineLost extends Data.TaggedError("EngineLost")<{ readonly reason: string }> {}

/** The engine answered that it will not: repeating cannot help. */
export class EngineRefused extends Data.TaggedError("EngineRefused")<{ readonly reason: string }> {}

/** The engine is full. The request was not begun. */
export class EngineBusy extends Data.TaggedError("EngineBusy")<{ readonly retryAfterMs: number }> {}

/** What must be in the prompt does not fit into the context: waiting cannot help. */
export class PromptTooLong extends Data.TaggedError("PromptTooLong")<{
  readonly tokens: number
  readonly tokensMax: number
}> {}

/** Opens an engine for as long as the scope. Fails when it can never work: no file, not a model, a bad address. */
export type OpenEngine = Effect.Effect<Engine, EngineBroken, Scope.Scope>

/** The configuration of the model is wrong; `reason` says what, where, and the mend. */
export class EngineBroken extends Data.TaggedError("EngineBroken")<{
  readonly model: string
  readonly reason: string
}> {}
