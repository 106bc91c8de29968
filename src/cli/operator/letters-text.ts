/** Dead letters for a terminal: as a table, and one by itself. */
import { type Look, painted } from "../look.ts"
import { durationText } from "../quantity.ts"
import { type Column, printable, table } from "../table.ts"
import type { Deed, Letter, Letters } from "./answers.ts"

export const letterColumns: ReadonlyArray<Column> = [
  { title: "ID", isRight: true },
  { title: "KIND", leaves: 2 },
  { title: "STATE", leaves: 1 },
  { title: "AGE", isRight: true, leaves: 3 },
  { title: "CONVERSATION", clipsTo: 16 },
  { title: "REASON", clipsTo: 16 }
]

type Row = Letters["deadLetters"][number]

export const letterRow = ({ atMs, conversation, id, kind, reason, state }: Row, nowMs: number) => [
  String(id),
  kind,
  state,
  durationText(nowMs - atMs),
  conversation,
  reason
]

export function lettersText({ deadLetters, next, nowMs }: Letters, width: number): string {
  if (deadLetters.length === 0) return "There are none."
  const rows = deadLetters.map((row) => letterRow(row, nowMs))
  const more = next === null ? [] : ["", `More follow: --before ${next}`]
  return [...table(letterColumns, rows, width), ...more].join("\n")
}

export function letterText(letter: Letter, look: Look): string {
  const { attempts, audit, conversation, id, kind, message, nowMs, reason, reference, state } = letter
  const about = [
    ["Conversation", conversation],
    ["Kind", kindText(kind, reference)],
    ["State", state],
    ["Since", timeText(letter.atMs, nowMs)],
    ["Reason", reason]
  ]
  const reply =
    message === undefined
      ? []
      : [
          ["Message", `reply to turn ${message.turn} (${message.outcome}), ${message.characters} characters`],
          ["Answers", message.inReplyTo.join(" ")],
          ...(message.text === null ? [] : [["Text", message.text]])
        ]
  const sends = attempts.map(({ atMs, n, reason, result }) => [
    String(n),
    timeText(atMs, nowMs),
    result ?? "unknown",
    reason ?? ""
  ])
  return [
    painted(`Dead letter ${id}`, "bold", look),
    ...labelled([...about, ...reply]),
    ...(sends.length === 0 ? [] : ["", ...table(sendColumns, sends, look.width)]),
    ...auditLines(audit, nowMs, look.width)
  ].join("\n")
}

function kindText(kind: string, reference: string): string {
  if (kind === "outbound") return `outbound: the message ${reference} could not be delivered`
  return kind === "turn" ? `turn: turn ${reference} was given up` : `inbound: the event at ${reference} was not handled`
}

const sendColumns: ReadonlyArray<Column> = [
  { title: "SEND", isRight: true },
  { title: "AT", leaves: 1 },
  { title: "RESULT" },
  { title: "REASON", clipsTo: 16 }
]

const auditColumns: ReadonlyArray<Column> = [
  { title: "DONE" },
  { title: "LETTER", isRight: true },
  { title: "BY", clipsTo: 12 },
  { title: "FROM", leaves: 1 },
  { title: "AT", leaves: 2 }
]

export function auditLines(audit: ReadonlyArray<Deed>, nowMs: number, width: number): ReadonlyArray<string> {
  if (audit.length === 0) return []
  const rows = audit.map(({ action, address, atMs, operator, subject }) => [
    action,
    subject,
    operator,
    address,
    timeText(atMs, nowMs)
  ])
  return ["", ...table(auditColumns, rows, width)]
}

/** `2026-01-01 12:00:00Z, 3 min 05 s ago` */
export function timeText(atMs: number, nowMs: number): string {
  const at = new Date(atMs).toISOString().replace("T", " ").replace(/\.\d+/, "")
  return `${at}, ${durationText(Math.max(0, nowMs - atMs))} ago`
}

/** Names beside their values, indented. */
export function labelled(pairs: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> {
  const wide = Math.max(...pairs.map(([name = ""]) => name.length))
  return pairs.map(([name = "", value = ""]) => `  ${name.padEnd(wide)}  ${printable(value)}`.trimEnd())
}
