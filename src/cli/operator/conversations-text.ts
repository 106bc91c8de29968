/** Conversations as a table for a terminal. */
import { durationText } from "../quantity.ts"
import { type Column, table } from "../table.ts"
import type { Conversations } from "./answers.ts"
import { stateText } from "./waiting.ts"

const columns: ReadonlyArray<Column> = [
  { title: "CONVERSATION", clipsTo: 20 },
  { title: "STATE", leaves: 5 },
  { title: "SINCE", isRight: true, leaves: 3 },
  { title: "TURN", isRight: true, leaves: 1 },
  { title: "PENDING", isRight: true, leaves: 4 },
  { title: "DUE", isRight: true },
  { title: "DEAD", isRight: true }
]

export function conversationsText({ conversations, next, nowMs }: Conversations, width: number): string {
  if (conversations.length === 0) return "There are none."
  const rows = conversations.map(({ atMs, dead, due, id, pending, turn, value }) => [
    id,
    stateText(value),
    durationText(nowMs - atMs),
    String(turn ?? "-"),
    ...[pending, due, dead].map(String)
  ])
  return [...table(columns, rows, width), ...(next === null ? [] : ["", `More follow: --after '${next}'`])].join("\n")
}
