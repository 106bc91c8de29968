/**
 * A flow that src/ knows nothing of runs through the same interpreter as conversations do, in processes that are
 * killed before and after every write.
 */
import { setTimeout as wait } from "node:timers/promises"
import { Effect } from "effect"
import { expect, test } from "vitest"
import { type ClientOptions, openClient } from "./order-form-client.ts"
import { brisk, type Dialogue, fickle, hasty, rest, said, silent } from "./order-form-dialogues.ts"
import type { Death } from "./order-form-process.ts"
import { createShop, query, recordOf } from "./order-form-record.ts"
import { withDatabase } from "./postgres.ts"

const options: Omit<ClientOptions, "url" | "account"> = {
  release: 2,
  shop: "open",
  shopMaxMs: 3_600_000,
  silenceMs: 1_000,
  idleMs: 3_600_000
}

/** Its record once all of it is delivered. */
async function settled(url: string, account: string, thread: string) {
  for (;;) {
    const record = await recordOf(url, account, thread)
    if (record.outbound.every(({ state }) => state === "delivered")) return record
    await wait(50)
  }
}

const fresh = Effect.tap(withDatabase, (url) => Effect.promise(() => createShop(url)))

const upTo = (n: number) => Array.from({ length: n }, (_, index) => index + 1)

const entry = (n: number, side: Death["side"]): Death => ({ at: "entry", n, side })

const around = (name: string, dialogue: Dialogue, at: Death["at"], steps: ReadonlyArray<number>) =>
  steps.flatMap((n) =>
    (["before", "after"] as const).map((side) => ({
      thread: `${name}-${at}-${n}-${side}`,
      dialogue,
      death: { at, n, side }
    }))
  )

const cases = [
  ...around("silent", silent, "entry", upTo(9)),
  ...around("silent", silent, "accept", upTo(5)),
  ...around("silent", silent, "begin", [1]),
  ...around("silent", silent, "end", [1]),
  ...around("hasty", hasty, "entry", [1, 2]),
  ...around("hasty", hasty, "accept", [1, 3]),
  // The cancel, the one that changes nothing, and the message after them.
  ...around("fickle", fickle, "entry", [3, 4, 5])
]

const lanes = 3

/** As if nobody had run for long. */
const overdue = `update conversation set timers = jsonb_set(timers, '{0,dueAtMs}', '1'), wake_at_ms = 1
  where jsonb_array_length(timers) = 1`

/** What was counted of an account, and does not agree with its rows. */
const uneven = `
  with counted as (select account, term, count::integer from tally),
    kept as (select account, fate, count(*)::integer from inbound group by 1, 2
      union all select account, 'accepted', count(*)::integer from inbound group by 1)
  (select * from counted except select * from kept) union all (select * from kept except select * from counted)`

test("whatever write it dies before or after, everybody is told the same, once", { timeout: 180_000 }, () =>
  Effect.gen(function* () {
    const url = yield* fresh
    const quiet = yield* openClient({ ...options, url, account: "quiet" })
    const undisturbed = Object.entries({ silent, hasty, fickle })
    // Its eighth entry begins to place the order; the ninth and the tenth begin again.
    const again = [entry(8, "after"), entry(9, "before"), entry(9, "after"), entry(11, "before")]
    const alone = yield* openClient({ ...options, url, account: "alone", deaths: { "silent-again": again } })
    const disturbed = yield* Effect.forEach(upTo(lanes), (lane) => {
      const own = cases.filter((_, index) => index % lanes === lane - 1)
      const deaths = Object.fromEntries(own.map(({ death, thread }) => [thread, [death]]))
      return Effect.map(openClient({ ...options, url, account: `lane-${lane}`, deaths }), (client) => ({ client, own }))
    })
    yield* Effect.promise(async () => {
      await Promise.all([
        ...undisturbed.map(([thread, dialogue]) => quiet.talk(thread, dialogue)),
        alone.talk("silent-again", silent),
        ...disturbed.flatMap(({ client, own }) => own.map(({ dialogue, thread }) => client.talk(thread, dialogue)))
      ])
      const records = new Map<Dialogue, Awaited<ReturnType<typeof recordOf>>>()
      for (const [thread, dialogue] of undisturbed) {
        const record = await settled(url, "quiet", thread)
        expect(record.outbound.map(({ text }) => `< ${text}`)).toEqual(dialogue.filter((line) => line.startsWith("<")))
        expect(record.orders).toHaveLength(1)
        records.set(dialogue, record)
      }
      expect(alone.died).toHaveLength(again.length)
      expect(await settled(url, "alone", "silent-again")).toEqual(records.get(silent))
      for (const { client, own } of disturbed) {
        for (const { death, dialogue, thread } of own) {
          const isMet = () => client.died.includes(thread) || (death.side === "after" && client.writing.has(thread))
          await client.until(`${thread} dies`, isMet)
          expect([thread, await settled(url, client.account, thread)]).toEqual([thread, records.get(dialogue)])
        }
      }
      expect([quiet, alone, ...disturbed.map(({ client }) => client)].flatMap(({ faults }) => faults)).toEqual([])
      expect(await query(url, uneven)).toEqual([])
    })
  }).pipe(Effect.scoped, Effect.runPromise)
)

