/**
 * The laws of the group commit, over bursts of rows of which some cannot be written, and callers of which some go
 * away.
 */
import { Data, Effect, Exit, Fiber, Option, Scope } from "effect"
import fc from "fast-check"
import { expect, test } from "vitest"
import * as GroupCommit from "../../src/store/group-commit.ts"

class BadRow extends Data.TaggedError("BadRow")<{ readonly row: Row }> {}
class Fenced extends Data.TaggedError("Fenced")<{ readonly row: Row }> {}
class Down extends Data.TaggedError("Down") {}
type Failure = BadRow | Fenced | Down

/** Rows are named `kind/owner/number`. */
type Row = string

const kind = fc.oneof(
  { weight: 8, arbitrary: fc.constant("good") },
  { weight: 2, arbitrary: fc.constantFrom("bad", "fenced") },
  { weight: 1, arbitrary: fc.constantFrom("outage", "bug") }
)
const owner = fc.oneof(
  { weight: 3, arbitrary: fc.constant("nobody") },
  { weight: 2, arbitrary: fc.constantFrom("ann", "bob") }
)
const offer = fc.record({
  kind,
  owner,
  /** Its caller goes away at once. */
  leaves: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) })
})
// Rows that arrive together, then a pause in which the writer catches up, if it is long enough.
const burst = fc.record({
  offers: fc.array(offer, { maxLength: 14, size: "max" }),
  pauseTicks: fc.constantFrom(0, 2, 40)
})
const bursts = fc.array(burst, { maxLength: 8, size: "max" })
const limits = fc.record({ batchMax: fc.integer({ min: 1, max: 6 }), queueMax: fc.integer({ min: 1, max: 12 }) })
type Burst = typeof burst extends fc.Arbitrary<infer B> ? B : never

const kindOf = (row: Row) => row.split("/")[0]!
const ownerOf = (row: Row) => row.split("/")[1]!
const numberOf = (row: Row) => Number(row.split("/")[2])

interface Sight {
  readonly type: "offered" | "stored" | "onWritten" | "told"
  readonly row: Row
}

interface Life {
  readonly stats: GroupCommit.WriterStats
  readonly limits: GroupCommit.Limits
  readonly batches: ReadonlyArray<ReadonlyArray<Row>>
  readonly sights: ReadonlyArray<Sight>
  /** `gone` is a caller that did not wait, or was not told before the end. */
  readonly fates: ReadonlyMap<Row, string>
  readonly impatient: ReadonlySet<Row>
}

/** A table in memory: a batch is all or nothing. The scope is closed after `ticksMax`, whatever is under way then. */
const live = (limits: GroupCommit.Limits, bursts: ReadonlyArray<Burst>, ticksMax = 2_000) =>
  Effect.gen(function* () {
    const batches: Array<ReadonlyArray<Row>> = []
    const sights: Array<Sight> = []
    const see = (type: Sight["type"], row: Row) => void sights.push({ type, row })
    const scope = yield* Scope.make()
    const stats = GroupCommit.emptyWriterStats()
    const target = { ...targetOf(limits, batches, see), stats }
    const put = yield* Scope.provide(GroupCommit.make<Row, Row, Failure>(target), scope)
    const impatient = new Set<Row>()
    const callers = new Map<Row, Fiber.Fiber<Row, Failure | GroupCommit.WriterFull>>()
    const offering = Effect.gen(function* () {
      for (const { offers, pauseTicks } of bursts) {
        for (const { kind, leaves, owner } of offers) {
          const row = `${kind}/${owner}/${callers.size}`
          see("offered", row)
          const caller = yield* Effect.forkDetach(
            Effect.onExit(put(row), () => Effect.sync(() => see("told", row))),
            {
              startImmediately: true
            }
          )
          callers.set(row, caller)
          if (leaves) impatient.add(row)
          if (leaves) yield* Fiber.interrupt(caller)
        }
        yield* after(pauseTicks)
      }
    })
    const offered = yield* Effect.forkChild(offering)
    const isOver = () => [offered, ...callers.values()].every((fiber) => fiber.pollUnsafe() !== undefined)
    for (let ticks = 0; ticks < ticksMax && !isOver(); ticks++) yield* Effect.yieldNow
    yield* Scope.close(scope, Exit.void)
    yield* after(10)
    const fates = new Map([...callers].map(([row, fiber]) => [row, fateOf(fiber.pollUnsafe())]))
    return { limits, batches, sights, fates, impatient, stats }
  }).pipe(Effect.runPromise)

