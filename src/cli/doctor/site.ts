/** What is there before anything is checked: the configuration, the machine, and a server that may be running. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { DatabaseTrouble } from "../../store/database-trouble.ts"
import { type Peek, peek } from "../../store/embedded-peek.ts"
import type { Config } from "../config-schema.ts"
import { addressOf, bearerOf } from "../server-address.ts"
import { ask } from "../web-ask.ts"
import { type Machine, thisMachine } from "./machine.ts"

export interface Site {
  readonly config: Config
  readonly machine: Machine
  /** Of the data directory. */
  readonly found: Result.Result<Peek, DatabaseTrouble>
  /** Undefined when no Parley answers at the configured address. */
  readonly server: RunningServer | undefined
}

export interface RunningServer {
  readonly address: string
  /** It is the one that holds our data directory. */
  readonly isOurs: boolean
  readonly isReady: boolean
  /** What each part says of itself: "up", or why it is not; with another token only "starting" or "down". */
  readonly parts: Readonly<Record<string, string>>
  /** Undefined when it did not show them: the token is another. */
  readonly metrics: ReadonlyMap<string, number> | undefined
}

const Health = Schema.fromJsonString(
  Schema.Struct({ ready: Schema.Boolean, parts: Schema.Record(Schema.String, Schema.String) })
)

export const lookAround = Effect.fn("lookAround")(function* (config: Config): Effect.fn.Return<Site> {
  const found = yield* Effect.result(peek(config.dataDir))
  const holder = Result.isSuccess(found) ? found.success.holder : undefined
  const server = config.port === 0 ? undefined : yield* askServer(config, holder !== undefined)
  return { config, machine: thisMachine(), found, server }
})

/** With its own database a server has the lock of its data directory; with another one it has none. */
const askServer = Effect.fnUntraced(function* (
  config: Config,
  isHeld: boolean
): Effect.fn.Return<RunningServer | undefined> {
  const address = addressOf(config)
  const headers = bearerOf(config)
  const health = yield* Effect.option(ask(`${address}/health/ready`, { headers }))
  const report = Option.flatMap(health, ({ text }) => Schema.decodeUnknownOption(Health)(text))
  if (Option.isNone(report)) return undefined
  const metrics = yield* Effect.option(ask(`${address}/metrics`, { headers }))
  return {
    address,
    isOurs: isHeld || config.databaseUrl !== undefined,
    isReady: report.value.ready,
    parts: report.value.parts,
    metrics: Option.isSome(metrics) && metrics.value.status === 200 ? samplesOf(metrics.value.text) : undefined
  }
})

/** By name; labelled samples of a name are added up. */
function samplesOf(text: string): ReadonlyMap<string, number> {
  const samples = new Map<string, number>()
  for (const [, name, value] of text.matchAll(/^([a-z_]+)(?:\{[^}\n]*\})? (\S+)$/gm)) {
    samples.set(name!, (samples.get(name!) ?? 0) + Number(value))
  }
  return samples
}
