/** The command as a program: the only place where effects are run. */
import { readFileSync } from "node:fs"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import { runCommand, StartTrouble } from "./cli/command.ts"
import type { Config } from "./cli/config-schema.ts"
import { demo } from "./cli/demo.ts"
import { doctor, Unhealthy } from "./cli/doctor.ts"
import { exitCodes } from "./cli/exit-codes.ts"
import { layerLogging } from "./cli/logging.ts"
import { serve } from "./parley.ts"

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string }

/** The first SIGTERM or SIGINT drains; the second one ends the process at once. */
const interrupted = Effect.callback<"SIGINT" | "SIGTERM">((resume) => {
  const stop = (signal: "SIGINT" | "SIGTERM") => {
    process.once("SIGINT", () => process.exit(exitCodes.SIGINT))
    process.once("SIGTERM", () => process.exit(exitCodes.SIGTERM))
    resume(Effect.succeed(signal))
  }
  for (const signal of ["SIGINT", "SIGTERM"]) process.removeAllListeners(signal).once(signal, stop)
})
const stopped = Effect.asVoid(interrupted)

const logged = <A>(config: Config, effect: Effect.Effect<A, StartTrouble>) =>
  Effect.provide(effect, layerLogging({ debug: config.debug, dir: config.logs.dir })).pipe(
    Effect.catchTag("LogDirUnusable", ({ reason }) => Effect.fail(new StartTrouble({ reason })))
  )

const program = runCommand({
  typed: process.argv.slice(2),
  environment: process.env,
  version,
  interrupted,
  start: (config) =>
    logged(config, serve({ config, stopped, ready: (address) => Effect.logInfo(`Parley is ready: ${address}`) })),
  demo: (given) =>
    logged(
      given,
      demo({ config: given, stopped, serve: (config, end, ready) => serve({ config, stopped: end, ready }) })
    ),
  // What it has started meanwhile is stopped.
  doctor: (asked) => Effect.raceFirst(doctor(asked), Effect.andThen(stopped, new Unhealthy()))
})

process.exit(await Effect.runPromise(Effect.provide(program, NodeServices.layer)))
