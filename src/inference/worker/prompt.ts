/**
 * Which messages a prompt is made of.
 *
 *   M1. What the system says at the start, and the last turn, are always in it.
 *   M2. What is left out is the oldest: whole turns, so that no answer stands without its question.
 *   M3. No more is left out than must be.
 *   M4. Nothing is left out where nothing may be dropped.
 */
import type { ChatMessage } from "../engine.ts"

export type Prompt<Tokens> =
  | { readonly type: "fits"; readonly tokens: Tokens }
  | { readonly type: "too-long"; readonly tokens: number; readonly tokensMax: number }

/** `tokenise` is called about log2(turns) times. */
export function trimmed<Tokens extends { readonly length: number }>(
  messages: ReadonlyArray<ChatMessage>,
  tokensMax: number,
  mayDrop: boolean,
  tokenise: (messages: ReadonlyArray<ChatMessage>) => Tokens
): Prompt<Tokens> {
  const { head, turns } = turnsOf(messages)
  const without = (dropped: number) => tokenise([...head, ...turns.slice(dropped).flat()])
  let best = without(0)
  if (best.length <= tokensMax) return { type: "fits", tokens: best }
  const least = mayDrop ? without(Math.max(0, turns.length - 1)) : best
  if (least.length > tokensMax) return { type: "too-long", tokens: least.length, tokensMax }
  best = least
  // Dropping `low` is too few, dropping `high` is enough.
  let low = 0
  let high = turns.length - 1
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    const tokens = without(middle)
    if (tokens.length <= tokensMax) [best, high] = [tokens, middle]
    else low = middle
  }
  return { type: "fits", tokens: best }
}

/** A turn is what a person wrote, be it several messages, and what was answered. */
function turnsOf(messages: ReadonlyArray<ChatMessage>) {
  const start = messages.findIndex(({ role }) => role !== "system")
  const head = messages.slice(0, start < 0 ? messages.length : start)
  const turns: Array<Array<ChatMessage>> = []
  for (const [i, message] of messages.slice(head.length).entries()) {
    const isNext = message.role === "user" && messages[head.length + i - 1]?.role !== "user"
    if (i === 0 || isNext) turns.push([message])
    else turns.at(-1)!.push(message)
  }
  return { head, turns }
}
