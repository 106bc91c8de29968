/**
 * What was promised, checked on what is known at the end. Every message names what it is about.
 *
 *   lost                an accepted event that no reply answers
 *   doubled             an event that two replies answer, or that was acknowledged as new twice
 *   stranger            an answer to what was never written there, or to a command
 *   changed             a reply that had another body when it was sent again
 *   disordered          turns, or the events they answer, in another order than they were written
 *   spliced             an answer that is not made of the texts that it answers
 *   unbalanced          accepted ≠ answered + ignored + superseded + shed + dead + pending, or the rows say otherwise
 *   unrecorded          a send without the row of its attempt
 *   unsure              an attempt that a kill cut short and that is not on record as ambiguous
 *   undelivered         a reply that was given up, or that nobody saw
 *   unfenced            entries or answers that are there twice, or not at all
 */
import { terms } from "../../src/store/census.ts"
import type { Delivery } from "./callback-server.ts"
import { type Evidence, threadOf } from "./kill-evidence.ts"
import type { Sent } from "./kill-load.ts"

export type Kind =
  | "lost"
  | "doubled"
  | "stranger"
  | "changed"
  | "disordered"
  | "spliced"
  | "unbalanced"
  | "unrecorded"
  | "unsure"
  | "undelivered"
  | "unfenced"

export interface Violation {
  readonly kind: Kind
  readonly what: string
}

export interface Reply {
  readonly key: string
  readonly conversation: string
  readonly text: string
  readonly turn: number
  readonly in_reply_to: ReadonlyArray<string>
  readonly outcome: string
}

export function violationsOf(evidence: Evidence): ReadonlyArray<Violation> {
  const { deliveries, sent } = evidence
  const replies = repliesOf(deliveries)
  const byThread = Map.groupBy(replies, ({ conversation }) => conversation)
  const threads = Map.groupBy(sent, ({ conversation }) => conversation)
  return [
    ...aboutEvents(evidence, replies),
    ...aboutBodies(deliveries),
    ...[...threads].flatMap(([thread, written]) => aboutOrder(thread, written, byThread.get(thread) ?? [])),
    ...(evidence.isEcho ? aboutTexts(evidence, byThread) : []),
    ...aboutCounts(evidence),
    ...aboutAttempts(evidence),
    ...aboutRows(evidence, new Set(replies.map(({ key }) => key)))
  ]
}

/** One for each key, as it arrived first. */
export function repliesOf(deliveries: ReadonlyArray<Delivery>): ReadonlyArray<Reply> {
  const byKey = Map.groupBy(deliveries, ({ key }) => key)
  return [...byKey].map(([key, [first]]) => ({ key, ...JSON.parse(first!.body) }))
}

function aboutEvents({ acknowledgements, sent }: Evidence, replies: ReadonlyArray<Reply>): Array<Violation> {
  const answers = new Map<string, Array<Reply>>()
  for (const reply of replies) {
    for (const id of reply.in_reply_to) answers.set(id, [...(answers.get(id) ?? []), reply])
  }
  const written = new Map(sent.map((event) => [event.id, event]))
  const fresh = Map.groupBy(
    acknowledgements.filter(({ duplicate }) => !duplicate),
    ({ id }) => id
  )
  const accepted = new Set(acknowledgements.map(({ id }) => id))
  return [
    ...sent.flatMap(({ id, isStop }): Array<Violation> => {
      const count = answers.get(id)?.length ?? 0
      if (isStop || !accepted.has(id) || count === 1) return []
      return count === 0
        ? [{ kind: "lost", what: `${id} was accepted, and nothing answers it` }]
        : [{ kind: "doubled", what: `${id} is answered by ${count} replies` }]
    }),
    ...[...answers].flatMap(([id, all]): Array<Violation> => {
      const event = written.get(id)
      const strange = all.filter(({ conversation }) => event?.conversation !== conversation || event.isStop)
      return strange.map(({ key }) => ({ kind: "stranger", what: `${key} answers ${id}` }))
    }),
    ...[...fresh].flatMap(
      ([id, { length }]): Array<Violation> =>
        length > 1 ? [{ kind: "doubled", what: `${id} was acknowledged as new ${length} times` }] : []
    )
  ]
}

function aboutBodies(deliveries: ReadonlyArray<Delivery>): Array<Violation> {
  const bodies = new Map<string, Set<string>>()
  for (const { body, key } of deliveries) bodies.set(key, (bodies.get(key) ?? new Set()).add(body))
  return [...bodies].flatMap(
    ([key, { size }]): Array<Violation> =>
      size > 1 ? [{ kind: "changed", what: `${key} came with ${size} bodies` }] : []
  )
}

function aboutOrder(thread: string, written: ReadonlyArray<Sent>, replies: ReadonlyArray<Reply>): Array<Violation> {
  const places = new Map(written.map(({ id }, place) => [id, place]))
  const answered = replies.flatMap(({ in_reply_to }) => in_reply_to)
  const turns = replies.map(({ turn }) => turn)
  const isRising = (numbers: ReadonlyArray<number>) =>
    numbers.every((n, index) => index === 0 || n > numbers[index - 1]!)
  return [
    ...(isRising(turns) ? [] : [{ kind: "disordered" as const, what: `turns of ${thread} came as ${turns}` }]),
    ...(isRising(answered.flatMap((id) => places.get(id) ?? []))
      ? []
      : [{ kind: "disordered" as const, what: `events of ${thread} were answered as ${answered}` }])
  ]
}

