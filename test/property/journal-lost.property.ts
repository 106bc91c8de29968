/** Whose rows there are after connections were lost, and whether everybody was told the truth about them. */
import { Effect, Exit, Fiber, Option, Scope } from "effect"
import { TestClock } from "effect/testing"
import fc from "fast-check"
import { sql } from "kysely"
import { afterAll, beforeAll, expect, test } from "vitest"
import { randomId } from "../../src/domain/random-id.ts"
import { census } from "../../src/store/census.ts"
import type { Entry, FencedOff, Journal, Refused, Unavailable } from "../../src/store/journal.ts"
import type { Fate } from "../integration/cutting-proxy.ts"
import { openTwoOwners } from "../integration/postgres-journal.ts"

type Bench = Effect.Success<typeof openTwoOwners>
const scope = Scope.makeUnsafe()
let bench: Bench

beforeAll(async () => {
  bench = await Effect.runPromise(Scope.provide(openTwoOwners, scope))
}, 60_000)
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

const kind = fc.oneof(
  { weight: 14, arbitrary: fc.constantFrom("accept" as const, "entry" as const, "attempt" as const) },
  // It makes its batch be written row by row.
  { weight: 1, arbitrary: fc.constant("poison" as const) }
)
const write = fc.record({
  kind,
  /** When the other owner writes it too. */
  contest: fc.constantFrom("never" as const, "never" as const, "never" as const, "at once" as const, "later" as const)
})
const losses = fc.record({
  writes: fc.array(write, { minLength: 1, maxLength: 10, size: "max" }),
  // The first one meets a batch, the next ones its repetitions.
  cuts: fc.array(fc.constantFrom<Fate>("before", "after", "nothing"), { maxLength: 4, size: "max" })
})
type Losses = typeof losses extends fc.Arbitrary<infer L> ? L : never

const owners = ["first", "second"] as const
type Owner = (typeof owners)[number]

/** What one owner was told of one write: it is written by `mine` or `others`, was `refused`, is not, or may be. */
type Told = "mine" | "others" | "refused" | "unwritten" | "unknown"

interface Outcome {
  readonly kind: Losses["writes"][number]["kind"]
  readonly told: ReadonlyMap<Owner, Told>
  /** Whose rows there are. */
  readonly rows: ReadonlyArray<string>
}

/**
 * Found cases: a repetition is lost, of the whole batch, of one row of it, and with another row behind it; and the one
 * loss that is certain to leave the second owner with a row of the first, who else would only win by chance.
 */
const calm = (kind: Outcome["kind"]) => ({ kind, contest: "never" as const })
const examples: Array<[Losses]> = [
  [{ writes: [calm("accept")], cuts: ["before", "after"] }],
  [{ writes: [calm("accept"), calm("entry"), calm("poison")], cuts: ["before", "nothing", "after"] }],
  [{ writes: [calm("accept"), calm("poison"), calm("accept")], cuts: ["before", "nothing", "after"] }],
  [{ writes: [{ kind: "entry", contest: "later" }], cuts: [] }]
]

interface Life {
  readonly outcomes: ReadonlyArray<Outcome>
  /** The positions of which the first owner's journal told that they are new, in the order in which it did. */
  readonly rung: ReadonlyArray<number>
  /** Those of the events that it wrote. */
  readonly written: ReadonlyArray<number>
}

const live = ({ cuts, writes }: Losses, account = randomId()) =>
  Effect.gen(function* () {
    for (const [n, { kind }] of writes.entries())
      if (kind === "attempt") yield* bench.second.journal.commit(entryOf(account, n, "second"))
    const rung: Array<number> = []
    const deeds = writes.flatMap(({ contest, kind }, n) =>
      owners
        .filter((owner) => contest !== "never" || owner === "first")
        .map((owner) => ({ account, kind, n, owner, rung, isLate: contest === "later" && owner === "second" }))
    )
    bench.proxy.plan(...cuts)
    const told = new Map<Deed, Told>()
    const tellThose = (isLate: boolean) =>
      Effect.forEach(
        deeds.filter((deed) => deed.isLate === isLate),
        (deed) => Effect.map(tell(deed), (is) => told.set(deed, is)),
        { concurrency: "unbounded", discard: true }
      )
    yield* tellThose(false)
    bench.proxy.plan()
    yield* tellThose(true)
    const outcomes = yield* Effect.forEach(writes, ({ kind }, n) =>
      Effect.map(rowsOf(kind, account, n), (rows): Outcome => {
        return {
          kind,
          rows,
          told: new Map(deeds.flatMap((deed) => (deed.n === n ? [[deed.owner, told.get(deed)!]] : [])))
        }
      })
    )
    yield* tell({ account, kind: "accept", n: writes.length, owner: "first", rung })
    const written = yield* bench.second.database.query((db) => {
      const rows = db.selectFrom("inbound").select("position").where("account", "=", `test/${account}`)
      return rows.where("text", "=", "first").orderBy("position").execute()
    })
    return { outcomes, rung, written: written.map(({ position }) => position) } satisfies Life
  })

