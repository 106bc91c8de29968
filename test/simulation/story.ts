/** What happened in a run, step by step, for a person: who did what to whom, and what went wrong when. */
import type { Observation } from "./history.ts"
import type { Outcome } from "./simulate.ts"
import type { Line } from "./world.ts"

export const lanes = ["people", "platform", "Parley", "PostgreSQL", "model"] as const
export type Lane = (typeof lanes)[number]

export interface Step {
  readonly atMs: number
  readonly from: Lane
  /** Left out, it is something that happens there. */
  readonly to?: Lane
  readonly words: string
  readonly isFault: boolean
}

const wordsMax = 110

/** Its steps in order. What a person saw grow is left out, and so is what the server says to itself. */
export function stepsOf({ lines, observations }: Outcome): ReadonlyArray<Step> {
  const steps = [...observations.flatMap(stepOfObservation), ...lines.flatMap(stepOfLine)]
  return steps.toSorted((a, b) => a.atMs - b.atMs)
}

export function storyOf(outcome: Outcome): string {
  const { conversations, events, fired, seed, violations } = outcome
  const head = [
    `seed ${seed}, with ${fired.length} faults, ${conversations} conversations and ${events} events:`,
    ...violations.map((violation) => `  ${violation}`),
    ""
  ]
  const steps = stepsOf(outcome).map(({ atMs, from, isFault, to, words }) => {
    const who = to === undefined ? from : `${from} → ${to}`
    return `${(atMs / 1_000).toFixed(3).padStart(9)} s ${isFault ? "!" : " "} ${who.padEnd(22)} ${words}`
  })
  return [...head, ...steps, ""].join("\n")
}

function stepOfObservation(one: Observation): ReadonlyArray<Step> {
  const step = (from: Lane, to: Lane | undefined, words: string, isFault = false): ReadonlyArray<Step> => [
    { atMs: one.atMs, from, ...(to && { to }), words: short(words), isFault }
  ]
  switch (one.type) {
    case "wrote":
      return step("people", "platform", `${one.user} writes ${one.key} to ${one.account}/${one.thread}: ${one.text}`)
    case "posted":
      return step("platform", "Parley", `posts ${one.key}`)
    case "told":
      return step("Parley", "platform", `${one.key} is ${one.answer}`)
    case "asked":
      return step("Parley", "model", `${one.mark}: ${one.prompt.at(-1)?.content.replaceAll("\n", " | ")}`)
    case "said":
      return step("model", "Parley", one.isWhole ? `${one.mark} is whole` : `${one.mark} breaks off: ${one.text}`)
    case "received":
      return step(
        "Parley",
        "platform",
        `turn ${one.turn} of ${one.thread}, for ${one.inReplyTo}: ${one.result}, ${one.text}`
      )
    case "started":
    case "ended":
      return step("Parley", undefined, `${one.process} ${one.type}`)
    case "jumped":
      return step("Parley", undefined, `the clock is set by ${one.byMs} ms`, true)
    case "quiet":
      return step("Parley", undefined, "from here on nothing goes wrong")
    case "glimpsed":
    case "reported":
      return []
  }
}

function stepOfLine({ atMs, who, words }: Line): ReadonlyArray<Step> {
  if (who === "fault") return [{ atMs, from: "Parley", words: short(words), isFault: true }]
  if (who === "postgres") return [{ atMs, from: "PostgreSQL", words: short(words), isFault: true }]
  if (words.startsWith("writes "))
    return [{ atMs, from: "Parley", to: "PostgreSQL", words: `${who} ${words}`, isFault: false }]
  return [{ atMs, from: "Parley", words: short(`${who} ${words}`), isFault: false }]
}

function short(words: string): string {
  return words.length <= wordsMax ? words : `${words.slice(0, wordsMax)}…`
}
