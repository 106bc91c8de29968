/** Events that are acknowledged, deduplicated, ordered or accepted wrongly. */
import { Effect } from "effect"
import type { Accept, Adapter } from "../../src/adapters/adapter.ts"
import { conversationId } from "../../src/domain/ids.ts"
import type { Inbound } from "../../src/domain/inbound.ts"
import type { Outbound } from "../../src/domain/outbound.ts"
import type { Journal } from "../../src/store/journal.ts"
import type { PlantedBug } from "./plants.ts"
import type { Seams } from "./server.ts"

type Service = Journal["Service"]
type AdapterSeam = NonNullable<Seams["adapter"]>

const acceptedOf = ({ account, channel, thread }: Inbound) => ({
  conversation: conversationId(channel, account, thread),
  position: 0,
  duplicate: false
})

const accepting = (wrap: (accept: Accept, life: Parameters<AdapterSeam>[1]) => Accept): Seams => ({
  adapter: (adapter, life) => ({ ...adapter, listen: (accept) => adapter.listen(wrap(accept, life)) })
})

/** Each life knows what it has seen, and no more than that. */
function seenBefore(keysMax: number): (inbound: Inbound) => boolean {
  const seen = new Set<string>()
  return ({ account, eventKey }) => {
    const key = `${account} ${eventKey}`
    const isKnown = seen.has(key)
    seen.add(key)
    if (seen.size > keysMax) seen.delete(seen.values().next().value!)
    return isKnown
  }
}

let copies = 0
const withoutMark = (outbound: Outbound): Outbound => ({
  ...outbound,
  inReplyTo: outbound.inReplyTo.map((key) => key.split("#", 1)[0]!)
})

/** Every event is new to the store, unless `isKnown`. */
const dedupBy = (adapter: Adapter, isKnown: (inbound: Inbound) => boolean): Adapter => ({
  ...adapter,
  listen: (accept) =>
    adapter.listen((inbound) =>
      isKnown(inbound)
        ? Effect.succeed({ ...acceptedOf(inbound), duplicate: true })
        : accept({ ...inbound, eventKey: `${inbound.eventKey}#${++copies}` })
    ),
  send: (outbound) => adapter.send(withoutMark(outbound))
})

const reversed = (journal: Service): Service => ({
  ...journal,
  load: (conversation, max) =>
    Effect.map(journal.load(conversation, max), (loaded) => ({ ...loaded, pending: loaded.pending.toReversed() }))
})

export const inboundPlants = {
  "acknowledged before it is durable": {
    breaks: ["I4 lost", "I4 unbalanced", "I5 refused"],
    seams: accepting((accept) => (inbound) => Effect.as(Effect.forkDetach(accept(inbound)), acceptedOf(inbound)))
  },
  "acknowledged though it was refused": {
    breaks: ["I4 lost", "I4 unbalanced"],
    seams: accepting((accept) => (inbound) => Effect.catch(accept(inbound), () => Effect.succeed(acceptedOf(inbound))))
  },
  "no deduplication": {
    breaks: ["I2 doubled"],
    seams: { adapter: (adapter) => dedupBy(adapter, () => false) }
  },
  "deduplicated before it is stored": {
    breaks: ["I4 lost", "I4 unbalanced"],
    seams: accepting((accept) => {
      const isKnown = seenBefore(Number.POSITIVE_INFINITY)
      return (inbound) =>
        isKnown(inbound) ? Effect.succeed({ ...acceptedOf(inbound), duplicate: true }) : accept(inbound)
    })
  },
  "deduplicated by the last four keys": {
    breaks: ["I2 doubled"],
    seams: {
      adapter: (adapter) => dedupBy(adapter, seenBefore(4))
    }
  },
  "what was pending is read backwards": {
    breaks: ["I3 disordered", "P1 unread", "I4 lost", "I4 unbalanced"],
    seams: { journal: reversed }
  },
  "dropped on drain": {
    breaks: ["I4 lost", "I4 unbalanced"],
    seams: accepting(
      (accept, life) => (inbound) => (life.isDraining ? Effect.succeed(acceptedOf(inbound)) : accept(inbound))
    )
  },
  "a lost wake-up": {
    breaks: ["I4 lost", "I4 unbalanced", "P2 stuck"],
    seams: {
      // Every fifth event is not rung, and no sweep looks for it.
      journal: (journal) => {
        let count = 0
        return {
          ...journal,
          accept: (inbound, onAccepted) => journal.accept(inbound, ++count % 5 === 0 ? () => {} : onAccepted)
        }
      },
      reads: (reads) => ({ ...reads, withPending: () => Effect.succeed([]) })
    }
  },
  "a duplicate is told as new": {
    breaks: ["I2 doubled"],
    seams: accepting(
      (accept) => (inbound) => Effect.map(accept(inbound), (accepted) => ({ ...accepted, duplicate: false }))
    )
  }
} as const satisfies Readonly<Record<string, PlantedBug>>
