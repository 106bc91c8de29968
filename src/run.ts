/** The command as a program: the only place where effects are run. */
import { readFileSync } from "node:fs"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import { runCommand, StartTrouble } from "./cli/command.ts"
import type { Config } from "./cli/config-schema.ts"
import { demo } from "./cli/demo.ts"
import { doctor, Unhealthy } from "./cli/doctor.ts"
import { layerLogging } from "./cli/logging.ts"
import { serve } from "./parley.ts"

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string }

/** The first SIGTERM or SIGINT drains; the second one ends the process at once. */
const stopped = Effect.callback<void>((resume) => {
  const stop = () => {
    process.once("SIGINT", () => process.exit(130))
    process.once("SIGTERM", () => process.exit(143))
    resume(Effect.void)
  }
  for (const signal of ["SIGINT", "SIGTERM"]) process.removeAllListeners(signal).once(signal, stop)
})

const logged = <A>(config: Config, effect: Effect.Effect<A, StartTrouble>) =>
  Effect.provide(effect, layerLogging({ debug: config.debug, dir: config.logs.dir })).pipe(
    Effect.catchTag("LogDirUnusable", ({ reason }) => Effect.fail(new StartTrouble({ reason })))
  )

const program = runCommand({
  typed: process.argv.slice(2),
  environment: process.env,
  version,
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
