/** The prompt of a turn, from the rows of its conversation. */
import type { ChatMessage } from "../inference/engine.ts"
import type { StoredMessage } from "../store/journal.ts"

/**
 * Oldest first: the system prompt, then turn by turn what the person wrote and what was answered. A message that was
 * collected while a turn was answered belongs to the next turn, and so comes after that answer. Messages of one role
 * that follow each other are joined, for chat templates expect the roles to alternate.
 */
export function promptOf(systemPrompt: string, stored: ReadonlyArray<StoredMessage>): ReadonlyArray<ChatMessage> {
  const byTurn = stored.toSorted((a, b) => a.turn - b.turn || rank(a) - rank(b))
  const messages: Array<ChatMessage> = [{ role: "system", content: systemPrompt }]
  for (const { role, text } of byTurn) {
    const previous = messages.at(-1)!
    if (previous.role === role) messages[messages.length - 1] = { role, content: `${previous.content}\n${text}` }
    else if (role === "user" || messages.length > 1) messages.push({ role, content: text })
  }
  return messages
}

function rank({ role }: StoredMessage): number {
  return role === "user" ? 0 : 1
}