/** The last user message of a prompt is all that was written since the model last spoke. */
/** What a person is told who stopped an answer before its first word, in the languages that the load writes. */
const nothingSaid: ReadonlySet<string> = new Set(["Stopped.", "已停止。"])

function aboutTexts({ rows, sent }: Evidence, byThread: ReadonlyMap<string, ReadonlyArray<Reply>>): Array<Violation> {
  const texts = new Map(sent.map(({ id, text }) => [id, text]))
  const superseded = new Set(rows.inbound.filter(({ fate }) => fate === "superseded").map((row) => row.event_key))
  return [...byThread.values()].flatMap((replies) => {
    let unanswered: Array<string> = []
    return replies.flatMap(({ in_reply_to, key, outcome, text }): Array<Violation> => {
      const [asked, dropped] = [false, true].map((isDropped) =>
        in_reply_to.filter((id) => superseded.has(id) === isDropped).map((id) => texts.get(id) ?? "")
      )
      unanswered.push(...asked!)
      const expected = `echo: ${unanswered.join("\n")}`
      const isSilent = outcome === "stopped" && nothingSaid.has(text)
      const isRight = outcome === "stopped" ? isSilent || expected.startsWith(text) : text === expected
      unanswered = isSilent ? [...unanswered, ...dropped!] : [...dropped!]
      return isRight ? [] : [{ kind: "spliced", what: `${key} (${outcome}) is ${text} instead of ${expected}` }]
    })
  })
}

function aboutCounts({ acknowledgements, metrics, rows, sent }: Evidence): Array<Violation> {
  const counted = Map.groupBy(rows.inbound, ({ fate }) => fate)
  const said = (term: string) => metrics[term] ?? 0
  const found = (term: string) => (term === "accepted" ? rows.inbound.length : (counted.get(term)?.length ?? 0))
  const sum = terms.reduce((total, term) => (term === "accepted" ? total : total + said(term)), 0)
  const accepted = new Set(acknowledgements.map(({ id }) => id)).size
  const stops = sent.filter(({ isStop }) => isStop).length
  const written = new Set(sent.map(({ conversation, id }) => `${conversation} ${id}`))
  const unknown = rows.inbound.filter((row) => !written.has(`${threadOf(row.conversation)} ${row.event_key}`))
  const equations: ReadonlyArray<readonly [string, number, number]> = [
    ["accepted = the sum of its ends", said("accepted"), sum],
    ...terms.map((term) => [`${term} in /metrics = its rows`, said(term), found(term)] as const),
    ["accepted = acknowledged events", said("accepted"), accepted],
    ["ignored = commands", said("ignored"), stops],
    ["pending = 0", said("pending"), 0],
    ["rows of what nobody wrote = 0", unknown.length, 0]
  ]
  return equations.flatMap(
    ([what, left, right]): Array<Violation> =>
      left === right ? [] : [{ kind: "unbalanced", what: `${what}: ${left} ≠ ${right}` }]
  )
}

function aboutAttempts({ autopsies, deliveries, rows }: Evidence): Array<Violation> {
  const results = new Map(rows.attempts.map(({ key, n, result }) => [`${key} ${n}`, result]))
  const recorded = Map.groupBy(rows.attempts, ({ key }) => key)
  const arrived = Map.groupBy(deliveries, ({ key }) => key)
  return [
    ...autopsies.flatMap(({ arrivals, attempts, kill }) =>
      [...arrivals].flatMap(([key, count]): Array<Violation> => {
        const rowsThen = attempts.get(key) ?? 0
        const what = `${key} had arrived ${count} times at ${kill}, with ${rowsThen} attempts on record`
        return rowsThen >= count ? [] : [{ kind: "unrecorded", what }]
      })
    ),
    ...[...arrived].flatMap(([key, { length }]): Array<Violation> => {
      const count = recorded.get(key)?.length ?? 0
      const what = `${key} arrived ${length} times, with ${count} attempts on record`
      return count >= length ? [] : [{ kind: "unrecorded", what }]
    }),
    ...rows.attempts.flatMap(
      ({ key, n, result }): Array<Violation> =>
        result === null ? [{ kind: "unsure", what: `attempt ${n} of ${key} has no result` }] : []
    ),
    ...autopsies
      .filter(({ isDead }) => isDead)
      .flatMap(({ ambiguous, kill }) =>
        ambiguous.flatMap(({ key, n }): Array<Violation> => {
          const result = results.get(`${key} ${n}`)
          const what = `attempt ${n} of ${key}, cut short at ${kill}, ended as ${result}`
          return result === "ambiguous" ? [] : [{ kind: "unsure", what }]
        })
      )
  ]
}

function aboutRows({ deliveries, rows }: Evidence, arrived: ReadonlySet<string>): Array<Violation> {
  const shown = new Set(deliveries.filter((delivery) => delivery.shown).map(({ key }) => key))
  const kept = new Set(rows.outbound.map(({ key }) => key))
  const unfenced = [
    ...rows.answeredTwice.map(({ conversation, turn }) => `${conversation} answered turn ${turn} twice`),
    ...rows.gaps.map(({ conversation }) => `the entries of ${conversation} have gaps`),
    ...[...arrived].filter((key) => !kept.has(key)).map((key) => `${key} arrived and is on no record`)
  ]
  return [
    ...rows.outbound.flatMap(
      ({ key, state }): Array<Violation> =>
        state === "delivered" && shown.has(key)
          ? []
          : [{ kind: "undelivered", what: `${key} is ${state}, and was ${shown.has(key) ? "" : "not "}shown` }]
    ),
    ...unfenced.map((what): Violation => ({ kind: "unfenced", what }))
  ]
}