const after = (ticks: number) => Effect.repeat(Effect.yieldNow, { times: ticks })

const targetOf = (
  limits: GroupCommit.Limits,
  batches: Array<ReadonlyArray<Row>>,
  see: (type: Sight["type"], row: Row) => void
): Omit<GroupCommit.Target<Row, Row, Failure>, "stats"> => ({
  limits,
  isFaultOfOneRow: ({ _tag }) => _tag === "BadRow",
  ownerOf: (row) => (ownerOf(row) === "nobody" ? undefined : ownerOf(row)),
  onWritten: (row, result) => {
    expect(result).toBe(row)
    see("onWritten", row)
  },
  write: Effect.fnUntraced(function* (rows) {
    batches.push(rows)
    yield* after(3)
    const has = (kind: string) => rows.find((row) => kindOf(row) === kind)
    const bad = has("bad")
    if (bad) return yield* new BadRow({ row: bad })
    if (has("outage")) return yield* new Down()
    if (has("bug")) return yield* Effect.die("bug")
    return rows.map((row) => {
      if (kindOf(row) === "fenced") return Exit.fail(new Fenced({ row }))
      see("stored", row)
      return Exit.succeed(row)
    })
  })
})

function fateOf(exit: Exit.Exit<Row, { readonly _tag: string }> | undefined): string {
  if (exit === undefined) return "hangs"
  if (Exit.isSuccess(exit)) return "written"
  return Option.getOrUndefined(Exit.findErrorOption(exit))?._tag ?? (Exit.hasDies(exit) ? "died" : "gone")
}

const property = (title: string, check: (life: Life) => void) =>
  test(title, () =>
    fc.assert(
      fc.asyncProperty(limits, bursts, async (limits, bursts) => check(await live(limits, bursts))),
      { numRuns: 150 }
    )
  )

const rowsOf = ({ sights }: Life, wanted: Sight["type"]) =>
  sights.flatMap(({ row, type }) => (type === wanted ? [row] : []))

property("G1: a caller succeeds only after a write that held its row succeeded", (life) => {
  const stored = rowsOf(life, "stored")
  for (const [row, fate] of life.fates) {
    if (fate !== "written") continue
    expect(stored).toContain(row)
    const at = (wanted: Sight["type"]) => life.sights.findIndex((sight) => sight.type === wanted && sight.row === row)
    expect(at("stored")).toBeLessThan(at("told"))
  }
  expect(new Set(stored).size).toBe(stored.length)
})

property("G2: a row that cannot be written fails alone", ({ batches, fates }) => {
  for (const [row, fate] of fates) {
    if (fate === "BadRow") expect(kindOf(row)).toBe("bad")
    if (fate === "Fenced") expect(kindOf(row)).toBe("fenced")
    const companions = batches.filter((batch) => batch.includes(row)).flat()
    // An outage or a defect of the whole write is nobody's fault, and everybody's fate.
    const isAmongRows = companions.every((other) => !["outage", "bug"].includes(kindOf(other)))
    if (isAmongRows && kindOf(row) === "good") expect(["written", "gone", "WriterFull"]).toContain(fate)
  }
})

/** Those that were not cut from an earlier one. */
function wholeBatches({ batches }: Life): ReadonlyArray<ReadonlyArray<Row>> {
  const attempted = new Set<Row>()
  return batches.filter((batch) => {
    const isWhole = batch.every((row) => !attempted.has(row))
    for (const row of batch) attempted.add(row)
    return isWhole
  })
}

property("G3: rows are written in the order in which they were offered, but for those held back by G5", (life) => {
  const written = life.batches.flat()
  let waiting = rowsOf(life, "offered").filter((row) => written.includes(row))
  for (const batch of wholeBatches(life)) {
    expect(batch).toEqual(batch.toSorted((a, b) => numberOf(a) - numberOf(b)))
    const overtaken = waiting.filter((row) => numberOf(row) < numberOf(batch.at(-1)!) && !batch.includes(row))
    for (const row of overtaken) {
      expect(batch.map(ownerOf)).toContain(ownerOf(row))
      expect(ownerOf(row)).not.toBe("nobody")
    }
    waiting = waiting.filter((row) => !batch.includes(row))
  }
  for (const owner of ["ann", "bob"]) {
    const stored = rowsOf(life, "stored").filter((row) => ownerOf(row) === owner)
    expect(stored).toEqual(stored.toSorted((a, b) => numberOf(a) - numberOf(b)))
  }
})

