/** What an engine says in one attempt: told to the reader, and counted by the schedule. */
import type { Token } from "./engine.ts"
import { type Floor, startNext, type Ticket } from "./floor.ts"
import * as Schedule from "./schedule.ts"
import { countStart, countToken } from "./timings.ts"

/** What a reader is told; `progress` is nothing to him. */
export type Said = Exclude<Token, { readonly type: "progress" }>

export interface Ear {
  readonly hear: (token: Token) => void
  /** Whether it has heard the end. */
  readonly isOver: () => boolean
}

/** An engine says each token as it comes, and how many they were at the end: until then a text counts as one. */
export function earOf(floor: Floor, ticket: Ticket, mayRestart: boolean, tell: (said: Said) => void): Ear {
  let texts = 0
  let isOver = false
  const { clock, timings } = floor
  countStart(timings, ticket, clock.currentTimeMillisUnsafe())
  return {
    isOver: () => isOver,
    hear: (token) => {
      // Their times are of interest at their beginning and end alone.
      if (texts === 0 || token.type === "finish") countToken(timings, ticket, token, clock.currentTimeMillisUnsafe())
      if (token.type === "progress") {
        if (token.promptTokens === undefined) return
        Schedule.measure(floor.schedule, ticket, token.promptTokens)
        startNext(floor)
        return
      }
      if (token.type === "finish") {
        const { answerTokens, promptTokens } = token.usage
        // 0 where the server does not count.
        if (promptTokens > 0) Schedule.measure(floor.schedule, ticket, promptTokens)
        Schedule.settle(ticket, answerTokens)
        isOver = true
      } else {
        if (token.type !== "vector") Schedule.progress(ticket, ++texts)
        if (!mayRestart) ticket.isPinned = true
      }
      tell(token)
    }
  }
}
