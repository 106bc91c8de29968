/** What an engine says in one attempt: told to the reader, and counted by the schedule. */
import type { Token } from "./engine.ts"
import * as Schedule from "./schedule.ts"

/** What a reader is told; `progress` is nothing to him. */
export type Said = Exclude<Token, { readonly type: "progress" }>

export interface Ear {
  readonly hear: (token: Token) => void
  /** Whether it has heard the end. */
  readonly isOver: () => boolean
}

/** An engine says each token as it comes, and how many they were at the end: until then a text counts as one. */
export function earOf<R extends Schedule.Request>(
  schedule: Schedule.Schedule<R>,
  ticket: Schedule.Ticket<R>,
  mayRestart: boolean,
  tell: (said: Said) => void
): Ear {
  let texts = 0
  let isOver = false
  return {
    isOver: () => isOver,
    hear: (token) => {
      if (token.type === "progress") {
        if (token.promptTokens !== undefined) Schedule.measure(schedule, ticket, token.promptTokens)
        return
      }
      if (token.type === "finish") {
        const { answerTokens, promptTokens } = token.usage
        // 0 where the server does not count.
        if (promptTokens > 0) Schedule.measure(schedule, ticket, promptTokens)
        Schedule.settle(ticket, answerTokens)
        isOver = true
      } else {
        Schedule.progress(ticket, ++texts)
        if (!mayRestart) ticket.isPinned = true
      }
      tell(token)
    }
  }
}
