/**
 * Wakes whoever owes something and is not awake: everybody at the start, and afterwards those with a due timer and
 * those whose wake-up was lost. A lost wake-up costs latency, never data.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { accountOf } from "../domain/ids.ts"
import type { Unavailable } from "../store/journal.ts"
import type { Page, SweepReads } from "../store/sweep-reads.ts"
import type { Account } from "./account.ts"

export interface SweeperOptions {
  readonly reads: SweepReads
  readonly accounts: () => ReadonlyMap<string, Account>
  /** Called with the number of events that have no fate. */
  readonly counted: (pending: number) => void
  readonly dedupKeptMs: number
}

const pageMax = 500
/** Between two pages, so that those who are woken can read what they owe. */
const pagePauseMs = 20
const timersEveryMs = 1_000
const sweepEveryMs = 30_000
const forgetEveryMs = 60_000
const forgetMax = 5_000

/** One sweep over all that is owed. Conversations of accounts that are not configured stay as they are. */
export const sweep = Effect.fn("Sweeper.sweep")(function* ({ accounts, reads }: SweeperOptions) {
  const now = accounts()
  for (const { delivery } of now.values()) delivery.sweepBegins()
  yield* pages(reads.withDue, (id) => now.get(accountOf(id))?.delivery.wake(id))
  for (const { delivery } of now.values()) delivery.sweepEnds()
  const wake = (id: string) => {
    const conversations = now.get(accountOf(id))?.conversations
    if (conversations?.isLive(id) === false) conversations.wake(id)
  }
  yield* pages(reads.withPending, wake)
  yield* pages(reads.open, wake)
})

/** Sweeps for ever, and survives a database that is away. */
export const runSweeper = (options: SweeperOptions): Effect.Effect<never> =>
  Effect.all(
    [
      every(sweepEveryMs, sweep(options)),
      every(timersEveryMs, Effect.andThen(wakeDue(options), count(options))),
      every(forgetEveryMs, forget(options))
    ],
    { concurrency: "unbounded" }
  ) as unknown as Effect.Effect<never>

const every = (periodMs: number, effect: Effect.Effect<void, Unavailable>) =>
  Effect.sleep(periodMs).pipe(
    Effect.andThen(effect),
    Effect.catchTag("Unavailable", ({ reason }) => Effect.logDebug("the sweeper found no database", reason)),
    Effect.forever
  )

const pages = Effect.fnUntraced(function* (page: Page, wake: (id: string) => void) {
  let after = ""
  for (;;) {
    const ids = yield* page(after, pageMax)
    ids.forEach(wake)
    if (ids.length < pageMax) return
    after = ids.at(-1)!
    yield* Effect.sleep(pagePauseMs)
  }
})

/** To the last page, for some of them stay overdue: their account is not configured, or their snapshot not migrated. */
const wakeDue = Effect.fnUntraced(function* ({ accounts, reads }: SweeperOptions) {
  const dueByMs = (yield* Clock.currentTimeMillis) + timersEveryMs
  let after = { id: "", wakeAtMs: 0 }
  for (;;) {
    const due = yield* reads.withTimers(after, dueByMs, pageMax)
    for (const { id } of due) {
      const conversations = accounts().get(accountOf(id))?.conversations
      if (conversations?.isLive(id) === false) conversations.wake(id)
    }
    if (due.length < pageMax) return
    after = due.at(-1)!
    yield* Effect.sleep(pagePauseMs)
  }
})

const count = Effect.fnUntraced(function* ({ counted, reads }: SweeperOptions) {
  const counts = yield* reads.census
  counted(counts.reduce((sum, { count, term }) => (term === "pending" ? sum + count : sum), 0))
})

const forget = Effect.fnUntraced(function* ({ dedupKeptMs, reads }: SweeperOptions) {
  const nowMs = yield* Clock.currentTimeMillis
  while ((yield* reads.forgetSettled(nowMs - dedupKeptMs, forgetMax)) === forgetMax) yield* Effect.sleep(pagePauseMs)
})
