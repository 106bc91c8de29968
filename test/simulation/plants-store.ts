/** A store that loses, tears or misreports what it was given. */
import { Effect } from "effect"
import type { Database } from "../../src/store/database.ts"
import type { PlantedBug } from "./plants.ts"

type Service = Database["Service"]

/** A lost answer is taken for a yes. */
const credulous = (database: Service): Service => ({
  ...database,
  write: (statement) =>
    Effect.catchTag(database.write(statement), "ConnectionLost", (lost) => {
      if (!lost.wasSent || !statement.name.startsWith("batch-1")) return lost
      const accepted: ReadonlyArray<{ readonly entry: string }> = JSON.parse(statement.values[0] as string)
      return Effect.succeed(accepted.map(({ entry }) => ({ id: entry, position: 1_000_000, keys: null })))
    })
})

/** What failed is written once more, as something else. */
const repeating = (database: Service): Service => ({
  ...database,
  write: (statement) => {
    const again = () => {
      const values = statement.values.map((value) =>
        (value as string).replaceAll(/"event_key":"([^"#]*)"/g, '"event_key":"$1#again"')
      )
      return database.write({ ...statement, values })
    }
    return Effect.catchTag(database.write(statement), "ConnectionLost", (lost) => (lost.wasSent ? again() : lost))
  }
})

export const storePlants = {
  "fsync is off": {
    breaks: ["I4 lost", "I4 unbalanced", "I2 doubled", "P1 repeated", "O2 changed", "O3 shown-twice", "P1 spliced"],
    craft: { flushesFirst: false }
  },
  "a torn write counts": {
    breaks: ["I4 lost", "I4 unbalanced", "P1 unread", "P1 mixed", "P2 stuck"],
    craft: { isAtomic: false }
  },
  "a lost answer is taken for a yes": { breaks: ["I4 lost", "I4 unbalanced"], seams: { database: credulous } },
  "a lost write is repeated blindly": {
    breaks: ["I2 doubled", "I4 stranger", "I4 unbalanced", "P1 unread"],
    seams: { database: repeating }
  }
} as const satisfies Readonly<Record<string, PlantedBug>>
