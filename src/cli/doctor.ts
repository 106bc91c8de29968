/** `parley doctor`: everything that an operator can get wrong, looked at, and how each of it is mended. */
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Logger from "effect/Logger"
import * as Result from "effect/Result"
import type { ConfigError, Flags } from "./config.ts"
import type { Environment } from "./config-document.ts"
import { loadConfig } from "./config-load.ts"
import { checkChannels } from "./doctor/channel-check.ts"
import { checkData } from "./doctor/data-check.ts"
import { checkDatabase } from "./doctor/database-check.ts"
import { type Check, type Findings, ok, runChecks } from "./doctor/finding.ts"
import { checkListening } from "./doctor/listen-check.ts"
import { checkModel } from "./doctor/model-check.ts"
import { isHealthy, report, reportJson } from "./doctor/report.ts"
import { lookAround, type Site } from "./doctor/site.ts"
import { checkVersions } from "./doctor/versions-check.ts"
import { lookOf } from "./look.ts"

/** There is trouble; the report has said so. */
export class Unhealthy extends Data.TaggedError("Unhealthy") {}

export interface DoctorOptions {
  readonly environment: Environment
  readonly flags: Flags & { readonly config?: string }
  readonly version: string
  readonly isJson: boolean
}

/** Prints what it found, and fails when there is trouble. It changes nothing, and leaves nothing running. */
export const doctor = Effect.fn("doctor")(function* (
  options: DoctorOptions
): Effect.fn.Return<void, Unhealthy, FileSystem.FileSystem> {
  const findings = yield* Effect.provide(examine(options), Logger.layer([]))
  const { environment, isJson, version } = options
  const look = lookOf(environment)
  const at = new Date(yield* Clock.currentTimeMillis).toISOString()
  yield* Console.log(
    isJson
      ? reportJson(findings, version, at)
      : report(findings, { ...look, width: Number.isFinite(look.width) ? look.width : widthOfPipe })
  )
  if (!isHealthy(findings)) return yield* new Unhealthy()
})

/** The checks in the order in which one finding explains the next. */
export const examine = Effect.fn("examine")(function* ({
  environment,
  flags
}: DoctorOptions): Effect.fn.Return<Findings, never, FileSystem.FileSystem> {
  const config = yield* Effect.result(loadConfig(environment, flags))
  const versions: Check = { name: "versions", maxMs: 5_000, run: checkVersions }
  if (Result.isFailure(config)) return [...misconfigured(config.failure), ...(yield* runChecks([versions]))]
  const site = yield* lookAround(config.success)
  const findings = yield* runChecks([versions, ...checksOf(site)])
  return [ok("config", "The configuration is right."), ...findings]
})

const checksOf = (site: Site): ReadonlyArray<Check> => [
  { name: "listen", maxMs: 5_000, run: checkListening(site) },
  { name: "data", maxMs: 20_000, run: checkData(site) },
  // A PostgreSQL that was killed replays its log first.
  { name: "database", maxMs: 60_000, run: checkDatabase(site) },
  { name: "channels", maxMs: 20_000, run: checkChannels(site) },
  // Large models on slow disks take minutes.
  { name: "model", maxMs: 180_000, run: checkModel(site) }
]

function misconfigured({ problems }: ConfigError): Findings {
  return [
    ...problems.map((saw) => ({
      id: "config.wrong",
      level: "trouble" as const,
      saw,
      mend: "Change it there. docs/parley.schema.json has every key with its bounds."
    })),
    {
      id: "config.unchecked",
      level: "note",
      saw: "Port, data, database, channels and model are not looked at: the configuration says where they are.",
      mend: "Mend it and run doctor again."
    }
  ]
}

const widthOfPipe = 100
