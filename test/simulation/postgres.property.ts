/** The simulated PostgreSQL and the real one give the same answers to the same entries. */
import { Effect, Exit, Scope } from "effect"
import fc from "fast-check"
import { afterAll, beforeAll, expect, test } from "vitest"
import { accountOf } from "../../src/domain/ids.ts"
import type { Accepted } from "../../src/domain/inbound.ts"
import { type SweepReads, sweepReadsOf } from "../../src/store/sweep-reads.ts"
import { openTwoOwners } from "../integration/postgres-journal.ts"
import { type Bench, type Deed, live, type Story, story } from "../property/journal-story.ts"
import { simulatedBench } from "./journal-bench.ts"

const scope = Scope.makeUnsafe()
let real: Bench & { readonly reads: SweepReads }

beforeAll(async () => {
  const { first, proxy, second } = await Effect.runPromise(Scope.provide(openTwoOwners, scope))
  real = { owners: [first.journal, second.journal], cut: proxy.plan, reads: sweepReadsOf(second.database) }
}, 60_000)
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

/** Found here: a repetition that cannot be written, while its connection is lost. */
const burst = (text: string, again: number, cut?: "after") => {
  return { steps: [{ type: "accept" as const, thread: "lane" as const, text, again }], owner: 0 as const, cut }
}
const examples: Array<[Story]> = [[[burst("", 0), burst("", 0), burst("a\u0000b", 1, "after")]]]

let stories = 0

test("the simulated and the real PostgreSQL answer one story alike, connections lost and all", () =>
  fc.assert(
    fc.asyncProperty(story, async (story) => {
      const account = `same-${++stories}`
      expect(await told(simulatedBench(stories), account, story)).toEqual(await told(real, account, story))
    }),
    { numRuns: 15, examples, interruptAfterTimeLimit: 30_000 }
  ))

test("forgetting takes the settled events that are old, and their keys may come again", async () => {
  const answers = await Promise.all([simulatedBench(0), real].map((bench) => Effect.runPromise(forgotten(bench))))
  expect(answers[0]).toEqual(answers[1])
  expect(answers[0]).toEqual([true, false, true])
})

test("the first end of an attempt counts: a late one of another owner neither hides a doubt nor sends again", async () => {
  const answers = await Promise.all([simulatedBench(0), real].map((bench) => Effect.runPromise(endedTwice(bench))))
  expect(answers[0]).toEqual(answers[1])
  expect(answers[0]).toEqual([2, []])
})

async function told(bench: Bench & { readonly reads: SweepReads }, account: string, story: Story) {
  const moments = await Effect.runPromise(live(bench, account, story))
  const swept = await Effect.runPromise(sweptOf(bench.reads, account))
  return ranked([moments.map(({ deeds, views }) => [deeds.map(certain), [...views]]), swept])
}

/**
 * What is seen of an event that was settled in the same burst depends on which of them were written together. What is
 * wrong in two ways is refused for either, and where it repeats what is there and its connection is lost, the looking
 * for it finds that.
 */
function certain(deed: Deed) {
  const answer = deed.type === "accept" ? { ...(deed.answer as Accepted), pending: undefined } : deed.answer
  if (deed.isPoisoned && (deed.failure !== undefined || (deed.type === "accept" && (answer as Accepted).duplicate))) {
    return { ...deed, answer: undefined, failure: "either" }
  }
  return { ...deed, answer }
}

const sweptOf = Effect.fnUntraced(function* (reads: SweepReads, account: string) {
  const from = `test/${account}/`
  const isOwn = (id: string) => accountOf(id) === `test/${account}`
  const pages = [reads.withPending, reads.open, reads.withDue]
  const ids = yield* Effect.forEach(pages, (page) => page(from, 10))
  const timers = yield* reads.withTimers({ id: "", wakeAtMs: 0 }, 1_000_000, 100_000)
  const counts = yield* reads.census
  return {
    ids: ids.map((page) => page.filter(isOwn)),
    timers: timers.filter(({ id }) => isOwn(id)),
    counts: counts.filter((count) => isOwn(`${count.account}/`)).toSorted((a, b) => (a.term < b.term ? -1 : 1))
  }
})

/** Positions are compared by their order: the real ones go on from story to story. */
function ranked(seen: unknown): unknown {
  const positions = new Set<number>()
  const isPosition = (key: string) => key === "position" || key === "handled" || key === "upTo"
  // What a story calls an event is not read, and its number is none of theirs; `after` is one less than a position.
  const json = JSON.stringify(seen, (key, value) => (key === "event" || key === "after" ? undefined : value))
  JSON.parse(json, (key, value) => void (isPosition(key) && value > 0 && positions.add(value)))
  const ranks = new Map([...positions].toSorted((a, b) => a - b).map((position, rank) => [position, rank + 1]))
  return JSON.parse(json, (key, value) => (isPosition(key) ? (ranks.get(value) ?? value) : value))
}

const forgotten = Effect.fnUntraced(function* ({ owners: [journal], reads }: Bench & { readonly reads: SweepReads }) {
  const inbound = { channel: "test", account: "forget", eventKey: "e", thread: "t", user: { id: "u" }, text: "" }
  const { position } = yield* journal.accept(inbound, () => {})
  const settle = [{ after: 0, upTo: position, fate: "ignored" as const, rule: "command" }]
  const snapshot = { machine: "test", version: 1, value: "done", context: {} }
  const numbers = { seq: 1, atMs: 0, handled: position, defects: 0, messageSeq: 0, deliveryVersion: 1, open: false }
  const rows = { messages: [], outbound: [], settle, deadLetters: [], timers: [] }
  yield* journal.commit({ conversation: "test/forget/t", event: { type: "e" }, snapshot, ...numbers, ...rows })
  const before = yield* journal.accept(inbound, () => {})
  yield* reads.forgetSettled(Number.MAX_SAFE_INTEGER, 100_000)
  const after = yield* journal.accept(inbound, () => {})
  return [before.duplicate, after.duplicate, after.position > position]
})

const endedTwice = Effect.fnUntraced(function* ({ owners: [journal, other] }: Bench) {
  const conversation = "test/ends/t"
  const outbound = [{ key: "ended-twice", turn: 1, text: "", outcome: "answered" as const }]
  const snapshot = { machine: "test", version: 1, value: "done", context: {} }
  const numbers = { seq: 1, atMs: 0, handled: 0, defects: 0, messageSeq: 0, deliveryVersion: 1, open: false }
  const rows = { messages: [], outbound, settle: [], deadLetters: [], timers: [] }
  yield* journal.commit({ conversation, event: { type: "e" }, snapshot, ...numbers, ...rows })
  const attempt = (n: number) => ({ conversation, key: "ended-twice", n, atMs: 0 })
  const said = { reason: "", receipt: "", dueAtMs: 0 }
  yield* journal.begin(attempt(1))
  yield* other.end({ ...attempt(1), ...said, result: "ambiguous", state: "due" })
  yield* other.begin(attempt(2))
  const [before] = yield* journal.due(conversation, 1)
  yield* other.end({ ...attempt(2), ...said, result: "delivered", state: "delivered" })
  yield* journal.end({ ...attempt(1), ...said, result: "not-sent", state: "due" })
  return [before?.attempts, yield* journal.due(conversation, 1)]
})
