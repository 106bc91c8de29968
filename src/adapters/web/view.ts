/**
 * What one page is still to be shown: a pure function of what is there and what it has.
 *
 *   V1. Every message is shown once, in the order of `seq`, and before anything that came after it.
 *   V2. Deltas of one attempt, joined, are a beginning of what the model said in it; no attempt follows a higher one.
 *   V3. A page that has been shown all that is there is shown nothing more.
 */
import type { Doing } from "../../domain/glimpse.ts"
import type { ServerFrame } from "./frames.ts"

/** What is there of a conversation. */
export interface Scene {
  /** The newest message in the record. */
  readonly seq: number
  readonly value: Doing
  readonly wait?: Wait
  readonly draft?: Draft
}

/** The turns before this one, and how long they take, estimated. */
export interface Wait {
  readonly ahead: number
  readonly waitMs: number
  /** The model is not in memory, and is loaded first. */
  readonly loading?: true
}

/** What the model said so far in the running attempt. */
export interface Draft {
  readonly turn: number
  readonly attempt: number
  readonly text: string
  /** Its end, which came last: cutting it out of a long text costs as much as the text is long. */
  readonly tail: string
}

/** What a page has been shown of it. */
export interface Shown {
  readonly seq: number
  /** Of the last `state` frame. */
  readonly value: Doing | undefined
  readonly wait: Wait | undefined
  readonly turn: number
  readonly attempt: number
  /** Of the attempt's text. */
  readonly at: number
}

export const nothingShown: Shown = { seq: 0, value: undefined, wait: undefined, turn: 0, attempt: 0, at: 0 }

export type Next =
  | { readonly type: "read" }
  | { readonly type: "show"; readonly frame: ServerFrame; readonly shown: Shown }

/** `read`: there are messages after `shown.seq`. Undefined when there is nothing more. */
export function next({ draft, seq, value, wait }: Scene, shown: Shown): Next | undefined {
  if (seq > shown.seq) return { type: "read" }
  if (value !== shown.value || !isSame(wait, shown.wait)) {
    const frame = { type: "state" as const, value, ...(value === "awaiting-model" && wait) }
    return { type: "show", frame, shown: { ...shown, value, wait } }
  }
  if (draft === undefined) return undefined
  const { attempt, tail, text, turn } = draft
  const at = turn === shown.turn && attempt === shown.attempt ? shown.at : 0
  if (at === text.length) return undefined
  const news = at === text.length - tail.length ? tail : text.slice(at)
  const frame = { type: "delta" as const, turn, attempt, at, text: news }
  return { type: "show", frame, shown: { ...shown, turn, attempt, at: text.length } }
}

function isSame(one: Wait | undefined, other: Wait | undefined): boolean {
  const isSameTime = one?.ahead === other?.ahead && one?.waitMs === other?.waitMs
  return one === other || (isSameTime && one?.loading === other?.loading)
}
