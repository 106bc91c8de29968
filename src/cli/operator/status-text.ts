/** How a server does, for a person. */
import { type Look, painted } from "../look.ts"
import { durationText } from "../quantity.ts"
import { type Column, printable, table } from "../table.ts"
import type { Status } from "./answers.ts"

const columns: ReadonlyArray<Column> = [
  { title: "ACCOUNT", clipsTo: 16 },
  { title: "ACCEPTED", isRight: true, leaves: 6 },
  { title: "ANSWERED", isRight: true, leaves: 5 },
  { title: "IGNORED", isRight: true, leaves: 2 },
  { title: "SUPERSEDED", isRight: true, leaves: 1 },
  { title: "SHED", isRight: true, leaves: 3 },
  { title: "DEAD", isRight: true },
  { title: "PENDING", isRight: true }
]

export function statusText(status: Status, address: string, look: Look): string {
  const { conversations, durability, events, models, nowMs, outbox, parts, ready, startedAtMs } = status
  const verdict = ready ? painted("ready", "green", look) : painted("not ready", "red", look)
  const wide = Math.max(...Object.keys(parts).map((name) => name.length))
  return [
    `Parley at ${address}: ${verdict}, for ${durationText(nowMs - startedAtMs)}`,
    ...Object.entries(parts).map(([name, is]) => {
      const words = printable(is)
      return `  ${name.padEnd(wide)}  ${is === "up" ? words : painted(words, "red", look)}`
    }),
    ...(durability === "strict"
      ? []
      : [painted("  durability is relaxed: accepted events may be lost", "yellow", look)]),
    "",
    ...models.map((model) => modelLine(model, look)),
    `Conversations  ${conversations.live} live, ${conversations.busy} busy`,
    ...(outbox === null ? [] : [outboxLine(outbox, look)]),
    ...(events === null ? [] : ["", ...table(columns, events.map(rowOf), look.width)])
  ].join("\n")
}

function modelLine(model: Status["models"][number], look: Look): string {
  const { background, interactive, name, running, slots, state, turnMs, why } = model
  const words = ` (${state}${why === undefined ? "" : `: ${printable(why)}`})`
  const isBad = state === "lost" || state === "broken" || state === "breaker-open"
  const is = state === "ready" || state === "answering" ? "" : isBad ? painted(words, "red", look) : words
  return `Model          ${name}: ${running} of ${slots} slots, ${background + interactive} waiting, ${turnText(turnMs)}${is}`
}

function turnText(turnMs: number): string {
  return `${turnMs < 10_000 ? `${(turnMs / 1000).toFixed(1)} s` : durationText(turnMs)} a turn`
}

function outboxLine({ deadLetters, due }: NonNullable<Status["outbox"]>, look: Look): string {
  const dead = `${deadLetters} dead letter${deadLetters === 1 ? "" : "s"} open`
  const mend = deadLetters === 0 ? dead : `${painted(dead, "yellow", look)}: parley deadletters list`
  return `Outbox         ${due} due, ${mend}`
}

type Counts = NonNullable<Status["events"]>[number]

function rowOf({ accepted, account, answered, dead, ignored, pending, shed, superseded }: Counts) {
  return [account, ...[accepted, answered, ignored, superseded, shed, dead, pending].map(String)]
}
