/** One conversation for a terminal: where it stands, since when, and what it waits for. */
import { type Look, painted } from "../look.ts"
import { durationText } from "../quantity.ts"
import { type Column, printable, table } from "../table.ts"
import type { Inspection } from "./answers.ts"
import { auditLines, labelled, letterColumns, letterRow, timeText } from "./letters-text.ts"
import { stateText, waitingFor } from "./waiting.ts"

export interface LastError {
  readonly atMs: number
  readonly reason: string
  /** What failed. */
  readonly of: string
}

/** What went wrong most recently, of what is still owed or was given up. */
export function lastErrorOf({ deadLetters, outbox }: Inspection): LastError | undefined {
  const sends = outbox.flatMap(({ attempts, endedAtMs, reason, turn }) =>
    endedAtMs === null || reason === null ? [] : [{ atMs: endedAtMs, reason, of: `send ${attempts} of turn ${turn}` }]
  )
  const letters = deadLetters.map(({ atMs, id, reason }) => ({ atMs, reason, of: `dead letter ${id}` }))
  return [...sends, ...letters].toSorted((a, b) => b.atMs - a.atMs)[0]
}

export function inspectText(inspection: Inspection, look: Look): string {
  const { audit, deadLetters, id, messages, nowMs, outbox } = inspection
  const section = (title: string, lines: ReadonlyArray<string>) => ["", painted(title, "bold", look), ...lines]
  return [
    painted(printable(id), "bold", look),
    ...labelled(factsOf(inspection)),
    ...(outbox.length === 0 ? [] : section("Outbox", table(outboxColumns, outbox.map(outboxRow(nowMs)), look.width))),
    ...(deadLetters.length === 0
      ? []
      : section(
          "Dead letters",
          table(
            letterColumns.filter(({ title }) => title !== "CONVERSATION"),
            deadLetters.map((letter) => letterRow({ ...letter, conversation: "" }, nowMs).toSpliced(4, 1)),
            look.width
          )
        )),
    ...(messages.length === 0
      ? []
      : section("Last messages", table(messageColumns(messages), messages.map(messageRow(nowMs)), look.width))),
    ...auditLines(audit, nowMs, look.width)
  ].join("\n")
}

function factsOf(inspection: Inspection): ReadonlyArray<ReadonlyArray<string>> {
  const { conversation, isLive, nowMs, pending } = inspection
  const error = lastErrorOf(inspection)
  const oldest = pending.oldestAtMs === null ? "" : `, the oldest since ${durationText(nowMs - pending.oldestAtMs)}`
  return [
    ["State", conversation === null ? "nothing handled yet" : stateText(conversation.value)],
    ...(conversation === null
      ? []
      : [
          ["Since", timeText(conversation.atMs, nowMs)],
          ["Turn", String(conversation.turn ?? "-")]
        ]),
    ["Waits for", waitingFor(inspection)],
    ["In memory", isLive ? "yes" : "no"],
    ["Pending", pending.count === 0 ? "no events" : `${pending.count} events${oldest}`],
    ["Last error", error === undefined ? "none" : `${error.of}: ${error.reason} (${timeText(error.atMs, nowMs)})`]
  ]
}

const outboxColumns: ReadonlyArray<Column> = [
  { title: "TURN", isRight: true },
  { title: "OUTCOME", leaves: 3 },
  { title: "SENDS", isRight: true },
  { title: "NEXT" },
  { title: "LAST", leaves: 2 },
  { title: "KEY", leaves: 1 }
]

const outboxRow =
  (nowMs: number) =>
  ({ attempts, dueAtMs, key, outcome, reason, result, turn }: Inspection["outbox"][number]) => [
    String(turn),
    outcome,
    String(attempts),
    attempts > 0 && result === null ? "being sent" : dueAtMs > nowMs ? `in ${durationText(dueAtMs - nowMs)}` : "due",
    result === null ? "" : `${result}: ${reason ?? ""}`,
    key
  ]

function messageColumns(messages: Inspection["messages"]): ReadonlyArray<Column> {
  const columns: ReadonlyArray<Column> = [
    { title: "TURN", isRight: true },
    { title: "ROLE" },
    { title: "AGE", isRight: true, leaves: 2 },
    { title: "CHARACTERS", isRight: true, leaves: 1 }
  ]
  return messages.some(({ text }) => text !== null) ? [...columns, { title: "TEXT", clipsTo: 20 }] : columns
}

const messageRow =
  (nowMs: number) =>
  ({ atMs, characters, role, text, turn }: Inspection["messages"][number]) => [
    String(turn),
    role,
    durationText(nowMs - atMs),
    String(characters),
    ...(text === null ? [] : [text])
  ]
