/** Faults that an operator makes or meets: doctor finds each of them, and nothing else. */
import { it } from "@effect/vitest"
import { Effect } from "effect"
import pg from "pg"
import { expect, test } from "vitest"
import { answering, channel, examine, expectOnly, healthyModel } from "./doctor-bench.ts"
import { type Fault, faults } from "./doctor-fault-table.ts"
import { withDatabase } from "./postgres.ts"

interface DatabaseFault extends Pick<Fault, "name" | "id" | "words"> {
  readonly statements?: ReadonlyArray<string>
  readonly change?: (url: URL) => void
  /** It is no fault, but is to be known. */
  readonly isNote?: boolean
}

const bloatRows = 150_000

/** `NAME` is the database's. */
const databaseFaults: ReadonlyArray<DatabaseFault> = [
  {
    name: "a wrong password",
    change: (to) => (to.password = "hunter2"),
    id: "database.password",
    words: ["DATABASE_URL"]
  },
  {
    name: "a database that is not there",
    change: (to) => (to.pathname = "/nowhere"),
    id: "database.missing",
    words: ["nowhere", "createdb"]
  },
  {
    name: "a server that is down",
    change: (to) => (to.port = "9"),
    id: "database.unreachable",
    words: ["ECONNREFUSED"]
  },
  {
    name: "synchronous_commit off",
    statements: ["alter database NAME set synchronous_commit = off"],
    id: "database.synchronous_commit",
    words: ["may lose what Parley acknowledged", "durability: relaxed"]
  },
  {
    name: "slow commits",
    statements: ["alter database NAME set commit_delay = 80000", "alter database NAME set commit_siblings = 0"],
    id: "database.slow",
    words: ["A commit takes", "faster disk"]
  },
  {
    name: "tables of a later Parley",
    statements: ["create table kysely_migration (name text)", "insert into kysely_migration values ('9999-later')"],
    id: "database.schema-newer",
    words: ["9999-later", "that version"]
  },
  {
    name: "tables of an earlier Parley",
    statements: ["create table kysely_migration (name text)", "insert into kysely_migration values ('0001-spine')"],
    id: "database.schema-older",
    words: ["0002-notices", "next start"],
    isNote: true
  },
  {
    name: "dead rows that nobody removes",
    statements: [
      "create table old (n int) with (autovacuum_enabled = false)",
      `insert into old select generate_series(1, ${bloatRows})`,
      "delete from old"
    ],
    id: "database.bloat",
    words: ["Table old has 150K dead rows", "autovacuum"]
  }
]

test("there are more than twenty, each another", () => {
  const all = [...faults, ...databaseFaults]
  expect(new Set(all.map(({ name }) => name)).size).toBe(all.length)
  expect(new Set(all.map(({ id }) => id)).size).toBeGreaterThanOrEqual(20)
})

test("where none is planted nothing is found", async () => {
  const callback = await answering((_, response) => response.end())
  const report = await examine({ env: await healthyModel(), yaml: channel(`${callback}/replies`) })
  expect({ code: report.code, faults: report.faults }).toEqual({ code: 0, faults: [] })
})

test.each(faults)("$name", async ({ id, impossible, isAmongOthers = false, plant, words }) => {
  const why = impossible?.()
  if (why !== undefined) {
    process.stdout.write(`not planted: ${why}\n`)
    return
  }
  const report = await examine(await plant())
  if (!isAmongOthers) expectOnly(report, id, ...words)
  const finding = report.of(id)
  for (const word of words) expect([finding?.saw, finding?.why, finding?.mend].join("\n")).toContain(word)
})

it.live.each(databaseFaults)("$name", ({ change, id, isNote = false, statements = [], words }) =>
  Effect.gen(function* () {
    const url = new URL(yield* withDatabase)
    yield* Effect.promise(async () => {
      const client = new pg.Client({ connectionString: url.href })
      await client.connect()
      for (const statement of statements) await client.query(statement.replace("NAME", url.pathname.slice(1)))
      await client.end()
      change?.(url)
      const report = await examine({ env: { ...(await healthyModel()), DATABASE_URL: url.href } })
      if (!isNote) return expectOnly(report, id, ...words)
      expect(report.faults).toEqual([])
      for (const word of words) expect(JSON.stringify(report.of(id))).toContain(word)
    })
  })
)