test("a reminder that came due while the process was dead is sent by the next one, once", { timeout: 60_000 }, () =>
  Effect.gen(function* () {
    const url = yield* fresh
    const client = yield* openClient({ ...options, url, account: "a" })
    yield* Effect.promise(async () => {
      await client.talk("silent", said(silent, "< 1. What would you like to order?"))
      await client.kill()
      await wait(options.silenceMs)
      const before = await recordOf(url, "a", "silent")
      expect(before).toMatchObject({ outbound: [{}], state: [{ open: false, timers: [expect.anything()] }] })
      client.start({})
      await client.talk("silent", ["< Are you still there? What would you like to order?"])
      expect((await recordOf(url, "a", "silent")).state).toMatchObject([{ value: { asking: "what" }, timers: [] }])
      await client.talk("silent", ["> tea", "< 2. How many of it?"])
    })
  }).pipe(Effect.scoped, Effect.runPromise)
)

test("the time in which nobody ran is not the shop's", { timeout: 60_000 }, () =>
  Effect.gen(function* () {
    const url = yield* fresh
    const client = yield* openClient({ ...options, url, account: "a", shop: "silent" })
    yield* Effect.promise(async () => {
      await client.talk("one", brisk.slice(0, -1))
      for (const attempt of [1, 2, 3]) {
        const placing =
          "select 1 from conversation where value = '\"placing\"' and (context -> 'attempt')::integer = $1"
        await client.until("it is placed", async () => (await query(url, placing, [attempt])).length === 1)
        await client.kill()
        await query(url, overdue)
        client.start({ shop: attempt === 3 ? "open" : "silent" })
      }
      await client.talk("one", brisk.slice(-1))
    })
  }).pipe(Effect.scoped, Effect.runPromise)
)

test("a conversation that sleeps is woken for its reminder, however many cannot be", { timeout: 60_000 }, () =>
  Effect.gen(function* () {
    const url = yield* fresh
    const client = yield* openClient({ ...options, url, account: "a", silenceMs: 3_500, idleMs: 100 })
    yield* Effect.promise(async () => {
      await client.talk("silent", said(silent, "< 1. What would you like to order?"))
      await query(
        url,
        `insert into conversation select 'order-form/gone/' || n, 'order-form/gone', machine, version, value, context,
          seq, message_seq, handled, timers, 1, open, defects, at_ms from conversation, generate_series(1, 600) as n`
      )
      await client.talk("silent", ["< Are you still there? What would you like to order?"])
      expect(client.spawned).toEqual(["silent", "silent"])
    })
  }).pipe(Effect.scoped, Effect.runPromise)
)

