/**
 * Which messages a prompt is made of.
 *
 *   M1. What the system says at the start, and the last turn, are always in it.
 *   M2. What is left out is the oldest: whole turns, so that no answer stands without its question.
 *   M3. What is left out ends at a mark, one for each quarter of the room, or just before the last turn. No more is
 *       left out than up to the first mark that makes it fit.
 *   M4. Nothing is left out where nothing may be dropped.
 *   M5. Where the marks are depends on the turns before them alone, and not on those that come later.
 *
 * So a conversation that outgrew its context goes on for about a quarter of it before more is left out. Its prompts
 * begin alike until then, and what was decoded for one is there for the next.
 */
import { tokensEstimatedOf } from "../demand.ts"
import type { ChatMessage } from "../engine.ts"

export type Prompt<Tokens> =
  | { readonly type: "fits"; readonly tokens: Tokens }
  | { readonly type: "too-long"; readonly tokens: number; readonly tokensMax: number }

/** `tokenise` is called once for each mark that is passed, and three times more. */
export function trimmed<Tokens extends { readonly length: number }>(
  messages: ReadonlyArray<ChatMessage>,
  tokensMax: number,
  mayDrop: boolean,
  tokenise: (messages: ReadonlyArray<ChatMessage>) => Tokens
): Prompt<Tokens> {
  const { head, turns } = turnsOf(messages)
  const without = (dropped: number) => tokenise([...head, ...turns.slice(dropped).flat()])
  const whole = without(0)
  if (whole.length <= tokensMax) return { type: "fits", tokens: whole }
  const least = mayDrop ? without(Math.max(0, turns.length - 1)) : whole
  if (least.length > tokensMax) return { type: "too-long", tokens: least.length, tokensMax }
  for (const dropped of marksOf(turns, tokensMax / marksInRoom)) {
    const tokens = without(dropped)
    if (tokens.length <= tokensMax) return { type: "fits", tokens }
  }
  return { type: "fits", tokens: least }
}

const marksInRoom = 4

/** How many turns are left out at each mark: as many as begin before it, by a guess at their tokens. */
function marksOf(turns: ReadonlyArray<ReadonlyArray<ChatMessage>>, spacingTokens: number): ReadonlyArray<number> {
  let tokens = 0
  return turns.flatMap((turn, i) => {
    const marksBefore = Math.floor(tokens / spacingTokens)
    for (const message of turn) tokens += tokensEstimatedOf(message)
    const isMark = Math.floor(tokens / spacingTokens) > marksBefore
    return isMark && i + 1 < turns.length ? [i + 1] : []
  })
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
