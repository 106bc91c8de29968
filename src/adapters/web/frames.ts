/** The frames of `/ws` (DESIGN.md, §8), one JSON object each: what the page and the server say to each other. */

export type ClientFrame =
  /**
   * The first one. Without `conversation` a new one is begun; without `since` the newest messages are sent, with it all
   * that came after that `seq`.
   */
  | { readonly type: "hello"; readonly conversation?: string; readonly since?: number }
  /** `id` is a UUID, the same when it is sent again. */
  | { readonly type: "message"; readonly id: string; readonly text: string }
  /** The person is still writing. */
  | { readonly type: "typing" }
  /** Ends the running answer: what was said so far is the answer. */
  | { readonly type: "stop" }

export type ServerFrame =
  /** `seq` is the number of the newest message; all up to it follow, then what is under way. */
  | { readonly type: "welcome"; readonly conversation: string; readonly seq: number }
  /** The message is on disk. */
  | { readonly type: "accepted"; readonly id: string }
  /** The message is not on disk; it may be sent again, with the same id. */
  | { readonly type: "rejected"; readonly id: string; readonly reason: Rejection; readonly retryAfterMs?: number }
  /**
   * `ahead`: turns that start before this one; `waitMs`: how long that takes, estimated; `loading`: the model is not in
   * memory, and is loaded first. Of `awaiting-model` only.
   */
  | {
      readonly type: "state"
      readonly value: LiveState
      readonly ahead?: number
      readonly waitMs?: number
      readonly loading?: true
    }
  /** `at` is how many UTF-16 units of this attempt came before. A higher attempt replaces what was shown. */
  | {
      readonly type: "delta"
      readonly turn: number
      readonly attempt: number
      readonly at: number
      readonly text: string
    }
  /** Final and durable. `id` is the UUID of a person's message; `atMs` when it was stored, since the epoch. */
  | {
      readonly type: "message"
      readonly seq: number
      readonly role: Role
      readonly text: string
      readonly turn: number
      readonly atMs: number
      readonly id?: string
    }

/** A `notice` is said by Parley itself, not by the model: stopped, too busy, failed. */
export type Role = "user" | "assistant" | "notice"

export type LiveState = "done" | "typing" | "awaiting-model" | "streaming"

export type Rejection = "database" | "inbox-full" | "stopping" | "too-long" | "empty"
