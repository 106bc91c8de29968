/** What an operator changes while the server runs, so that the owner of what is changed knows of it. */
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import { accountOf } from "../domain/ids.ts"
import type { Operator } from "../store/audit.ts"
import type { Database } from "../store/database.ts"
import { discard, LetterRefused, type LetterRow, letter, replay } from "../store/dead-letters.ts"
import { type Forgotten, forget } from "../store/forget.ts"
import type { Unavailable } from "../store/journal.ts"
import type { Account } from "./account.ts"

export interface Operations {
  /** Has an undeliverable message sent again, with its key. */
  readonly replay: (id: number, operator: Operator) => Effect.Effect<LetterRow, LetterRefused | Unavailable>
  readonly discard: (id: number, operator: Operator) => Effect.Effect<LetterRow, LetterRefused | Unavailable>
  /** Undefined when there is nothing of it. One at a time. Interrupting it may leave it done. */
  readonly forget: (
    conversation: string,
    operator: Operator
  ) => Effect.Effect<Forgotten | undefined, AccountClosed | Unavailable>
}

/** The account is configured and not open: whose its conversations are is not known for now. */
export class AccountClosed extends Data.TaggedError("AccountClosed")<{ readonly account: string }> {}

export interface OperationsOptions {
  readonly database: Database["Service"]
  /** Those that are open. */
  readonly accounts: ReadonlyMap<string, Account>
  readonly configured: ReadonlyArray<string>
  /** What they keep of a conversation beside the database. */
  readonly models: ReadonlyArray<{ readonly forget: Effect.Effect<void> }>
}

export function makeOperations({ accounts, configured, database, models }: OperationsOptions): Operations {
  const oneForgets = Semaphore.makeUnsafe(1)
  return {
    replay: Effect.fn("Operations.replay")(function* (id, operator) {
      const { conversation } = yield* letter(database, id, false)
      const account = accountOf(conversation)
      if (!configured.includes(account)) return yield* notConfigured(id, account)
      const replayed = yield* replay(database, { id, operator, atMs: yield* Clock.currentTimeMillis })
      // A lost wake-up costs latency: the next sweep finds it.
      accounts.get(account)?.delivery.wake(conversation)
      return replayed
    }),
    discard: Effect.fn("Operations.discard")(function* (id, operator) {
      return yield* discard(database, { id, operator, atMs: yield* Clock.currentTimeMillis })
    }),
    forget: Effect.fn("Operations.forget")(function* (conversation, operator) {
      const id = accountOf(conversation)
      const account = accounts.get(id)
      if (account === undefined && configured.includes(id)) return yield* new AccountClosed({ account: id })
      const work = Effect.flatMap(Clock.currentTimeMillis, (atMs) =>
        Effect.tap(forget(database, { conversation, operator, atMs }), () =>
          Effect.forEach(models, (model) => model.forget, { discard: true })
        )
      )
      return yield* oneForgets.withPermit(account === undefined ? work : account.alone(conversation, work))
    })
  }
}

function notConfigured(id: number, account: string): LetterRefused {
  const reason = `Dead letter ${id} is of ${account}, which is not configured: nothing can be sent there.`
  return new LetterRefused({ code: "not_replayable", reason })
}
