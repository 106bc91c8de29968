/** The failpoints that a statement passes: one for each kind of thing that is written by it. */
import type { Statement } from "../../src/store/database.ts"
import type { Point } from "./failpoints.ts"

type Step = "asked" | "flushing" | "written"

const known = new WeakMap<Statement, ReadonlySet<string>>()

export function pointsOf(statement: Statement, step: Step): ReadonlyArray<Point> {
  const kinds = known.get(statement) ?? kindsOf(statement)
  known.set(statement, kinds)
  return [...kinds].map((kind) => `${kind}.${step}` as Point)
}

/** By the type of an entry's event. */
const events: Readonly<Record<string, string>> = {
  "user.message": "message",
  "user.stop": "command",
  "inference.finished": "finished",
  "inference.failed": "failed",
  "inference.restarted": "restarted",
  "xstate.after.settle.conversation.typing": "settle",
  "xstate.after.turnDeadline.conversation.answering": "overdue",
  "actor.resumed": "resumed"
}

function kindsOf({ name, values }: Statement): ReadonlySet<string> {
  const bits = name.slice("batch-".length)
  const rowsOf = (bit: number): ReadonlyArray<Readonly<Record<string, string>>> =>
    bits[bit] === "1" ? JSON.parse(values[[...bits.slice(0, bit)].filter((one) => one === "1").length] as string) : []
  const kinds = new Set<string>()
  if (bits[0] === "1") kinds.add("accept")
  for (const { type = "" } of rowsOf(1)) if (events[type] !== undefined) kinds.add(events[type])
  if (bits[5] === "1") kinds.add("attempt")
  for (const { state } of rowsOf(6)) kinds.add(state === "delivered" ? "delivered" : "undelivered")
  return kinds
}