interface Deed {
  readonly account: string
  readonly kind: Outcome["kind"]
  readonly n: number
  readonly owner: Owner
  readonly rung: Array<number>
}

function tell({ account, kind, n, owner, rung }: Deed, { journal } = bench[owner]) {
  const known = { channel: "test", account, thread: `${n}`, eventKey: `${n}`, user: { id: "ada" } }
  const ring: Parameters<Journal["Service"]["accept"]>[1] = ({ duplicate, position }) =>
    void (owner === "first" && !duplicate && rung.push(position))
  const write: Effect.Effect<unknown, FencedOff | Refused | Unavailable> =
    kind === "accept" || kind === "poison"
      ? journal.accept({ ...known, text: kind === "poison" ? "\0" : owner }, ring)
      : kind === "entry"
        ? journal.commit(entryOf(account, n, owner))
        : journal.begin({ conversation: `test/${account}/${n}`, key: `${account}-${n}`, n: 1, atMs: atMsOf(owner) })
  return Effect.map(Effect.exit(write), (exit): Told => {
    if (Exit.isSuccess(exit)) return (exit.value as { duplicate?: boolean } | undefined)?.duplicate ? "others" : "mine"
    const error = Option.getOrUndefined(Exit.findErrorOption(exit))
    if (error?._tag === "Unavailable") return error.mayBeWritten === true ? "unknown" : "unwritten"
    if (error?._tag === "FencedOff") return "others"
    expect(error?._tag).toBe("Refused")
    return "refused"
  })
}

const atMsOf = (owner: Owner) => (owner === "first" ? 1 : 2)

function entryOf(account: string, n: number, owner: Owner): Entry {
  const outbound = { key: `${account}-${n}`, turn: 1, text: owner, outcome: "answered" } as const
  return {
    conversation: `test/${account}/${n}`,
    seq: 1,
    atMs: atMsOf(owner),
    event: { type: owner },
    snapshot: { machine: "test", version: 1, value: "done", context: {} },
    ...{ timers: [], handled: 0, open: false, defects: 0, deliveryVersion: 1, settle: [] },
    ...{ messageSeq: 1, messages: [{ role: "user", text: owner, turn: 1 }] },
    outbound: [outbound],
    deadLetters: [{ kind: "turn", reference: "1", reason: owner }]
  }
}

test.each(["before away", "after away"] as const)(
  "J3: … and when no question is answered either, it is unknown (cut %s)",
  (fate) =>
    Effect.gen(function* () {
      const { first, proxy, second } = yield* openTwoOwners
      const accept = (key: string) =>
        first.journal.accept(
          { channel: "test", account: "a", thread: "t", eventKey: key, user: { id: "ada" }, text: key },
          () => {}
        )
      yield* accept("before")
      proxy.plan(fate)
      const isWritten = fate === "after away"
      const lost = yield* Effect.forkChild(Effect.flip(accept("lost")), { startImmediately: true })
      yield* turn
      const later = yield* Effect.forkChild(Effect.flip(accept("later")))
      while (later.pollUnsafe() === undefined) yield* Effect.andThen(TestClock.adjust("100 millis"), turn)
      expect(yield* Fiber.join(lost)).toMatchObject({ _tag: "Unavailable", mayBeWritten: true })
      const refused = yield* Fiber.join(later)
      expect(refused._tag === "Unavailable" && refused.mayBeWritten).toBeUndefined()
      proxy.comeBack()
      expect(yield* accept("lost")).toMatchObject({ duplicate: isWritten, pending: true })
      const { pending } = yield* second.journal.load("test/a/t", 9)
      expect(pending.map(({ text }) => text)).toEqual(["before", "lost"])
    }).pipe(Effect.scoped, Effect.provide(TestClock.layer()), Effect.runPromise)
)

const j4 =
  "J4: a row that PostgreSQL will never take is refused alone; a database that takes nothing is unavailable to all"
