/**
 * The laws of a journal, kept by the one in memory, the one in PostgreSQL, whose connection is lost again and again,
 * and the one in the PostgreSQL of the simulation.
 */
import { Effect, Exit, Scope } from "effect"
import fc from "fast-check"
import { afterAll, beforeAll, expect, test } from "vitest"
import type { Fate, Inbound } from "../../src/domain/inbound.ts"
import type { Outbound } from "../../src/domain/outbound.ts"
import { type Count, census } from "../../src/store/census.ts"
import type { Database } from "../../src/store/database.ts"
import type { Due, Entry, MessageRow, StoredMessage } from "../../src/store/journal.ts"
import type { CuttingProxy } from "../integration/cutting-proxy.ts"
import { openTwoOwners } from "../integration/postgres-journal.ts"
import { simulatedBench } from "../simulation/journal-bench.ts"
import { memoryJournal, Tables } from "./journal-memory.ts"
import { type Bench, type Deed, live, type Moment, readMax, type Story, story } from "./journal-story.ts"

const scope = Scope.makeUnsafe()
const postgres = {} as { bench: Bench; database: Database["Service"]; proxy: CuttingProxy }

beforeAll(async () => {
  const { first, proxy, second } = await Effect.runPromise(Scope.provide(openTwoOwners, scope))
  const bench: Bench = { owners: [first.journal, second.journal], cut: proxy.plan }
  Object.assign(postgres, { bench, database: second.database, proxy })
}, 60_000)
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

let accounts = 0
const benches = {
  memory: (): Bench => {
    const tables = new Tables()
    return { owners: [memoryJournal(tables), memoryJournal(tables)], cut: () => {} }
  },
  "simulated PostgreSQL": (): Bench => simulatedBench(++accounts),
  PostgreSQL: (): Bench => postgres.bench
}
const runs = {
  memory: { numRuns: 100 },
  "simulated PostgreSQL": { numRuns: 100 },
  // What is found by then is told, smaller or not.
  PostgreSQL: { numRuns: 12, interruptAfterTimeLimit: 30_000 }
}

function property(title: string, check: (moments: ReadonlyArray<Moment>) => void) {
  for (const layer of ["memory", "simulated PostgreSQL", "PostgreSQL"] as const) {
    const holds = async (story: Story) => {
      check(await Effect.runPromise(live(benches[layer](), `account-${++accounts}`, story)))
    }
    test(`${layer}: ${title}`, () => fc.assert(fc.asyncProperty(story, holds), runs[layer]))
  }
}

const deedsOf = (moments: ReadonlyArray<Moment>) => moments.flatMap(({ deeds }) => deeds)
property("a row that can never be taken is refused alone, and so is one whose key another owner wrote", (moments) => {
  const latest = new Map<string, number>()
  for (const deed of deedsOf(moments)) {
    if (deed.type === "end") {
      expect(deed.failure).toBe(deed.isPoisoned ? "Refused" : undefined)
      continue
    }
    const [key, n] = keyOf(deed)
    const isThere = n <= (latest.get(key) ?? 0)
    const truths = [
      ...(deed.isPoisoned ? ["Refused"] : []),
      ...(isThere && deed.type !== "accept" ? ["FencedOff"] : [])
    ]
    // Of an event that is there already the first text counts.
    if (truths.length === 0 || (isThere && deed.type === "accept")) truths.push("none")
    expect(truths).toContain(deed.failure ?? "none")
    if (deed.failure === undefined) latest.set(key, n)
  }
})

function keyOf(deed: Exclude<Deed, { type: "end" }>): readonly [key: string, n: number] {
  switch (deed.type) {
    case "accept":
      return [deed.inbound.eventKey, 1]
    case "commit":
      return [deed.entry.conversation, deed.entry.seq]
    case "begin":
      return [deed.key, deed.n]
  }
}

property("an entry is written once, without gaps, and read as it was written", (moments) => {
  const logs = new Map<string, ReadonlyArray<Entry>>()
  for (const { deeds, views } of moments) {
    for (const deed of deeds) {
      if (deed.type !== "commit" || deed.failure !== undefined) continue
      const log = logs.get(deed.entry.conversation) ?? []
      expect(deed.entry.seq).toBe(log.length + 1)
      logs.set(deed.entry.conversation, [...log, deed.entry])
    }
    for (const [conversation, { loaded }] of views) {
      const last = logs.get(conversation)?.at(-1)
      if (last === undefined) expect(loaded.stored).toBeUndefined()
      else {
        const { atMs, defects, handled, messageSeq, seq, snapshot, timers } = last
        expect(loaded.stored).toEqual({ atMs, defects, handled, messageSeq, seq, snapshot, timers })
      }
    }
  }
})

