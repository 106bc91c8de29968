/**
 * Decides from the outside whether a history kept what DESIGN.md, section 3, promises. It knows what people wrote and
 * were told, what the model was asked, and what platforms received; nothing of it is the server's.
 *
 *   I1 I4 lost        an event was accepted, and no reply names it
 *   I2    doubled     an event that two replies name, or that was accepted as new twice
 *   I3    disordered  events that followed each other are answered in another order
 *   I4    stranger    a reply to what was never written there, or to a command
 *   I4    unbalanced  the counts do not add up, or are not what happened
 *   I5    refused     an event is refused though nothing has gone wrong for long
 *   P1    spliced     an answer, or what a person saw of it, that is not one generation
 *   P1    repeated    a turn, or a generation, that was committed twice
 *   P1    unread      an answer by a model that was not shown the events it answers
 *   P1    mixed       a prompt with somebody else's words
 *   P2    stuck       nobody got words for it within the time that is promised
 *   P4    innocent    a turn was given up that nothing had gone wrong with
 *   P4    poisoned    what kills the model was answered
 *   P5    crowded     more generations than the model has slots
 *   P5    unfair      one person waits while another is served again and again
 *   O1    overtaken   a reply is shown before an earlier one of its conversation
 *   O2    changed     a reply had another body when it was sent again
 *   O3    shown-twice more often than the class of the platform allows, or than the operator was told
 *   O4    endless     more attempts than promised
 *   O4    hurried     sent again before the time that the platform named
 */
import { aboutFairness } from "./checker-fairness.ts"
import { aboutInbound } from "./checker-inbound.ts"
import { aboutOutbound } from "./checker-outbound.ts"
import { aboutProcessing } from "./checker-processing.ts"
import type { Asked, Observation, Promised, Received, Reported, Said, Told, Wrote } from "./history.ts"

/** A history, by what it is asked about. */
export interface Case {
  readonly all: ReadonlyArray<Observation>
  readonly wrote: ReadonlyMap<string, Wrote>
  readonly postedAtMs: ReadonlyMap<string, number>
  readonly told: ReadonlyArray<Told>
  /** When each event was first said to be kept. */
  readonly keptAtMs: ReadonlyMap<string, number>
  readonly asked: ReadonlyMap<string, Asked>
  readonly said: ReadonlyMap<string, Said>
  readonly received: ReadonlyArray<Received>
  /** Every message that arrived at a platform, by its key, as it was first. */
  readonly replies: ReadonlyArray<Received>
  readonly report: Reported
  readonly quietAtMs: number
  /** When the server's clock was first set. */
  readonly jumpedAtMs: number
  /** Two servers lived at the same time on one database. */
  readonly hadTwoOwners: boolean
  readonly promised: Promised
}

/** What was broken, in words; nothing for a history that kept all. */
export function checked(all: ReadonlyArray<Observation>, promised: Promised): ReadonlyArray<string> {
  const one = caseOf(all, promised)
  return [...aboutInbound(one), ...aboutProcessing(one), ...aboutFairness(one), ...aboutOutbound(one)]
}

function caseOf(all: ReadonlyArray<Observation>, promised: Promised): Case {
  const of = <T extends Observation["type"]>(type: T) =>
    all.filter((one): one is Extract<Observation, { readonly type: T }> => one.type === type)
  const told = of("told")
  const keptAtMs = new Map<string, number>()
  for (const { answer, atMs, key } of told) if (answer !== "refused" && !keptAtMs.has(key)) keptAtMs.set(key, atMs)
  const received = of("received")
  return {
    all,
    wrote: new Map(of("wrote").map((one) => [one.key, one])),
    postedAtMs: new Map(of("posted").map(({ atMs, key }) => [key, atMs])),
    told,
    keptAtMs,
    asked: new Map(of("asked").map((one) => [one.mark, one])),
    said: new Map(of("said").map((one) => [one.mark, one])),
    received,
    replies: [...Map.groupBy(received, ({ key }) => key).values()].map(([first]) => first!),
    report: of("reported").at(-1)!,
    quietAtMs: of("quiet")[0]?.atMs ?? Number.POSITIVE_INFINITY,
    jumpedAtMs: of("jumped")[0]?.atMs ?? Number.POSITIVE_INFINITY,
    hadTwoOwners: hadTwoOwners(all),
    promised
  }
}

function hadTwoOwners(all: ReadonlyArray<Observation>): boolean {
  let alive = 0
  return all.some(({ type }) => {
    alive += type === "started" ? 1 : type === "ended" ? -1 : 0
    return alive > 1
  })
}

export function threadOf({ account, thread }: { readonly account: string; readonly thread: string }): string {
  return `${account}/${thread}`
}
