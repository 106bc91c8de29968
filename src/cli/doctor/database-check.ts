/**
 * The database: whether it is there, keeps what it says is stored, and knows our tables.
 *
 * A PostgreSQL that runs is asked through its address. One of our own that does not run is started for the check and
 * stopped again; where there is none yet, none is made.
 */
import { resolve } from "node:path"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { type CheckUp, checkUp, type NoCheckUp } from "../../store/check-up.ts"
import * as Embedded from "../../store/embedded.ts"
import type { Peek } from "../../store/embedded-peek.ts"
import type { Config } from "../config-schema.ts"
import { bytesText, countText, rounded } from "../quantity.ts"
import { type Fault, type Finding, type Findings, ok } from "./finding.ts"
import type { Site } from "./site.ts"

/** Older ones lack what our statements use. */
const versionMin = 14
const slowCommitMs = 50
/** Autovacuum comes at a fifth of a table; below this nobody feels it. */
const bloatMinRows = 100_000

export const checkDatabase = Effect.fn("checkDatabase")(function* ({
  config,
  found
}: Site): Effect.fn.Return<Findings, never, Scope.Scope> {
  if (config.databaseUrl !== undefined) return yield* ask(config.databaseUrl, config, "The PostgreSQL of DATABASE_URL")
  if (Result.isFailure(found)) return [cannotOpen("database.unreadable", found.failure.reason)]
  const { cluster, holder } = found.success
  if (cluster.state === "none")
    return [ok("database", `${resolve(config.dataDir)} has none yet; the first start makes it.`)]
  if (cluster.state === "running") {
    const asked = yield* ask(ownUrl(cluster.url), config, `The built-in PostgreSQL (pid ${cluster.pid})`)
    return holder === undefined ? [...asked, orphaned(cluster)] : asked
  }
  if (holder !== undefined) return [deadUnder(holder)]
  const options = { dataDir: config.dataDir, announce: () => Effect.void }
  const opened = yield* Effect.result(Embedded.open(options))
  if (Result.isFailure(opened)) return [cannotOpen("database.start", opened.failure.reason)]
  return yield* ask(ownUrl(opened.success.url), config, "The built-in PostgreSQL, started for this check")
})

/** Whatever PGSSLMODE says: it is ours, on loopback, and has no certificate. */
const ownUrl = (url: string) => Redacted.make(`${url}?sslmode=disable`)

/** The sentence of the store ends with its mend. */
function cannotOpen(id: string, reason: string): Finding {
  const [saw = reason, ...mend] = reason.split(/(?<=\.) (?=[A-Z])/)
  return { id, level: "trouble", saw, mend: mend.length === 0 ? "See the log of PostgreSQL." : mend.join(" ") }
}

const orphaned = ({ pid }: Extract<Peek["cluster"], { state: "running" }>): Finding => ({
  id: "database.orphaned",
  level: "note",
  saw: `The built-in PostgreSQL (pid ${pid}) runs without a Parley: the last one was killed.`,
  mend: "Nothing is to be done: the next start adopts it."
})

const deadUnder = (holder: number): Finding => ({
  id: "database.dead",
  level: "trouble",
  saw: `A Parley (pid ${holder}) runs, and its PostgreSQL does not.`,
  why: "It may be starting or stopping just now; else nothing is accepted (503).",
  mend: "Run doctor again in a few seconds. If it stays, read postgres/server.log in the data directory."
})

const ask = Effect.fnUntraced(function* (url: Redacted.Redacted, config: Config, who: string) {
  const answer = yield* Effect.result(Effect.scoped(checkUp(url)))
  if (Result.isFailure(answer)) return [refused(answer.failure, who)]
  const { bytes: size, version } = answer.success
  const about = `${who}: version ${version}, with a database of ${bytesText(size)}.`
  return [
    ok("database", about),
    ...old(answer.success),
    ...durability(answer.success, config),
    schemaOf(answer.success),
    ...bloat(answer.success),
    ...commit(answer.success)
  ]
})

const unreached: Pick<Fault, "id" | "mend"> = {
  id: "database.unreachable",
  mend: "Start it, or mend DATABASE_URL; without DATABASE_URL Parley runs one of its own."
}