test(j4, () =>
  Effect.gen(function* () {
    const { first, proxy, second } = yield* openTwoOwners
    const account = randomId()
    const tellAll = (from: number) =>
      Effect.forEach(
        (["accept", "poison", "entry"] as const).map((kind, n) => ({ kind, n: from + n })),
        ({ kind, n }) => tell({ account, kind, n, owner: "first", rung: [] }, first),
        { concurrency: "unbounded" }
      )
    const become = (mode: "on" | "off") =>
      second.database.query((db) => {
        const alter = `execute format('alter database %I set default_transaction_read_only = ${mode}', current_database())`
        return sql.raw(`do $$ begin ${alter}; end $$`).execute(db)
      })
    expect(yield* tellAll(0)).toEqual(["mine", "refused", "mine"])
    // It holds for connections that are opened from then on.
    yield* become("on")
    proxy.plan("before")
    yield* tellAll(10)
    for (const from of [20, 30]) expect(yield* tellAll(from)).toEqual(["unwritten", "unwritten", "unwritten"])
    yield* become("off")
    proxy.plan("before")
    yield* tellAll(40)
    expect(yield* tellAll(50)).toEqual(["mine", "refused", "mine"])
  }).pipe(Effect.scoped, Effect.runPromise)
)

/** One turn of the event loop, in which sockets are heard. */
const turn = Effect.promise(() => new Promise<void>((resume) => setImmediate(resume)))

/** Who wrote what there is; for an entry, the writers of all its rows. */
const rowsOf = (kind: Outcome["kind"], account: string, n: number) =>
  Effect.map(
    bench.second.database.query((db) => {
      const id = `test/${account}/${n}`
      const query =
        kind === "accept"
          ? sql<{ by: string }>`select text as by from inbound where conversation = ${id}`
          : kind === "attempt"
            ? sql<{ by: string }>`select case at_ms when 1 then 'first' else 'second' end as by from attempt
                where outbound = ${`${account}-${n}`}`
            : sql<{ by: string }>`select e.type || case when (select array_agg(x) from (
                  select text from message where conversation = ${id}
                  union all select text from outbound where conversation = ${id}
                  union all select reason from dead_letter where conversation = ${id}) as r(x)) =
                  array[e.type, e.type, e.type] then '' else ' in part' end as by
                from event e where conversation = ${id}`
      return query.execute(db)
    }),
    ({ rows }) => rows.map(({ by }) => by)
  )

const property = (title: string, check: (life: Life) => void) =>
  test(title, () =>
    fc.assert(
      fc.asyncProperty(losses, async (losses) => check(await Effect.runPromise(live(losses)))),
      { numRuns: 60, examples, interruptAfterTimeLimit: 30_000 }
    )
  )

const j2 = "J2: an entry or attempt whose key another owner wrote is fenced off; one of our own is done"
property(j2, ({ outcomes }) => {
  for (const { rows, told } of outcomes) {
    for (const [owner, is] of told) {
      if (is === "mine") expect(rows).toEqual([owner])
      if (is === "others") expect(rows).toEqual(owners.filter((other) => other !== owner))
    }
  }
})

const j3 = "J3: a write whose answer was lost is read back by its entry id before its caller is told anything"
property(j3, ({ outcomes }) => {
  for (const { kind, rows, told } of outcomes) {
    expect(rows.length).toBeLessThanOrEqual(1)
    for (const [owner, is] of told) {
      if (is === "refused") expect(kind).toBe("poison")
      if (is === "mine") expect(rows).toEqual([owner])
      if (is === "unwritten" || is === "refused" || kind === "poison") expect(rows).not.toContain(owner)
    }
  }
})

const rings =
  "every event that is written is told of once as new, in the order of positions, even if its caller was not"
property(rings, ({ rung, written }) => {
  expect(rung).toEqual(written)
})

test("what was accepted is counted once, however often its connection was lost", () =>
  fc.assert(
    fc.asyncProperty(losses, async (losses) => {
      const account = randomId()
      const { outcomes } = await Effect.runPromise(live(losses, account))
      const counts = (await Effect.runPromise(census(bench.second.database))).filter(
        (one) => one.account === `test/${account}`
      )
      const accepted = outcomes.filter(({ kind, rows }) => kind === "accept" && rows.length === 1).length + 1
      expect(counts.map(({ count }) => count)).toEqual([accepted, accepted])
    }),
    { numRuns: 15, interruptAfterTimeLimit: 30_000 }
  ))

test("the losses above leave everybody told everything, of rows of both owners and of none", async () => {
  const outcomes: Array<Outcome> = []
  for (const sample of [...examples.flat(), ...fc.sample(losses, { numRuns: 60, seed: 1 })])
    outcomes.push(...(await Effect.runPromise(live(sample))).outcomes)
  const told = outcomes.flatMap(({ rows, told }) => [...told].map(([owner, is]) => `${owner}: ${is}, by ${rows}`))
  expect(told).toEqual(
    expect.arrayContaining([
      ...["first: mine, by first", "first: others, by second", "second: mine, by second", "second: others, by first"],
      ...["first: unknown, by first", "first: unknown, by ", "first: refused, by "]
    ])
  )
})
