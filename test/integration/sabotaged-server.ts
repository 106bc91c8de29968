/**
 * Parley with one promise broken, which PARLEY_SABOTAGE names, so that the kill tests are seen to notice. For tests
 * only.
 *
 *   acknowledge-before-commit   an event is acknowledged, and written a little later
 *   no-dedup                    an event that comes again is another event
 *   attempt-after-send          a message is sent, and its attempt is recorded afterwards
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect } from "effect"
import { loadConfig } from "../../src/cli/config-load.ts"
import { layerLogging } from "../../src/cli/logging.ts"
import { conversationId } from "../../src/domain/ids.ts"
import type { Outbound } from "../../src/domain/outbound.ts"
import { serve } from "../../src/parley.ts"
import type { Attempt, Journal } from "../../src/store/journal.ts"

type Service = Journal["Service"]

/** As an acknowledgement from memory would have it: written behind, when there is time. */
const behindMs = 150

const acknowledgeBeforeCommit = (journal: Service): Service => ({
  ...journal,
  accept: (inbound, onAccepted) =>
    Effect.as(Effect.forkDetach(Effect.andThen(Effect.sleep(behindMs), journal.accept(inbound, onAccepted))), {
      conversation: conversationId(inbound.channel, inbound.account, inbound.thread),
      position: 0,
      duplicate: false,
      pending: true
    })
})

const noDedup = (journal: Service): Service => {
  let count = 0
  const shown = (outbound: Outbound): Outbound => ({
    ...outbound,
    inReplyTo: outbound.inReplyTo.map((key) => key.split("#", 1)[0]!)
  })
  return {
    ...journal,
    accept: (inbound, onAccepted) =>
      journal.accept({ ...inbound, eventKey: `${inbound.eventKey}#${process.pid}.${++count}` }, onAccepted),
    commit: (entry) => Effect.map(journal.commit(entry), (owed) => owed.map(shown)),
    due: (conversation, dueMax) =>
      Effect.map(journal.due(conversation, dueMax), (due) =>
        due.map((one) => ({ ...one, outbound: shown(one.outbound) }))
      )
  }
}

const attemptAfterSend = (journal: Service): Service => {
  const begun = new Map<string, Attempt>()
  const idOf = ({ key, n }: Attempt) => `${key} ${n}`
  return {
    ...journal,
    begin: (attempt) => Effect.sync(() => void begun.set(idOf(attempt), attempt)),
    end: (ended) =>
      Effect.gen(function* () {
        const attempt = begun.get(idOf(ended))
        begun.delete(idOf(ended))
        if (attempt !== undefined) yield* Effect.catchTag(journal.begin(attempt), "FencedOff", Effect.die)
        yield* journal.end(ended)
      })
  }
}

const sabotages: Readonly<Record<string, (journal: Service) => Service>> = {
  "acknowledge-before-commit": acknowledgeBeforeCommit,
  "no-dedup": noDedup,
  "attempt-after-send": attemptAfterSend
}

const journal = sabotages[process.env["PARLEY_SABOTAGE"] ?? ""]
if (journal === undefined) throw new Error(`PARLEY_SABOTAGE is one of ${Object.keys(sabotages)}`)

const stopped = Effect.callback<void>((resume) => {
  process.once("SIGTERM", () => resume(Effect.void))
})

const program = Effect.gen(function* () {
  const config = yield* loadConfig(process.env, {})
  const ready = (address: string) => Effect.logInfo(`Parley is ready: ${address}`)
  yield* Effect.provide(serve({ config, stopped, ready, seams: { journal } }), layerLogging({ debug: config.debug }))
})

await Effect.runPromise(Effect.provide(program, NodeServices.layer))
process.exit(0)