const refusals: Readonly<Record<string, Pick<Fault, "id" | "mend">>> = {
  "28P01": { id: "database.password", mend: "Put the right user and password into DATABASE_URL." },
  "28000": { id: "database.role", mend: "Make that role (createuser), or let it in (pg_hba.conf)." },
  "3D000": { id: "database.missing", mend: "Make it (createdb), or name another one in DATABASE_URL." },
  "53300": { id: "database.full", mend: "Raise max_connections, or close what holds the connections." },
  "57P03": { id: "database.starting", mend: "It is starting or stopping: run doctor again in a few seconds." },
  "42501": { id: "database.rights", mend: "Give the role of DATABASE_URL rights on that database (grant all …)." }
}

const refused = ({ reason, sqlState }: NoCheckUp, who: string): Finding => ({
  ...((sqlState && refusals[sqlState]) || (sqlState ? { id: "database.refused", mend: "Mend that." } : unreached)),
  level: "trouble",
  saw: `${who} refuses or is not there: ${reason}.`
})

function old({ version }: CheckUp): Findings {
  if (Number.parseInt(version, 10) >= versionMin) return []
  const saw = `PostgreSQL ${version} is older than Parley is tested with.`
  return [
    {
      id: "database.old",
      level: "warning",
      saw,
      mend: `Bring it to ${versionMin} or newer; 18 is what Parley comes with.`
    }
  ]
}

function durability({ off }: CheckUp, config: Config): Findings {
  if (off.length === 0) return [ok("database.durability", "fsync, full_page_writes and synchronous_commit are on.")]
  const isStrict = config.durability === "strict"
  return off.map((name) => ({
    id: `database.${name}`,
    level: isStrict ? "trouble" : "warning",
    saw: `PostgreSQL runs with ${name} off${isStrict ? "" : ", and `durability: relaxed` accepts that"}.`,
    why: "It may lose what Parley acknowledged.",
    mend: isStrict
      ? `Switch ${name} on (alter system set ${name} = on; select pg_reload_conf();), or accept it: durability: relaxed`
      : `Switch ${name} on (alter system set ${name} = on; select pg_reload_conf();).`
  }))
}

function schemaOf({ schema: { missing, unknown } }: CheckUp): Finding {
  if (unknown.length > 0) {
    return {
      id: "database.schema-newer",
      level: "trouble",
      saw: `A later Parley has changed the tables: ${unknown.join(", ")}.`,
      mend: "Start that version again, or bring back a backup from before it."
    }
  }
  if (missing.length === 0) return ok("database.schema", "The tables are of this version.")
  return {
    id: "database.schema-older",
    level: "note",
    saw: `The tables lack ${missing.join(", ")}.`,
    mend: "Nothing is to be done: the next start brings them up to date. There is no way back, so make a backup first."
  }
}

function bloat({ bloated }: CheckUp): Findings {
  if (bloated === undefined || bloated.dead < bloatMinRows || bloated.dead < bloated.live) return []
  const { dead, live, table } = bloated
  return [
    {
      id: "database.bloat",
      level: "warning",
      saw: `Table ${table} has ${countText(dead)} dead rows for ${countText(live)} live ones.`,
      why: "They are read over and take room: autovacuum is off, too slow, or held back by a transaction that stays open.",
      mend: "See autovacuum in postgresql.conf, and old transactions in pg_stat_activity; vacuum analyze removes them now.",
      figures: { deadRows: dead, liveRows: live }
    }
  ]
}

function commit({ commitMostMs, commitMs, isInRecovery }: CheckUp): Findings {
  if (isInRecovery) {
    const mend = "Name the primary in DATABASE_URL."
    return [
      { id: "database.read-only", level: "trouble", saw: "The server is a standby: nothing can be written.", mend }
    ]
  }
  const saw = `A commit takes ${rounded(commitMs)} ms, at most ${rounded(commitMostMs)} ms.`
  if (commitMs < slowCommitMs) return [{ id: "database.commit", level: "ok", saw, figures: { commitMs } }]
  const why = "Nobody is told `accepted` before a commit: this is the floor of every answer."
  const mend = "Bring the database nearer, or its log onto a faster disk."
  return [{ id: "database.slow", level: "warning", saw, why, mend, figures: { commitMs } }]
}