test("version 2 goes on wherever version 1 was left", { timeout: 60_000 }, () =>
  Effect.gen(function* () {
    const url = yield* fresh
    const client = yield* openClient({ ...options, url, account: "a", release: 1, shop: "silent" })
    const uncounted = brisk.map((line) => line.replace(/\d\. /, "") as Dialogue[number])
    const questions = ["What would you like to order?", "How many of it?", "Where shall it go?"]
    const asked = questions.map((question) => ({
      thread: question,
      before: said(uncounted, `< ${question}`),
      after: [`< Are you still there? ${question}` as const, ...brisk.slice(said(uncounted, `< ${question}`).length)]
    }))
    const placing = { thread: "placing", before: said(uncounted, "> 1 Harbour Street"), after: brisk.slice(-1) }
    yield* Effect.promise(async () => {
      const all = [...asked, placing]
      await Promise.all(all.map(({ before, thread }) => client.talk(thread, before)))
      await client.talk("placing", ["> when will it come?"])
      await client.talk("idle", ["> hello", `< ${questions[0]}`, "> cancel", "< Nothing is ordered."])
      await client.until(
        "all is handled",
        async () => (await query(url, "select 1 from inbound where fate is null")).length === 1
      )
      await client.kill()
      const stored = `select split_part(id, '/', 3) as thread, version, value from conversation order by 1`
      expect(await query(url, stored)).toEqual([
        { thread: "How many of it?", version: 1, value: { asking: "how-many" } },
        { thread: "What would you like to order?", version: 1, value: { asking: "what" } },
        { thread: "Where shall it go?", version: 1, value: { asking: "where-to" } },
        { thread: "idle", version: 1, value: "idle" },
        { thread: "placing", version: 1, value: "placing" }
      ])
      await query(url, overdue)
      client.start({ release: 2, shop: "open" })
      await Promise.all(
        [...all, { thread: "idle", after: brisk }].map(({ after, thread }) => client.talk(thread, after))
      )
      await client.talk("later", brisk)
      const { orders, state } = await recordOf(url, "a", "later")
      for (const { thread } of all) {
        const record = await recordOf(url, "a", thread)
        const handled = record.inbound.length
        expect([thread, record.orders]).toEqual([thread, orders])
        expect([thread, record.state]).toEqual([thread, state.map((row) => ({ ...row, handled }))])
      }
    })
  }).pipe(Effect.scoped, Effect.runPromise)
)

test("what an unknown version stored is refused in words and left as it is", { timeout: 60_000 }, () =>
  Effect.gen(function* () {
    const url = yield* fresh
    const client = yield* openClient({ ...options, url, account: "a" })
    yield* Effect.promise(async () => {
      await client.talk("one", said(brisk, "< 2. How many of it?"))
      await client.kill()
      await query(url, overdue)
      await query(url, "update conversation set version = 3")
      const tables = ["conversation", "event", "message"]
      const rows = () => Promise.all(tables.map((table) => query(url, `select * from ${table}`)))
      const before = await rows()
      client.start({})
      await client.talk("one", ["> 3"])
      const words = "it was written by order-form 3, and this is order-form 2: migrate it"
      await client.until("it is refused", () => client.log.filter((line) => line.includes(words)).length > 3)
      expect(await rows()).toEqual(before)
      expect((await recordOf(url, "a", "one")).inbound.at(-1)).toMatchObject({ text: "3", fate: null })
      await client.kill()
      await query(url, "update conversation set version = 2")
      client.start({})
      await client.talk("one", rest(brisk, "> 3"))
    })
  }).pipe(Effect.scoped, Effect.runPromise)
)

test("a shop that does not answer, or breaks the form's own code, ends in words", { timeout: 60_000 }, () =>
  Effect.gen(function* () {
    const url = yield* fresh
    const mute = yield* openClient({ ...options, url, account: "mute", shop: "silent", shopMaxMs: 500 })
    const broken = yield* openClient({ ...options, url, account: "broken", shop: "broken" })
    yield* Effect.promise(async () => {
      const sorry: Dialogue = [...brisk.slice(0, -1), "< The shop does not answer. Please order again later."]
      await Promise.all([mute, broken].map((client) => client.talk("one", [...sorry, ...sorry.slice(0, 2)])))
      for (const account of ["mute", "broken"]) {
        const { deadLetters, inbound, state } = await recordOf(url, account, "one")
        expect(deadLetters).toMatchObject([{ kind: "turn" }])
        expect(inbound.map(({ fate }) => fate)).toEqual(["answered", "answered", "answered", "dead", "answered"])
        expect(state).toMatchObject([{ value: { asking: "what" }, defects: 0 }])
      }
    })
  }).pipe(Effect.scoped, Effect.runPromise)
)
