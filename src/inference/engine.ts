/** The port to whatever decodes: a supervised worker process, or a server that speaks OpenAI's protocol. */
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { StepStats } from "./step-stats.ts"

export interface ChatMessage {
  readonly role: "system" | "user" | "assistant" | "tool"
  readonly content: string
  /** What an assistant called. */
  readonly calls?: ReadonlyArray<ToolCall>
  /** Whose result the message of a tool is. */
  readonly callId?: string
}

export interface ToolCall {
  readonly id: string
  readonly name: string
  /** JSON as the model wrote it. */
  readonly arguments: string
}

export interface Tool {
  readonly name: string
  readonly description?: string
  /** JSON Schema of its arguments, an object; left out, there are none. */
  readonly parameters?: unknown
  readonly strict?: boolean
}

export interface ToolUse {
  readonly tools: ReadonlyArray<Tool>
  /** `auto`: text, a call, or text and then a call. `required`: a call. A name: one call of that tool. */
  readonly choice: "auto" | "required" | { readonly name: string }
  /** Whether it may call more than once in an answer. */
  readonly isParallel: boolean
}

/** What the text of an answer must be. */
export type Shape =
  | { readonly type: "json-object" }
  | {
      readonly type: "json-schema"
      readonly name: string
      readonly description?: string
      readonly schema: unknown
      readonly strict?: boolean
    }
  /** In llama.cpp's notation. */
  | { readonly type: "grammar"; readonly grammar: string }

/** How a token is chosen. What is left out, the engine decides. */
export interface Sampling {
  /** 0 decodes greedily. */
  readonly temperature: number
  /** Only so many of the likeliest candidates are sampled from; 0 is all of them. */
  readonly topK?: number | undefined
  /** Only the likeliest candidates, of this probability together, are sampled from. */
  readonly topP?: number | undefined
  /** Only candidates of at least this part of the likeliest one's probability are sampled from. */
  readonly minP?: number | undefined
  /** Divides the logit of what the answer has already; 1 changes nothing. */
  readonly repeatPenalty?: number | undefined
  /** Taken from the logit of a token as often as the answer has it. */
  readonly frequencyPenalty?: number | undefined
  /** Taken once from the logit of each token that the answer has. */
  readonly presencePenalty?: number | undefined
  /** Added to the logits of tokens: −100 is never, 100 is nothing else. */
  readonly logitBias?: ReadonlyArray<readonly [token: number, bias: number]> | undefined
}

export interface InferenceRequest extends Sampling {
  /** One turn of one conversation; the same on every attempt. */
  readonly id: string
  /** Whom fairness counts: an API key, or an account and its user. */
  readonly user: string
  /** Oldest first. The engine drops the oldest turns until the rest fits its context, unless `mayDrop` is false. */
  readonly messages: ReadonlyArray<ChatMessage>
  /** False: what does not fit whole is `PromptTooLong`. */
  readonly mayDrop?: boolean
  readonly answerTokensMax: number
  readonly seed?: number
  /** They end the text of an answer; within a call they are letters like any other. */
  readonly stop: ReadonlyArray<string>
  readonly shape?: Shape
  readonly toolUse?: ToolUse
}

/** A text, or its tokens as the model numbers them. */
export type EmbeddingInput = string | ReadonlyArray<number>

/** What vectors are asked of, all or none. */
export interface EmbeddingRequest {
  /** The same on every attempt. */
  readonly id: string
  readonly user: string
  /** At least one. */
  readonly inputs: ReadonlyArray<EmbeddingInput>
  /** Of each vector; left out, as many as the model gives. */
  readonly dimensions?: number
}

export type EngineRequest = InferenceRequest | EmbeddingRequest

export type FinishReason = "stop" | "length" | "tool-calls"

/** More of a call. The first of an `index`, which counts from 0, has the id and the name. */
export interface CallDelta {
  readonly index: number
  readonly id?: string
  readonly name?: string
  readonly arguments: string
}

export interface Usage {
  /** All of it, decoded for this answer or before. */
  readonly promptTokens: number
  /** Those that were decoded before; left out where the engine does not say. */
  readonly cachedTokens?: number
  readonly answerTokens: number
}

export type Token =
  /** The engine works on it, and nothing is to be shown; `promptTokens` once it has counted them. */
  | { readonly type: "progress"; readonly promptTokens?: number }
  /** More of the answer: whole characters only, never half of a code point. */
  | { readonly type: "text"; readonly text: string }
  | ({ readonly type: "call" } & CallDelta)
  /** Of an input: 32-bit floats, little-endian, as base64. */
  | { readonly type: "vector"; readonly index: number; readonly vector: string }
  /** The last one. */
  | { readonly type: "finish"; readonly reason: FinishReason; readonly usage: Usage }

export interface Engine {
  readonly name: string
  /** How many requests it decodes together, at most. */
  readonly slotsMax: number
  /** How many it takes now, and again whenever that changes; left out, always `slotsMax`. One reader. */
  readonly slots?: Stream.Stream<number>
  /** Of one sequence, prompt and answer; left out where it is not known. */
  readonly contextTokens?: number
  /** Of all sequences together; left out, each may have all of its own. */
  readonly cacheTokensMax?: number
  /**
   * Ends with `finish`, or fails. Interrupting frees its slot at once. Silence longer than the engine's own
   * progress timeout is `EngineLost`.
   */
  readonly generate: (request: InferenceRequest) => Stream.Stream<Token, EngineError>
  /** A vector for each input, and `finish`. Otherwise as `generate`; left out where it cannot. */
  readonly embed?: (request: EmbeddingRequest) => Stream.Stream<Token, EngineError>
  /** True when a request would be decoded at once if a slot were free: loaded, and not restarting. */
  readonly isReady: Effect.Effect<boolean>
  /** What keeps it from being ready, in words for an operator; undefined when it is ready. */
  readonly trouble: Effect.Effect<string | undefined>
  /** Where it is known what its steps were like. */
  readonly steps?: Effect.Effect<StepStats | undefined>
  /** Of the servers that it asks, where it asks any. */
  readonly servers?: Effect.Effect<ReadonlyArray<ServerStatus>>
  /** What it keeps of prompts and answers that have ended: of whom it is, nobody knows, so all of it goes. */
  readonly forget?: Effect.Effect<void>
}

export interface ServerStatus {
  /** Its address, without anything secret. */
  readonly server: string
  readonly isUp: boolean
  /** When it came up, or went down. */
  readonly sinceMs: number
  /** Why it is down. */
  readonly trouble?: string
  readonly inFlight: number
  /** How many it may have in flight, as learned from it. */
  readonly limit: number
}

export type EngineError = EngineLost | EngineRefused | EngineBusy | PromptTooLong

/** The process or the connection died, or went silent, while it answered: the request may be run again. */
export class EngineLost extends Data.TaggedError("EngineLost")<{ readonly reason: string }> {}

/** What of a request an engine refuses. */
export type RequestPart =
  | ("messages" | "logitBias" | "shape" | "grammar" | "tools")
  /** `model`: that it makes vectors at all. */
  | ("model" | "input" | "dimensions")

/** The engine answered that it will not: repeating cannot help. Without a `part` it is the request as a whole. */
export class EngineRefused extends Data.TaggedError("EngineRefused")<{
  readonly reason: string
  readonly part?: RequestPart
}> {}

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
