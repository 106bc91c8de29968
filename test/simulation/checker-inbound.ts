/** Whether what was accepted is answered, once, in its order, and counted. */
import { type Case, threadOf } from "./checker.ts"
import type { Received } from "./history.ts"

/** How long a healthy server may refuse: its backoff, and what it had to catch up. */
const refusedMaxMs = 60_000
const stuckMaxMs = 240_000

export function aboutInbound(one: Case): ReadonlyArray<string> {
  const answers = new Map<string, Array<Received>>()
  for (const reply of one.replies) {
    for (const key of reply.inReplyTo) answers.set(key, [...(answers.get(key) ?? []), reply])
  }
  return [
    ...aboutFates(one, answers),
    ...aboutStrangers(one),
    ...aboutAcceptance(one),
    ...aboutOrder(one, answers),
    ...aboutCounts(one)
  ]
}

function aboutFates(
  { hadTwoOwners, keptAtMs, quietAtMs, received, report, wrote }: Case,
  answers: ReadonlyMap<string, Array<Received>>
) {
  const shownAtMs = new Map<string, number>()
  for (const { atMs, key, result } of received) {
    if (result === "shown" && !shownAtMs.has(key)) shownAtMs.set(key, atMs)
  }
  return [...wrote.values()].flatMap(({ isCommand, key }): ReadonlyArray<string> => {
    const keptMs = keptAtMs.get(key)
    if (keptMs === undefined || isCommand) return []
    const replies = answers.get(key) ?? []
    if (replies.length > 1) return [`I2 doubled: ${key} is answered by ${replies.map((reply) => reply.key)}`]
    const [reply] = replies
    // Of one that never arrived anywhere the operator knows.
    if (reply === undefined) {
      const isListed = report.deadLetters.length > 0 && hasUnseen(report.deadLetters, received)
      return isListed || hadTwoOwners ? [] : [`I4 lost: ${key} was accepted at ${keptMs} ms, and nothing answers it`]
    }
    const atMs = shownAtMs.get(reply.key)
    if (atMs === undefined)
      return report.deadLetters.includes(reply.key) ? [] : [`I4 lost: the answer to ${key} was never shown`]
    const lateMs = atMs - Math.max(keptMs, quietAtMs)
    return lateMs > stuckMaxMs ? [`P2 stuck: ${key} was answered ${lateMs} ms after the last fault`] : []
  })
}

function hasUnseen(letters: ReadonlyArray<string>, received: ReadonlyArray<Received>): boolean {
  const seen = new Set(received.map(({ key }) => key))
  return letters.some((key) => !seen.has(key))
}

function aboutStrangers({ hadTwoOwners, replies, wrote }: Case): ReadonlyArray<string> {
  return replies.flatMap((reply) =>
    reply.inReplyTo.flatMap((key) => {
      const event = wrote.get(key)
      if (event === undefined || threadOf(event) !== threadOf(reply))
        return [`I4 stranger: ${reply.key} answers ${key}, which was not written there`]
      // One server does not see at once what the other one accepts.
      return event.isCommand && !hadTwoOwners ? [`I4 stranger: ${reply.key} answers the command ${key}`] : []
    })
  )
}

function aboutAcceptance({ keptAtMs, quietAtMs, told, wrote }: Case): ReadonlyArray<string> {
  const fresh = Map.groupBy(
    told.filter(({ answer }) => answer === "accepted"),
    ({ key }) => key
  )
  const late = told.filter(({ answer, atMs }) => answer === "refused" && atMs > quietAtMs + refusedMaxMs)
  return [
    ...[...fresh].flatMap(([key, { length }]) =>
      length > 1 ? [`I2 doubled: ${key} was accepted as new ${length} times`] : []
    ),
    ...late.map(({ atMs, key }) => `I5 refused: ${key} at ${atMs} ms`),
    ...[...wrote.keys()].flatMap((key) => (keptAtMs.has(key) ? [] : [`I5 refused: ${key} was never accepted`]))
  ]
}

/** Whoever is given to the server after another one was accepted comes after it. */
function aboutOrder({ keptAtMs, postedAtMs, replies, wrote }: Case, answers: ReadonlyMap<string, Array<Received>>) {
  const threads = Map.groupBy(wrote.values(), threadOf)
  return [...threads].flatMap(([thread, events]) => {
    const turns = replies.filter((reply) => threadOf(reply) === thread).toSorted((a, b) => a.turn - b.turn)
    const answered = turns.flatMap(({ inReplyTo }) => inReplyTo)
    const places = new Map(answered.map((key, place) => [key, place]))
    const known = events.filter(({ isCommand, key }) => !isCommand && answers.has(key))
    return known.flatMap((a) =>
      known.flatMap((b) => {
        const isBefore = (keptAtMs.get(a.key) ?? Infinity) < (postedAtMs.get(b.key) ?? -Infinity)
        return isBefore && places.get(a.key)! > places.get(b.key)!
          ? [`I3 disordered: ${a.key} was accepted before ${b.key} was posted, and is answered after it`]
          : []
      })
    )
  })
}

function aboutCounts({ hadTwoOwners, keptAtMs, report: { counts }, wrote }: Case): ReadonlyArray<string> {
  const of = (term: string) => counts[term] ?? 0
  const ends = of("answered") + of("ignored") + of("superseded") + of("shed") + of("dead") + of("pending")
  const commands = [...wrote.values()].filter(({ isCommand }) => isCommand).length
  const equations: ReadonlyArray<readonly [string, number, number]> = [
    ["accepted = the sum of its ends", of("accepted"), ends],
    ["accepted = events that were said to be kept", of("accepted"), keptAtMs.size],
    ["ignored = commands", of("ignored"), hadTwoOwners ? of("ignored") : commands],
    ["pending = 0", hadTwoOwners ? 0 : of("pending"), 0]
  ]
  return equations.flatMap(([what, left, right]) =>
    left === right ? [] : [`I4 unbalanced: ${what}: ${left} ≠ ${right}`]
  )
}
