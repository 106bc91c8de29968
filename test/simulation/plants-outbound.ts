/** Replies that are lost, repeated, disordered, changed or sent for ever. */
import { Effect } from "effect"
import { type Adapter, Ambiguous, NotSent } from "../../src/adapters/adapter.ts"
import type { Journal } from "../../src/store/journal.ts"
import type { PlantedBug } from "./plants.ts"
import type { Seams } from "./server.ts"

type Service = Journal["Service"]

const journalled = (wrap: (journal: Service) => Partial<Service>): Seams => ({
  journal: (journal) => ({ ...journal, ...wrap(journal) })
})

const adapted = (wrap: (adapter: Adapter) => Partial<Adapter>): Seams => ({
  adapter: (adapter) => ({ ...adapter, ...wrap(adapter) })
})

let sends = 0

export const outboundPlants = {
  "sent again blindly": {
    breaks: ["O3 shown-twice"],
    seams: {
      adapter: ({ find: _, ...adapter }) => adapter
    }
  },
  "no attempt before a send": {
    breaks: ["O3 shown-twice", "O4 endless"],
    seams: journalled((journal) => {
      const begun = new Map<string, Parameters<Service["begin"]>[0]>()
      return {
        begin: (attempt) => Effect.sync(() => void begun.set(attempt.key, attempt)),
        end: (end) => Effect.andThen(Effect.ignore(journal.begin(begun.get(end.key) ?? end)), journal.end(end))
      }
    })
  },
  "an unanswered send counts as not sent": {
    breaks: ["O3 shown-twice"],
    seams: adapted(({ find, send }) => ({
      ...(find && { find }),
      send: (outbound) =>
        Effect.catchTag(send(outbound), "Ambiguous", ({ reason }: Ambiguous) => Effect.fail(new NotSent({ reason })))
    }))
  },
  "another key for each send": {
    breaks: ["O3 shown-twice", "I2 doubled", "P1 repeated", "I4 lost"],
    seams: adapted(({ send }) => ({ send: (outbound) => send({ ...outbound, key: `${outbound.key}-${++sends}` }) }))
  },
  "delivered before it is sent": {
    breaks: ["I4 lost", "O1 overtaken"],
    seams: adapted(({ send }) => ({ send: (outbound) => Effect.as(Effect.forkDetach(send(outbound)), "") }))
  },
  "a throttled send counts as delivered": {
    breaks: ["I4 lost"],
    seams: adapted(({ send }) => ({
      send: (outbound) => Effect.catchTag(send(outbound), "Throttled", () => Effect.succeed(""))
    }))
  },
  "the platform's pause is not kept": {
    breaks: ["O4 hurried"],
    seams: adapted(({ send }) => ({
      send: (outbound) =>
        Effect.catchTag(send(outbound), "Throttled", () => Effect.fail(new NotSent({ reason: "429" })))
    }))
  },
  "retried for ever": {
    breaks: ["O4 endless"],
    seams: {
      attemptsMax: 20,
      adapter: (adapter) => ({
        ...adapter,
        send: (outbound) =>
          Effect.flatMap(adapter.send(outbound), (receipt) =>
            outbound.turn === 1 ? Effect.fail(new Ambiguous({ reason: "not believed" })) : Effect.succeed(receipt)
          ),
        find: () => Effect.undefined
      })
    }
  },
  "sent in any order": {
    breaks: ["O1 overtaken"],
    seams: journalled((journal) => ({
      due: (conversation, max) => Effect.map(journal.due(conversation, max), (due) => due.toReversed())
    }))
  },
  "the text changes when it is sent again": {
    breaks: ["O2 changed", "P1 spliced"],
    seams: journalled((journal) => ({
      due: (conversation, max) =>
        Effect.map(journal.due(conversation, max), (due) =>
          due.map((one) => {
            const isAgain = one.attempts > 0
            return isAgain ? { ...one, outbound: { ...one.outbound, text: `${one.outbound.text} (again)` } } : one
          })
        )
    }))
  },
  "doubts are not listed": {
    breaks: ["O3 shown-twice"],
    seams: journalled((journal) => ({
      end: (end) => journal.end(end.result === "ambiguous" ? { ...end, result: "not-sent" } : end)
    }))
  }
} as const satisfies Readonly<Record<string, PlantedBug>>
