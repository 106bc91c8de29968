/** How a server that is told to stop comes to its end. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Account } from "./actors/account.ts"
import type { Calls } from "./http/v1-call.ts"

export interface Draining {
  readonly accounts: ReadonlyMap<string, Account>
  readonly calls: Calls
}

/** Kept of `drainMs` for closing what is open. */
const closeMs = 2_000
const drainPollMs = 25

/** Takes nothing more, lets running turns and sends end, and leaves the rest to the next start. */
export const drain = Effect.fn("drain")(function* ({ accounts, calls }: Draining, drainMs: number) {
  const all = [...accounts.values()]
  for (const { refuse } of all) refuse()
  calls.isOver = true
  const busy = () => all.reduce((sum, { conversations }) => sum + conversations.busy(), calls.inFlight)
  const isIdle = Effect.gen(function* () {
    while (busy() > 0) yield* Effect.sleep(drainPollMs)
    yield* Effect.forEach(all, ({ delivery }) => delivery.drain, { concurrency: "unbounded", discard: true })
  })
  yield* Effect.logInfo(`stopping: ${busy()} conversations and requests have something to do`)
  const isDone = yield* Effect.timeoutOption(isIdle, Duration.millis(Math.max(0, drainMs - closeMs)))
  if (isDone._tag === "None")
    yield* Effect.logInfo(`${busy()} conversations are parked; the next start goes on with them`)
})
