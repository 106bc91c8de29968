/**
 * A flow that src/ knows nothing of runs through the same interpreter as conversations do, in processes that are
 * killed before and after every write.
 */
import { Effect } from "effect"
import { expect, test } from "vitest"
import { type ClientOptions, type Dialogue, openClient } from "./order-form-client.ts"
import type { Death } from "./order-form-process.ts"
import { createShop, query, recordOf } from "./order-form-record.ts"
import { withDatabase } from "./postgres.ts"

const silent: Dialogue = [
  "> hello",
  "< 1. What would you like to order?",
  "< Are you still there? What would you like to order?",
  "> tea",
  "< 2. How many of it?",
  "< Are you still there? How many of it?",
  "> many",
  "< That is no number. How many of it?",
  "> 3",
  "< 3. Where shall it go?",
  "< Are you still there? Where shall it go?",
  "> 1 Harbour Street",
  "< Order 1 is placed."
]
const hasty: Dialogue = [
  "> hello",
  "> tea",
  "> 3",
  "> 1 Harbour Street",
  "< 1. What would you like to order?",
  "< 2. How many of it?",
  "< 3. Where shall it go?",
  "< Order 1 is placed."
]
const fickle: Dialogue = [
  "> hello",
  "< 1. What would you like to order?",
  "> tea",
  "< 2. How many of it?",
  "> Cancel",
  "< Nothing is ordered.",
  "> cancel",
  "> hello again",
  "< 1. What would you like to order?",
  "> coffee",
  "< 2. How many of it?",
  "> 2",
  "< 3. Where shall it go?",
  "> 1 Harbour Street",
  "< Order 1 is placed."
]

const options: Omit<ClientOptions, "url" | "account"> = {
  release: 2,
  shop: "open",
  shopMaxMs: 3_600_000,
  silenceMs: 1_000,
  idleMs: 3_600_000
}

const fresh = Effect.tap(withDatabase, (url) => Effect.promise(() => createShop(url)))

interface Case {
  readonly thread: string
  readonly dialogue: Dialogue
  readonly deaths: ReadonlyArray<Death>
}

const upTo = (n: number) => Array.from({ length: n }, (_, index) => index + 1)

const around = (name: string, dialogue: Dialogue, at: Death["at"], steps: ReadonlyArray<number>): ReadonlyArray<Case> =>
  steps.flatMap((n) =>
    (["before", "after"] as const).map((side) => {
      return { thread: `${name}-${at}-${n}-${side}`, dialogue, deaths: [{ at, n, side }] }
    })
  )

const cases: ReadonlyArray<Case> = [
  ...around("silent", silent, "entry", upTo(9)),
  ...around("silent", silent, "accept", upTo(5)),
  ...around("silent", silent, "begin", [1]),
  ...around("silent", silent, "end", [1]),
  ...around("hasty", hasty, "entry", [1, 2]),
  ...around("hasty", hasty, "accept", [1, 3]),
  // The cancel, the one that changes nothing, and the message after them.
  ...around("fickle", fickle, "entry", [3, 4, 5]),
  {
    // Its eighth entry begins to place the order; the ninth and the tenth do so again.
    thread: "silent-thrice",
    dialogue: silent,
    deaths: [
      { at: "entry", n: 8, side: "after" },
      { at: "entry", n: 9, side: "before" },
      { at: "entry", n: 9, side: "after" },
      { at: "entry", n: 11, side: "before" }
    ]
  }
]

const lanes = 3

test("whatever write it dies before or after, everybody is told the same, once", { timeout: 180_000 }, () =>
  Effect.gen(function* () {
    const url = yield* fresh
    const quiet = yield* openClient({ ...options, url, account: "quiet" })
    const kinds = { silent, hasty, fickle }
    const undisturbed = Object.entries(kinds).map(([name, dialogue]) => quiet.talk(`${name}-undisturbed`, dialogue))
    const clients = yield* Effect.forEach(upTo(lanes), (lane) => {
      const own = cases.filter((_, index) => index % lanes === lane - 1)
      const deaths = Object.fromEntries(own.map(({ deaths, thread }) => [thread, deaths]))
      return Effect.map(openClient({ ...options, url, account: `lane-${lane}`, deaths }), (client) => ({ client, own }))
    })
    yield* Effect.promise(async () => {
      await Promise.all([
        ...undisturbed,
        ...clients.flatMap(({ client, own }) => own.map(({ dialogue, thread }) => client.talk(thread, dialogue)))
      ])
      const isDelivered = async () =>
        (await query(url, "select 1 from outbound where state <> 'delivered'")).length === 0
      for (const { client, own } of clients) {
        const deaths = own.flatMap(({ deaths, thread }) => deaths.map(() => thread))
        await client.until("every death was died", () => client.died.length === deaths.length)
        expect(client.died.toSorted()).toEqual(deaths.toSorted())
        await client.until("all is delivered", isDelivered)
        expect(client.faults).toEqual([])
      }
      const sameAs = new Map<Dialogue, Awaited<ReturnType<typeof recordOf>>>()
      for (const [name, dialogue] of Object.entries(kinds)) {
        const record = await recordOf(url, "quiet", `${name}-undisturbed`)
        expect(record.outbound.map(({ text }) => `< ${text}`)).toEqual(dialogue.filter((line) => line.startsWith("<")))
        expect(record.orders).toHaveLength(1)
        sameAs.set(dialogue, record)
      }
      for (const [index, { dialogue, thread }] of cases.entries()) {
        const record = await recordOf(url, `lane-${(index % lanes) + 1}`, thread)
        expect([thread, record]).toEqual([thread, sameAs.get(dialogue)])
      }
    })
  }).pipe(Effect.scoped, Effect.runPromise)
)
