/** What the main process and the worker say to each other. Keys are unique over all lives of a worker. */
import type { ChatMessage, EmbeddingInput, RequestPart, Sampling, Usage } from "../engine.ts"

/** The worker's only argument, as JSON. */
export interface WorkerOptions {
  readonly file: string
  readonly slotsMax: number
  /** Of one sequence. */
  readonly contextTokens: number
  readonly gpu: "auto" | false
  /** No step has more threads. */
  readonly coresMax: number
  /** Of each step; left out, they are measured. */
  readonly threads?: number | undefined
  readonly stepTokensMax: number
  readonly heartbeatMs: number
  /** Of what is kept of past answers; undefined is a share of the memory that is free once the model is loaded. */
  readonly cacheBytesMax?: number | undefined
}

export interface Job extends Sampling {
  readonly key: number
  /** None of a tool. */
  readonly messages: ReadonlyArray<ChatMessage>
  readonly mayDrop: boolean
  readonly answerTokensMax: number
  /** 32 bits. */
  readonly seed: number
  readonly stop: ReadonlyArray<string>
  /** What the answer must be, in llama.cpp's notation. */
  readonly grammar?: string | undefined
  /** From this text on the answer has no more stop strings. */
  readonly stopUntil?: string | undefined
}

export interface EmbeddingJob {
  readonly key: number
  readonly inputs: ReadonlyArray<EmbeddingInput>
  readonly dimensions?: number | undefined
}

/** Why the worker lets an answer end. */
export type EndReason = "stop" | "length"

export type ToWorker =
  | { readonly type: "generate"; readonly job: Job }
  | { readonly type: "embed"; readonly job: EmbeddingJob }
  | { readonly type: "abort"; readonly key: number }
  /** All that is kept of answers that have ended. */
  | { readonly type: "forget" }

export type FromWorker =
  /** It is there, and the model is being loaded. */
  | { readonly type: "loading" }
  /** It decoded a token, which took so long: work is welcome. */
  | { readonly type: "ready"; readonly tokenMs: number }
  /** How many threads the kinds of steps have, said when that changes. */
  | { readonly type: "threads"; readonly choices: ReadonlyArray<ThreadChoice> }
  /** It will never work with this file, or never with so many sequences so long. */
  | ({ readonly type: "broken" } & Unopened)
  /** It has nothing to do, and would do it. */
  | { readonly type: "idle"; readonly room: Room }
  | Begun
  | Decoded
  | Embedded
  | { readonly type: "too-long"; readonly key: number; readonly tokens: number; readonly tokensMax: number }
  | { readonly type: "refused"; readonly key: number; readonly part: RequestPart; readonly reason: string }

/** It has a sequence, and its prompt so many tokens, of which the first were decoded before. */
export interface Begun {
  readonly type: "begun"
  readonly key: number
  readonly promptTokens: number
  readonly cachedTokens: number
  /** Where these were: in the cells of a sequence, in use or not, or in a copy of one. */
  readonly found: "sequence" | "copy" | "nowhere"
}

/** Steps of answers alone, or with prompts in them, of this many tokens or up to twice as many. */
export interface ThreadChoice {
  readonly kind: "decode" | "prefill"
  readonly tokens: number
  readonly threads: number
}

/** Why there is no model: its file, or the room for its sequences. `reason` is llama.cpp's. */
export interface Unopened {
  readonly what: "file" | "room"
  readonly reason: string
}

/** One decode step. Arrays and not objects: this is the one message that there are thousands of. */
export interface Decoded {
  readonly type: "decoded"
  /** Tokens that went in, of prompts and answers. */
  readonly tokens: number
  /** Those of them that are of prompts. */
  readonly promptTokens: number
  /** Until all of it was sampled. */
  readonly tookMs: number
  readonly room: Room
  /** What each sequence of the step has to show, which may be nothing. */
  readonly texts: ReadonlyArray<readonly [key: number, text: string]>
  readonly ends: ReadonlyArray<readonly [key: number, reason: EndReason, usage: Required<Usage>]>
}

/** It read a piece of an input, and with its last one it has the vector: base64 of 32-bit floats. */
export interface Embedded {
  readonly type: "embedded"
  readonly key: number
  readonly vector?: readonly [index: number, vector: string] | undefined
  /** Of all inputs, with the last vector. */
  readonly promptTokens?: number | undefined
}

/** What is kept, in tokens and bytes. */
export interface Room {
  /** Decoded in the sequences that are in use. */
  readonly usedTokens: number
  /** What these may need at most. */
  readonly reservedTokens: number
  /** In the sequences that are free. */
  readonly heldTokens: number
  readonly copies: number
  readonly copyBytes: number
}