test("G4: a defect of `write`, or the end of the scope, fails whoever waits: nobody hangs", () =>
  fc.assert(
    fc.asyncProperty(limits, bursts, fc.nat({ max: 60 }), async (limits, bursts, ticks) => {
      const { batches, fates, impatient } = await live(limits, bursts, ticks)
      expect([...fates.values()]).not.toContain("hangs")
      // What was being written at the end is known.
      for (const row of batches.flat()) if (!impatient.has(row)) expect(fates.get(row)).not.toBe("gone")
      for (const [row, fate] of fates) if (fate === "died") expect(kindOf(row)).toMatch(/good|fenced|bug|outage/)
    }),
    { numRuns: 150 }
  ))

property("G5: two rows of one owner are never in one batch", ({ batches, limits }) => {
  for (const batch of batches) {
    const owners = batch.map(ownerOf).filter((owner) => owner !== "nobody")
    expect(new Set(owners).size).toBe(owners.length)
    expect(batch.length).toBeLessThanOrEqual(limits.batchMax)
  }
})

const g6 =
  "G6: callers are told in the order of their rows, and `onWritten` is called in that order, waiting caller or not"
property(g6, (life) => {
  expect(rowsOf(life, "onWritten")).toEqual(rowsOf(life, "stored"))
  const gone = new Set([...life.fates].flatMap(([row, fate]) => (fate === "gone" ? [row] : [])))
  const told = rowsOf(life, "told").filter((row) => !gone.has(row))
  for (const batch of wholeBatches(life)) {
    const patient = batch.filter((row) => !gone.has(row))
    expect(told.filter((row) => patient.includes(row))).toEqual(patient)
  }
  for (const batch of life.batches.filter((batch) => !batch.some((row) => kindOf(row) === "bad"))) {
    const first = life.sights.findIndex(({ row, type }) => type === "told" && batch.includes(row) && !gone.has(row))
    const last = life.sights.findLastIndex(({ row, type }) => type === "onWritten" && batch.includes(row))
    if (first >= 0) expect(last).toBeLessThan(first)
  }
})

test("the bursts above reach every fate, batches cut in two, rows held back and rows whose caller is gone", async () => {
  const lives: Array<Life> = []
  for (const [l, b] of fc.sample(fc.tuple(limits, bursts), { numRuns: 100, seed: 1 })) lives.push(await live(l, b))
  const fates = new Set(lives.flatMap(({ fates }) => [...fates.values()]))
  expect([...fates].toSorted()).toEqual(["BadRow", "Down", "Fenced", "WriterFull", "died", "gone", "written"])
  expect(lives.some((life) => wholeBatches(life).length < life.batches.length)).toBe(true)
  expect(lives.some((life) => rowsOf(life, "onWritten").some((row) => life.fates.get(row) === "gone"))).toBe(true)
  const isHeldBack = ({ batches }: Life) => {
    const numbers = batches.flat().map(numberOf)
    return numbers.some((number, index) => index > 0 && number < numbers[index - 1]!)
  }
  expect(lives.some(isHeldBack)).toBe(true)
})

test("whoever comes after the end of the scope is refused at once", async () => {
  const stats = GroupCommit.emptyWriterStats()
  const target = { ...targetOf({ batchMax: 2, queueMax: 2 }, [], () => {}), stats }
  const put = await Effect.runPromise(Effect.scoped(GroupCommit.make(target)))
  expect(fateOf(await Effect.runPromise(Effect.exit(put("good/nobody/0"))))).toBe("WriterFull")
  expect(stats.waiting).toBe(0)
})

property("each row that was written is in the statistics once, and so is each transaction", (life) => {
  const { batches, stats } = life
  expect(totalOf(stats.commit)).toBe(rowsOf(life, "onWritten").length)
  expect([totalOf(stats.flush), totalOf(stats.rows), stats.rows.sum]).toEqual([
    batches.length,
    batches.length,
    batches.flat().length
  ])
  expect(stats.waiting).toBe(0)
})

const totalOf = ({ counts }: GroupCommit.WriterStats["rows"]) => counts.reduce((sum, count) => sum + count, 0)