/** The reference: what there is of accepted events. */
interface Event {
  readonly inbound: Inbound
  readonly conversation: string
  readonly position: number
  fate?: Fate
}

const eventKeysOf = (events: ReadonlyArray<Event>) => events.map(({ inbound }) => inbound.eventKey)

function follow(events: Array<Event>, deed: Deed): ReadonlyArray<Event> {
  if (deed.failure !== undefined) return []
  if (deed.type === "accept") {
    const { conversation, position } = deed.answer as Event
    const known = events.find(({ inbound }) => inbound.eventKey === deed.inbound.eventKey)
    if (known === undefined) events.push({ inbound: deed.inbound, conversation, position })
    return known === undefined ? [] : [known]
  }
  const settled: Array<Event> = []
  for (const { after, fate, upTo } of deed.type === "commit" ? deed.entry.settle : []) {
    for (const event of events) {
      const { conversation } = (deed as { entry: Entry }).entry
      if (event.conversation !== conversation || event.position <= after || event.position > upTo) continue
      if (event.fate === undefined) settled.push(Object.assign(event, { fate }))
    }
  }
  return settled
}

property("an event is durable once, whatever comes with its key, and positions rise as they are told", (moments) => {
  const events: Array<Event> = []
  for (const { deeds, told } of moments) {
    const before = events.filter(({ fate }) => fate === undefined)
    const found = deeds.map((deed) => {
      const [known] = follow(events, deed)
      return { deed, known, event: known ?? events.at(-1)! }
    })
    for (const { deed, event, known } of found) {
      if (deed.type !== "accept" || deed.failure !== undefined) continue
      const { conversation, fate, position } = event
      expect(deed.answer).toMatchObject({ conversation, position, duplicate: known !== undefined })
      // Its fate may have come in the same burst.
      const truths = [fate === undefined, ...(before.includes(event) ? [true] : [])]
      expect(truths).toContain((deed.answer as { readonly pending: boolean }).pending)
    }
    expect(told).toEqual(events.slice(-told.length || events.length).map(({ position }) => position))
    expect(told).toEqual(told.toSorted((a, b) => a - b))
  }
})

property(
  "every event has one fate at most, the reply that it stands in names it, and the rest is pending",
  (moments) => {
    const events: Array<Event> = []
    for (const { deeds, views } of moments) {
      for (const deed of deeds) {
        const settled = follow(events, deed)
        if (deed.type !== "commit" || deed.failure !== undefined) continue
        const key = deed.entry.settle[0]?.key
        for (const owed of deed.answer as ReadonlyArray<Outbound>)
          expect(owed.inReplyTo).toEqual(owed.key === key ? eventKeysOf(settled) : [])
      }
      for (const [id, { loaded }] of views) {
        const handled = loaded.stored?.handled ?? 0
        const isPending = (one: Event) => one.conversation === id && one.fate === undefined && one.position > handled
        expect(loaded.pending).toEqual(
          events
            .filter(isPending)
            .slice(0, readMax)
            .map(({ conversation, inbound: { eventKey, text, user }, position }) => {
              return { conversation, position, eventKey, user, text }
            })
        )
      }
    }
  }
)

property("what is owed is read in its order until it has ended, and how often it was tried", (moments) => {
  let owed: Array<Due> = []
  for (const { deeds, views } of moments) {
    for (const deed of deeds.filter(({ failure }) => failure === undefined)) {
      if (deed.type === "commit") {
        const { atMs } = deed.entry
        const fresh = { attempts: 0, attemptsBefore: 0, wasSending: false, dueAtMs: atMs, atMs }
        owed.push(...(deed.answer as ReadonlyArray<Outbound>).map((outbound) => ({ ...fresh, outbound })))
      } else if (deed.type !== "accept") {
        const key = deed.type === "begin" ? deed.key : deed.end.key
        const change =
          deed.type === "begin"
            ? { attempts: deed.n, wasSending: true }
            : { wasSending: false, dueAtMs: deed.end.dueAtMs }
        owed = owed.map((due) => (due.outbound.key === key ? { ...due, ...change } : due))
        if (deed.type === "end" && deed.end.state !== "due") owed = owed.filter(({ outbound }) => outbound.key !== key)
      }
    }
    for (const [id, { due }] of views)
      expect(due).toEqual(owed.filter(({ outbound }) => outbound.conversation === id).slice(0, readMax))
  }
})

