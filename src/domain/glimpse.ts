/**
 * What can be seen of a conversation while it happens, for platforms that show an answer as it is made. Volatile: after
 * a crash it is as if it had not been, and what counts stands in the record.
 */

export type Glimpse =
  /** The messages up to `seq` are in the record, and this is what the conversation does since. */
  | {
      readonly type: "recorded"
      readonly seq: number
      readonly turn: number
      readonly attempt: number
      readonly value: Doing
    }
  /** More of the answer. `at` is how many UTF-16 units of this attempt came before; a higher attempt starts over. */
  | {
      readonly type: "text"
      readonly turn: number
      readonly attempt: number
      readonly at: number
      readonly text: string
    }

/** Nothing is owed, the person is still writing, the turn waits for the model, the model answers. */
export type Doing = "done" | "typing" | "awaiting-model" | "streaming"
