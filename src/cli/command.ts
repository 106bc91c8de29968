/** The `parley` command: what was typed, what is printed, and the exit code. */
import * as Console from "effect/Console"
import * as Argument from "effect/cli/Argument"
import * as CliConfig from "effect/cli/CliConfig"
import type { CliError } from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { completionCommand } from "./completion-command.ts"
import type { ConfigError } from "./config.ts"
import { configCommand } from "./config-command.ts"
import type { Environment } from "./config-document.ts"
import { configFlags, written } from "./config-flags.ts"
import { loadConfig } from "./config-load.ts"
import type { Config } from "./config-schema.ts"
import { deadlettersCommand } from "./deadletters-command.ts"
import type { DoctorOptions, Unhealthy } from "./doctor.ts"
import { exitCodes } from "./exit-codes.ts"
import { logsCommand } from "./logs-command.ts"
import type { ModelTrouble } from "./models/model-trouble.ts"
import { modelsCommand } from "./models-command.ts"
import type { OperatorTrouble } from "./operator/operator-trouble.ts"
import { conversationsCommand, forgetCommand, inspectCommand, statusCommand } from "./operator-commands.ts"

/** The server cannot start, for a reason outside of its code: `reason` says what, where, and the mend. */
export class StartTrouble extends Data.TaggedError("StartTrouble")<{
  readonly reason: string
  readonly exitCode?: number
}> {}

export interface CommandOptions<R> {
  /** What was typed after `parley`. */
  readonly typed: ReadonlyArray<string>
  readonly environment: Environment
  readonly version: string
  /** Runs the server until it is told to stop. */
  readonly start: (config: Config) => Effect.Effect<void, StartTrouble, R>
  /** Runs a server that talks to this terminal. */
  readonly demo: (config: Config) => Effect.Effect<void, StartTrouble, R>
  /** Prints what is wrong, and how it is mended. */
  readonly doctor: (options: DoctorOptions) => Effect.Effect<void, Unhealthy, R>
  /** Completes at the first SIGINT or SIGTERM. */
  readonly interrupted: Effect.Effect<"SIGINT" | "SIGTERM">
}

/** Runs what was typed and gives the exit code. Answers are on stdout, what is wrong is on stderr, without a stack. */
export const runCommand = <R>(options: CommandOptions<R>): Effect.Effect<number, never, R | Command.Environment> => {
  const run: (typed: ReadonlyArray<string>) => Effect.Effect<void, Failure, R | Command.Environment> = Command.runWith(
    parley(options, (typed) => run(typed)),
    { version: options.version }
  )
  return run(options.typed).pipe(
    Effect.as(exitCodes.ok),
    Effect.catch(explain),
    Effect.provideService(CliConfig.CliConfig, { builtIns: [GlobalFlag.Help, GlobalFlag.Version] }),
    Effect.provideService(CliOutput.Presenter, presenter)
  )
}

type Failure = CliError | ConfigError | StartTrouble | ModelTrouble | OperatorTrouble | Unhealthy

function parley<R>(
  options: CommandOptions<R>,
  run: (typed: ReadonlyArray<string>) => Effect.Effect<void, Failure, R | Command.Environment>
) {
  const { doctor, environment, interrupted, version: ours } = options
  const json = Flag.Boolean("json").pipe(Flag.withDescription("One JSON document."), Flag.withDefault(false))
  const doctorCommand = Command.make("doctor", { ...configFlags, json }, ({ json: isJson, ...given }) =>
    doctor({ environment, flags: written(given), version: ours, isJson })
  ).pipe(Command.withDescription("Check everything, and say how to mend what is wrong. Exit code 1: there is trouble."))
  const topic = Argument.String("command").pipe(Argument.variadic())
  const help = Command.make("help", { topic }, (given) => run([...given.topic, "--help"])).pipe(
    Command.withDescription("Say how parley, or one of its commands, is used.")
  )
  const version = Command.make("version", {}, () => run(["--version"])).pipe(
    Command.withDescription("Print the version.")
  )
  const others = [
    ...serverCommands(options),
    statusCommand(environment),
    conversationsCommand(environment),
    inspectCommand(environment),
    deadlettersCommand(environment),
    forgetCommand(environment),
    modelsCommand(environment, interrupted),
    configCommand(environment),
    logsCommand(environment, interrupted),
    doctorCommand,
    help,
    version
  ] as const
  const bare = Command.make("parley")
  // Twice, so that it completes its own name as well.
  const within = completionCommand(() => bare.pipe(Command.withSubcommands(others)))
  const completion = completionCommand(() => bare.pipe(Command.withSubcommands([...others, within])))
  return bare.pipe(
    Command.withDescription("A self-hosted assistant: people write, a model on this machine answers."),
    Command.withExamples([{ command: "parley start", description: "Web chat and API at http://127.0.0.1:8080" }]),
    Command.withSubcommands([...others, completion])
  )
}

function serverCommands<R>({ demo, environment, start }: CommandOptions<R>) {
  const startCommand = Command.make("start", configFlags, (given) =>
    Effect.flatMap(loadConfig(environment, written(given)), start)
  ).pipe(
    Command.withDescription("Run the server until it is told to stop (Ctrl-C, SIGTERM)."),
    Command.withExamples([
      { command: "parley start", description: "Web chat and API at http://127.0.0.1:8080" },
      {
        command: "parley start --port 9000 --data /var/lib/parley",
        description: "Another port, another data directory"
      },
      { command: "HOST=0.0.0.0 PARLEY_TOKEN=… parley start", description: "Open to other machines" }
    ])
  )
  const demoCommand = Command.make("demo", configFlags, (given) =>
    Effect.flatMap(loadConfig(environment, written(given)), demo)
  ).pipe(
    Command.withDescription("Try it here: a server with an account of its own, and this terminal as the messenger."),
    Command.withExamples([
      { command: "parley demo", description: "Write, and be answered" },
      { command: "PARLEY_MODEL=model.gguf parley demo", description: "By a model of yours" }
    ])
  )
  return [startCommand, demoCommand] as const
}

/** Help that was not asked for would push the one line that matters off the screen. */
const presenter: CliOutput.Presenter = {
  present: (event) => {
    if (event._tag !== "InvalidInvocation") return CliOutput.defaultPresenter.present(event)
    const lines = event.errors.map(({ message }) => message.replace(/\s*\n\s*/g, " "))
    return Console.error([...lines, `See: ${event.commandPath.join(" ")} --help`].join("\n"))
  }
}

function explain(failure: Failure): Effect.Effect<number> {
  switch (failure._tag) {
    case "ConfigError": {
      const lines = failure.problems.map((problem) => `  ${problem}`)
      return Effect.as(
        Console.error(["parley cannot start with this configuration:", ...lines].join("\n")),
        exitCodes.config
      )
    }
    case "StartTrouble":
      return Effect.as(Console.error(`parley cannot start: ${failure.reason}`), failure.exitCode ?? exitCodes.trouble)
    case "Unhealthy":
      return Effect.succeed(exitCodes.trouble)
    case "ModelTrouble":
      return Effect.as(Console.error(`parley models: ${failure.reason}`), failure.exitCode ?? exitCodes.trouble)
    case "OperatorTrouble":
      return Effect.as(failure.reason === "" ? Effect.void : Console.error(failure.reason), failure.exitCode)
    default:
      // The presenter has said it.
      return Effect.succeed(exitCodes.usage)
  }
}
