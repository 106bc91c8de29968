/** Whether replies arrive in order, as they were, as often as their platform allows, and not for ever. */
import { type Case, threadOf } from "./checker.ts"
import type { Received } from "./history.ts"

export function aboutOutbound(one: Case): ReadonlyArray<string> {
  const byKey = Map.groupBy(one.received, ({ key }) => key)
  return [...aboutPlaces(one), ...[...byKey].flatMap(([key, sends]) => aboutSends(one, key, sends))]
}

function aboutPlaces({ hadTwoOwners, received }: Case): ReadonlyArray<string> {
  // Each server knows of its own line only.
  if (hadTwoOwners) return []
  const latest = new Map<string, Received>()
  const seen = new Set<string>()
  return received.flatMap((reply) => {
    if (reply.result !== "shown" || seen.has(reply.key)) return []
    seen.add(reply.key)
    const before = latest.get(threadOf(reply))
    latest.set(threadOf(reply), reply)
    const isOvertaken = before !== undefined && before.turn > reply.turn
    return isOvertaken ? [`O1 overtaken: turn ${reply.turn} of ${threadOf(reply)} is shown after ${before.turn}`] : []
  })
}

function aboutSends(
  { all, hadTwoOwners, jumpedAtMs, promised, report }: Case,
  key: string,
  sends: ReadonlyArray<Received>
) {
  const [first] = sends
  const bodies = new Set(
    sends.map(({ inReplyTo, outcome, text, thread, turn }) => JSON.stringify([thread, turn, text, outcome, inReplyTo]))
  )
  const shown = sends.filter(({ result }) => result === "shown").length
  const again = shown - 1
  // A and B promise once; of the others the operator is told how often it may have been more. Where there are two
  // servers, one may send what the other one is sending.
  const doubts = first!.class === "B" ? 0 : (report.ambiguous[key] ?? 0)
  const allowed = first!.class === "A" ? 0 : doubts + (hadTwoOwners ? 1 : 0)
  const hurried = sends.filter((send, index) => {
    const before = sends[index - 1]
    if (before?.result !== "throttled" || !before.isHeard || jumpedAtMs < send.atMs) return false
    // Who ended may have been the only one who knew, and of two servers one does not know.
    if (hadTwoOwners) return false
    if (all.some(({ atMs, type }) => type === "ended" && atMs >= before.atMs && atMs <= send.atMs)) return false
    return send.atMs - before.atMs < (before.retryAfterMs ?? 0)
  })
  return [
    ...(bodies.size > 1 ? [`O2 changed: ${key} was sent as ${[...bodies].join(" and ")}`] : []),
    ...(again > allowed ? [`O3 shown-twice: ${key} on a platform of class ${first!.class}, ${shown} times`] : []),
    ...(sends.length > promised.attemptsMax ? [`O4 endless: ${key} was sent ${sends.length} times`] : []),
    ...hurried.map(({ atMs }) => `O4 hurried: ${key} was sent again at ${atMs} ms`)
  ]
}
