/** Turns that are spliced, repeated, misread, unfair or endless. */
import { Effect, Stream } from "effect"
import type { InferenceScheduler, Signal } from "../../src/inference/scheduler.ts"
import type { Entry, Journal } from "../../src/store/journal.ts"
import type { PlantedBug } from "./plants.ts"
import type { Seams } from "./server.ts"

type Service = Journal["Service"]
type Scheduler = InferenceScheduler["Service"]

const committing = (wrap: (entry: Entry) => Entry): Seams => ({
  journal: (journal) => ({ ...journal, commit: (entry) => journal.commit(wrap(entry)) })
})

/** A second owner takes the next number instead of stopping. */
const unfenced = (journal: Service): Service => ({
  ...journal,
  commit: (entry) =>
    Effect.catchTag(journal.commit(entry), "FencedOff", () =>
      Effect.flatMap(journal.load(entry.conversation, 1), ({ stored }) => {
        const seq = (stored?.seq ?? 0) + 1
        const outbound = entry.outbound.map((row) => ({ ...row, key: `${row.key}-${seq}` }))
        const settle = entry.settle.map((row) => ({ ...row, ...(row.key && { key: `${row.key}-${seq}` }) }))
        const messageSeq = (stored?.messageSeq ?? 0) + entry.messages.length
        return journal.commit({ ...entry, seq, outbound, settle, messageSeq })
      })
    )
})

const signals = (
  wrap: (signals: ReturnType<Scheduler["infer"]>, id: string) => ReturnType<Scheduler["infer"]>
): Seams => ({
  scheduler: (scheduler) => ({
    ...scheduler,
    infer: (request, givenUp) => wrap(scheduler.infer(request, givenUp), request.id)
  })
})

/** The next turn begins with the last text of the one before. */
function leaking(): NonNullable<Seams["scheduler"]> {
  return (scheduler) => {
    let last = ""
    const leak = (signal: Signal): ReadonlyArray<Signal> => {
      if (signal.type === "started" && last !== "") {
        return [signal, { type: "text", attempt: signal.attempt, text: last }]
      }
      if (signal.type === "text") last = signal.text
      return [signal]
    }
    return {
      ...scheduler,
      infer: (request, givenUp) =>
        Stream.flatMap(scheduler.infer(request, givenUp), (signal) => Stream.fromIterable(leak(signal)))
    }
  }
}

const users = new Map<string, string>()

const settlingMore = (entry: Entry): Entry => ({
  ...entry,
  settle: entry.settle.map((row) => (row.fate === "answered" ? { ...row, upTo: row.upTo + 1 } : row))
})

export const processingPlants = {
  "no fencing": { breaks: ["P1 repeated", "I2 doubled", "P1 spliced", "O1 overtaken"], seams: { journal: unfenced } },
  "two attempts spliced": {
    breaks: ["P1 spliced"],
    seams: signals((all) =>
      Stream.map(
        Stream.filter(all, ({ type }) => type !== "restarted"),
        (signal) => ({ ...signal, attempt: 1 })
      )
    )
  },
  "a token of an old turn": { breaks: ["P1 spliced"], seams: { scheduler: leaking() } },
  "half an answer is a whole one": {
    breaks: ["P1 spliced"],
    seams: signals((all) =>
      Stream.catchTag(all, "ModelFailed", () =>
        Stream.make<ReadonlyArray<Signal>>({
          type: "finished",
          attempt: 1,
          reason: "stop",
          usage: { promptTokens: 1, answerTokens: 1 }
        })
      )
    )
  },
  "the next event is settled as well": {
    breaks: ["P1 unread", "I4 stranger", "I4 unbalanced", "I4 lost"],
    seams: committing(settlingMore)
  },
  "everybody's messages are in the prompt": {
    breaks: ["P1 mixed", "P1 unread", "P1 spliced"],
    seams: {
      journal: (journal) => {
        const known: Array<string> = []
        return {
          ...journal,
          messages: (conversation, turn, max) => {
            if (!known.includes(conversation)) known.push(conversation)
            const other = known[(known.indexOf(conversation) + 1) % known.length]!
            return Effect.zipWith(
              journal.messages(other, turn, 1),
              journal.messages(conversation, turn, max),
              (a, b) => [...a.map((message) => ({ ...message, turn: 0 })), ...b]
            )
          }
        }
      }
    }
  },
  "the timer is not restored": {
    breaks: ["I4 lost", "I4 unbalanced", "P2 stuck"],
    seams: {
      journal: (journal) => ({
        ...journal,
        load: (conversation, max) =>
          Effect.map(journal.load(conversation, max), (loaded) =>
            loaded.stored === undefined ? loaded : { ...loaded, stored: { ...loaded.stored, timers: [] } }
          )
      })
    }
  },
  "no deadline": { breaks: ["I4 lost", "I4 unbalanced", "P2 stuck"], seams: { turnMaxMs: 86_400_000 } },
  "first come, first served": {
    breaks: ["P5 unfair"],
    from: 90,
    seams: {
      scheduler: (scheduler) => ({
        ...scheduler,
        infer: (request, givenUp) => {
          users.set(request.id, request.user)
          return scheduler.infer({ ...request, user: "everybody" }, givenUp)
        }
      }),
      engine: (engine) => ({
        ...engine,
        generate: (request) => engine.generate({ ...request, user: users.get(request.id)! })
      })
    }
  },
  "more at once than there are slots": {
    breaks: ["P5 crowded"],
    seams: { engine: (engine) => ({ ...engine, slotsMax: engine.slotsMax + 1 }) }
  },
  "a command is a message": {
    breaks: ["I4 stranger", "I4 unbalanced"],
    seams: {
      journal: (journal) => ({
        ...journal,
        accept: (inbound, onAccepted) =>
          journal.accept({ ...inbound, text: inbound.text.replace("/stop", "please stop") }, onAccepted)
      })
    }
  }
} as const satisfies Readonly<Record<string, PlantedBug>>