property("messages are read in their order, the newest ones up to a turn, and who wrote in that turn", (moments) => {
  const origins = new Map<number, Pick<StoredMessage, "userId" | "eventKey">>()
  const rows = new Map<string, Array<StoredMessage & { readonly position?: number }>>()
  for (const { deeds, views } of moments) {
    for (const deed of deeds.filter(({ failure }) => failure === undefined)) {
      if (deed.type === "accept" && !(deed.answer as { duplicate: boolean }).duplicate)
        origins.set((deed.answer as Event).position, {
          userId: deed.inbound.user.id,
          eventKey: deed.inbound.eventKey
        })
      if (deed.type !== "commit") continue
      const { conversation, messages } = deed.entry
      rows.set(conversation, [...(rows.get(conversation) ?? []), ...messages.flatMap(spoken)])
    }
    for (const [id, { loaded, messages }] of views) {
      const turn = (loaded.stored?.seq ?? 1) - 1
      const expected = (rows.get(id) ?? []).filter((row) => row.turn <= turn).slice(-readMax)
      expect(messages).toEqual(
        expected.map(({ position = 0, role, text, turn: of }) => {
          return { role, text, turn: of, ...(of === turn && origins.get(position)) }
        })
      )
    }
  }
})

test("conservation: at every moment what was accepted is answered, ignored, superseded, shed, dead or pending", () => {
  const sums = (counts: ReadonlyArray<Count>, account: string) => {
    const terms = Map.groupBy(counts, (count) => count.term === "accepted" && count.account === account)
    const sum = (is: boolean) =>
      (terms.get(is) ?? []).reduce((sum, one) => (one.account === account ? sum + one.count : sum), 0)
    return { accepted: sum(true), others: sum(false) }
  }
  return fc.assert(
    fc.asyncProperty(story, async (story) => {
      const { bench, database } = postgres
      const account = `account-${++accounts}`
      const id = `test/${account}`
      const look = Effect.map(Effect.orDie(census(database)), (counts) => {
        const { accepted, others } = sums(counts, id)
        expect(others).toBe(accepted)
      })
      const moments = await Effect.runPromise(live(bench, account, story, Effect.repeat(look, { times: 2 })))
      const events: Array<Event> = []
      for (const deed of deedsOf(moments)) follow(events, deed)
      const expected = Map.groupBy(events, ({ fate = "pending" }) => fate)
      const counts = (await Effect.runPromise(census(database))).filter(({ account }) => account === id)
      for (const { count, term } of counts)
        expect([term, count]).toEqual([term, (term === "accepted" ? events : (expected.get(term) ?? [])).length])
      expect(counts.length).toBe(events.length === 0 ? 0 : expected.size + 1)
    }),
    runs.PostgreSQL
  )
})

test("the stories above reach every fate, every refusal, both cuts, and rows of two owners", async () => {
  const samples = fc.sample(story, { numRuns: 60, seed: 1 })
  const deeds: Array<Deed> = []
  for (const [n, sample] of samples.entries())
    deeds.push(...deedsOf(await Effect.runPromise(live(benches.memory(), `reach-${n}`, sample))))
  const reached = (values: ReadonlyArray<unknown>) => [...new Set(values)].toSorted()
  expect(reached(deeds.map(({ failure, owner, type }) => `${type} ${owner} ${failure}`))).toEqual(
    reached(
      [0, 1].flatMap((owner) => [
        ...["undefined", "Refused"].flatMap((failure) => [`accept ${owner} ${failure}`, `end ${owner} ${failure}`]),
        ...["undefined", "Refused", "FencedOff"].map((failure) => `commit ${owner} ${failure}`),
        ...["undefined", "FencedOff"].map((failure) => `begin ${owner} ${failure}`)
      ])
    )
  )
  const written = deeds.flatMap((deed) => (deed.type === "commit" && deed.failure === undefined ? [deed.entry] : []))
  const fates: ReadonlyArray<Fate> = ["answered", "dead", "ignored", "shed", "superseded"]
  expect(reached(written.flatMap(({ settle }) => settle.map(({ fate }) => fate)))).toEqual(fates)
  expect(deeds.some((deed) => deed.type === "accept" && (deed.answer as { duplicate?: boolean })?.duplicate)).toBe(true)
  expect(reached(samples.flat().map(({ cut }) => cut))).toEqual(["after", "before", undefined])
})

/** A notice is no part of what is read for a prompt. */
function spoken({ role, ...row }: MessageRow) {
  return role === "notice" ? [] : [{ ...row, role }]
}
