/** The prompt of a turn, from the rows of its conversation. */
import type { ChatMessage } from "../inference/engine.ts"
import type { StoredMessage } from "../store/journal.ts"

/**
 * Oldest first: the system prompt, then turn by turn what the person wrote and what was answered. A message that was
 * collected while a turn was answered belongs to the next turn, and so comes after that answer. Messages of one role
 * that follow each other are joined, for chat templates expect the roles to alternate.
 *
 * When there are `messagesMax`, which may not be all, it begins with a turn whose number is a multiple: so the prompts
 * of several turns begin alike, and an engine need not read all of each again.
 */
export function promptOf(
  systemPrompt: string,
  stored: ReadonlyArray<StoredMessage>,
  messagesMax: number
): ReadonlyArray<ChatMessage> {
  const sorted = stored.toSorted((a, b) => a.turn - b.turn || rank(a) - rank(b))
  const byTurn = sorted.length < messagesMax ? sorted : sorted.filter(({ turn }) => turn >= beginOf(sorted))
  const messages: Array<ChatMessage> = [{ role: "system", content: systemPrompt }]
  for (const { role, text } of byTurn) {
    const previous = messages.at(-1)!
    if (previous.role === role) messages[messages.length - 1] = { role, content: `${previous.content}\n${text}` }
    else if (role === "user" || messages.length > 1) messages.push({ role, content: text })
  }
  return messages
}

/** The last turn is in it, however many messages that has. */
function beginOf(sorted: ReadonlyArray<StoredMessage>): number {
  const next = (Math.floor(sorted[0]!.turn / turnsApart) + 1) * turnsApart
  return Math.min(next, sorted.at(-1)!.turn)
}

const turnsApart = 8

function rank({ role }: StoredMessage): number {
  return role === "user" ? 0 : 1
}
