/** `parley config`: whether the configuration is right, what it can say, and what it says. */
import * as Console from "effect/Console"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import type { ConfigError } from "./config.ts"
import type { Environment } from "./config-document.ts"
import { configFlags, written } from "./config-flags.ts"
import { loadSources } from "./config-load.ts"
import { configJsonSchema } from "./config-schema.ts"
import { settingsOf, settingsText } from "./config-settings.ts"
import { lookOf } from "./look.ts"

const codes = "Exit codes: 0 it is right; 2 not understood; 78 it is wrong."
const json = Flag.Boolean("json").pipe(Flag.withDescription("One JSON document."), Flag.withDefault(false))
const flags = { ...configFlags, json }

export const configCommand = (environment: Environment) =>
  Command.make("config").pipe(
    Command.withDescription("Whether the configuration is right, what it can say, and what it says."),
    Command.withExamples([
      { command: "parley config check", description: "Before a restart" },
      { command: "parley config show", description: "What counts, and where it was written" }
    ]),
    Command.withSubcommands([checkCommand(environment), showCommand(environment), schemaCommand])
  )

const checkCommand = (environment: Environment) =>
  Command.make("check", flags, ({ json, ...given }) =>
    Effect.gen(function* () {
      const sources = loadSources(environment, written(given))
      const { file } = yield* json ? Effect.tapError(sources, toldAsJson) : sources
      if (json)
        return yield* Console.log(JSON.stringify({ right: true, file: file ?? null, problems: [] }, undefined, 2))
      yield* Console.log(
        file === undefined ? "It is right; there is no file, so all is as by default." : `${file} is right.`
      )
    })
  ).pipe(
    Command.withDescription(`Check the file, the environment and the flags together. Nothing is started. ${codes}`),
    Command.withShortDescription("Whether a server would start with it."),
    Command.withExamples([
      { command: "parley config check", description: "Before a restart" },
      { command: "parley config check --config next.yaml", description: "One that is not used yet" }
    ])
  )

const toldAsJson = ({ problems }: ConfigError) =>
  Console.log(JSON.stringify({ right: false, file: null, problems }, undefined, 2))

const showCommand = (environment: Environment) =>
  Command.make("show", flags, ({ json, ...given }) =>
    Effect.gen(function* () {
      const settings = settingsOf(yield* loadSources(environment, written(given)))
      if (json) return yield* Console.log(JSON.stringify(settings, undefined, 2))
      yield* Console.log(settingsText(settings, lookOf(environment).width))
    })
  ).pipe(
    Command.withDescription(
      `Every setting with its value, and where that was written. Secrets are not shown. ${codes}`
    ),
    Command.withShortDescription("Every setting, and where its value comes from."),
    Command.withExamples([
      { command: "parley config show", description: "All of it" },
      {
        command: "PORT=9000 parley config show --json | jq '.[] | select(.from != \"default\")'",
        description: "What was set"
      }
    ])
  )

const schemaCommand = Command.make("schema", {}, () =>
  Console.log(JSON.stringify(configJsonSchema(), undefined, 2))
).pipe(
  Command.withDescription(`Print the JSON Schema of parley.yaml, for editors. ${codes}`),
  Command.withShortDescription("The JSON Schema of parley.yaml."),
  Command.withExamples([{ command: "parley config schema > parley.schema.json", description: "For an editor" }])
)
