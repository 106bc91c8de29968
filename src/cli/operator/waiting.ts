/** What a conversation waits for, in a sentence. */
import { durationText } from "../quantity.ts"
import type { Inspection } from "./answers.ts"

/** `answering, awaiting-model` of a state within a state. */
export function stateText(value: unknown): string {
  if (typeof value === "string") return value
  if (typeof value !== "object" || value === null) return String(value)
  return Object.entries(value)
    .map(([name, inner]) => `${name}, ${stateText(inner)}`)
    .join("; ")
}

/** The first of these that is so is what keeps all the others from going on. */
export function waitingFor(inspection: Inspection): string {
  const { conversation, id, isConfigured, outbox, pending } = inspection
  if (!isConfigured) return `nothing happens: the account of ${id} is not configured`
  if (conversation === null) return "its first event is about to be read"
  const [state = ""] = stateText(conversation.value).split(", ")
  if (state === "typing") return `the person may go on writing${timerText(inspection, "the answer begins")}`
  if (state === "answering") return answering(inspection)
  if (state !== "done") return `the next event${timerText(inspection, "a timer fires")}`
  if (pending.count > 0) return "its events are about to be read"
  return outbox.length > 0 ? delivering(inspection) : "nothing: nothing is owed"
}

function answering(inspection: Inspection): string {
  const { isLive, queue } = inspection
  const deadline = timerText(inspection, "it is given up")
  if (queue !== null) {
    const before = queue.ahead === 0 ? "it is next" : `${queue.ahead} before it`
    return `a slot of the model: ${before}, about ${durationText(queue.waitMs)}${deadline}`
  }
  return isLive ? `the model, which answers it${deadline}` : `somebody to wake it, within half a minute${deadline}`
}

function delivering({ nowMs, outbox }: Inspection): string {
  const [{ attempts, dueAtMs, result, turn }] = outbox as [Inspection["outbox"][number]]
  if (attempts > 0 && result === null)
    return `the platform, which is sent the reply to turn ${turn} (attempt ${attempts})`
  if (dueAtMs > nowMs) return `${durationText(dueAtMs - nowMs)}, then the reply to turn ${turn} is sent again`
  return `the reply to turn ${turn} is about to be sent`
}

function timerText({ conversation, nowMs }: Inspection, what: string): string {
  const dueAtMs = Math.min(...(conversation?.timers ?? []).map((timer) => timer.dueAtMs))
  return Number.isFinite(dueAtMs) ? `; ${what} in ${durationText(Math.max(0, dueAtMs - nowMs))}` : ""
}
