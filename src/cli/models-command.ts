/** `parley models`: which models there are, getting one, and using one. */
import * as Console from "effect/Console"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { Environment } from "./config-document.ts"
import { configFlags, written } from "./config-flags.ts"
import { loadConfig } from "./config-load.ts"
import { exitCodes } from "./exit-codes.ts"
import { ModelTrouble } from "./models/model-trouble.ts"
import { makeProgress, type Screen } from "./models/progress.ts"
import { pull } from "./models/pull.ts"
import { addressProblem } from "./models/reference.ts"
import { shelf } from "./models/shelf.ts"
import { shelfTable } from "./models/shelf-table.ts"
import { type Used, useModel } from "./models/use.ts"
import type { Hub } from "./models/web-get.ts"
import { bytesText, durationText } from "./quantity.ts"

type Interrupted = Effect.Effect<"SIGINT" | "SIGTERM">

const flags = { config: configFlags.config, data: configFlags.data }
const codes = "Exit codes: 0 done; 1 it failed, and said why; 2 not understood; 78 wrong configuration; 130 Ctrl-C."

export const modelsCommand = (environment: Environment, interrupted: Interrupted) =>
  Command.make("models").pipe(
    Command.withDescription(`Which models there are, getting one, and using one.\n${codes}`),
    Command.withShortDescription("Which models there are, getting one, and using one."),
    Command.withExamples([
      { command: "parley models list", description: "What is here, and what is in use" },
      { command: "parley models pull hf:user/repo:Q4_K_M", description: "Get one from Hugging Face" },
      { command: "parley models use NAME", description: "Try it, and use it from the next start on" }
    ]),
    Command.withSubcommands([
      listCommand(environment),
      pullCommand(environment, interrupted),
      useCommand(environment, interrupted)
    ])
  )

const listCommand = (environment: Environment) =>
  Command.make(
    "list",
    {
      ...flags,
      json: Flag.Boolean("json").pipe(Flag.withDescription("As JSON, with all that is known."), Flag.withDefault(false))
    },
    ({ json, ...given }) =>
      Effect.gen(function* () {
        const models = yield* shelf(yield* loadConfig(environment, written(given)))
        if (json) return yield* Console.log(JSON.stringify(models, undefined, 2))
        yield* Console.log(shelfTable(models, process.stdout.columns ?? Number.POSITIVE_INFINITY))
        yield* warnOfVariable(environment)
      })
  ).pipe(
    Command.withDescription(
      "The built-in model, those of the configuration and those that were pulled; `*` marks the one in use. " +
        "PARAMETERS and CONTEXT are what the file says of itself: the server gives each slot `contextTokens` of it."
    ),
    Command.withShortDescription("The models that are here."),
    Command.withExamples([
      { command: "parley models list", description: "A table" },
      { command: "parley models list --json", description: "For programs" }
    ])
  )

const pullCommand = (environment: Environment, interrupted: Interrupted) =>
  Command.make(
    "pull",
    {
      ...flags,
      sha256: Flag.String("sha256").pipe(
        Flag.withMetavar("SUM"),
        Flag.withDescription("The SHA-256 sum that the file must have. The hub says it for its own files."),
        Flag.optional
      ),
      model: Argument.String("model").pipe(
        Argument.withMetavar("MODEL"),
        Argument.withDescription("hf:user/repo:QUANT, hf:user/repo:FILE, or the https address of a GGUF file.")
      )
    },
    ({ model, sha256, ...given }) =>
      Effect.gen(function* () {
        const { dataDir } = yield* loadConfig(environment, written(given))
        const hub = yield* hubOf(environment)
        const progress = makeProgress(stderrScreen)
        const pulled = yield* pull({
          reference: model,
          sha256: Option.getOrUndefined(sha256),
          dataDir,
          hub,
          watcher: progress
        }).pipe(
          Effect.raceFirst(stoppedBy(interrupted, () => keptText(progress.doneBytes()))),
          Effect.ensuring(progress.end)
        )
        const { file, record, wasHere } = pulled
        const done = wasHere ? "It is here already, and the same as there" : "Done"
        yield* Console.log(`${done}: ${file}, ${bytesText(record.sizeBytes)}, SHA-256 ${record.sha256}`)
        yield* Console.log(`To use it: parley models use ${file.split("/").at(-1)}`)
      })
  ).pipe(
    Command.withDescription(
      "Fetch a model into the folder `models` of the data directory. What was stopped goes on where it was when the " +
        "same is typed again. HF_TOKEN opens models that want a login; HF_ENDPOINT is the address of another hub.\n" +
        codes
    ),
    Command.withShortDescription("Fetch a model."),
    Command.withExamples([
      { command: "parley models pull hf:user/repo:Q4_K_M", description: "The Q4_K_M file of a repository" },
      { command: "parley models pull hf:user/repo", description: "Its only file; else it says what there is" },
      { command: "parley models pull https://example.org/model.gguf --sha256 SUM", description: "From anywhere" }
    ])
  )

const useCommand = (environment: Environment, interrupted: Interrupted) =>
  Command.make(
    "use",
    {
      ...flags,
      model: Argument.String("model").pipe(
        Argument.withMetavar("MODEL"),
        Argument.withDescription("A name of `parley models list`, the path of a GGUF file, or built-in.")
      )
    },
    ({ model, ...given }) =>
      Effect.gen(function* () {
        const loading = (what: string) => Effect.sync(() => stderrScreen.write(`Loading ${what} …\n`))
        const used = yield* useModel({ model, environment, flags: written(given), loading }).pipe(
          Effect.raceFirst(stoppedBy(interrupted, () => "Stopped. Nothing was changed."))
        )
        yield* Console.log(usedText(used))
        yield* warnOfVariable(environment)
      })
  ).pipe(
    Command.withDescription(
      "Load a model, let it answer a sentence, and only then write it into the configuration file, as the first of " +
        `\`models\`. The rest of the file stays as it is. The server uses it from its next start on.\n${codes}`
    ),
    Command.withShortDescription("Try a model, and use it from the next start on."),
    Command.withExamples([
      { command: "parley models use my-model-Q4_K_M", description: "One that was pulled" },
      { command: "parley models use ../weights/mine.gguf", description: "A file anywhere" },
      { command: "parley models use built-in", description: "Back to the model that comes with Parley" }
    ])
  )

const stoppedBy = (interrupted: Interrupted, words: () => string) =>
  Effect.flatMap(interrupted, (signal) =>
    Effect.fail(new ModelTrouble({ reason: words(), exitCode: exitCodes[signal] }))
  )

const keptText = (doneBytes: number) =>
  doneBytes === 0
    ? "Stopped before anything came."
    : `Stopped. What has come is kept, ${bytesText(doneBytes)}: type the same again to go on.`

const stderrScreen: Screen = {
  isTerminal: process.stderr.isTTY === true,
  columns: () => process.stderr.columns ?? 80,
  write: (text) => void process.stderr.write(text)
}

const defaultHub = "https://huggingface.co"

/** HF_ENDPOINT and HF_TOKEN are the variables of the hub's own tools. */
const hubOf = Effect.fnUntraced(function* (environment: Environment): Effect.fn.Return<Hub, ModelTrouble> {
  const url = URL.parse(environment["HF_ENDPOINT"] || defaultHub)
  const token = (environment["HF_TOKEN"] ?? "").trim()
  const problem = url === null ? "it is no address" : addressProblem(url)
  if (url === null || problem !== undefined) {
    return yield* new ModelTrouble({ reason: `HF_ENDPOINT cannot be used: ${problem}.`, exitCode: exitCodes.config })
  }
  if (!/^[\x21-\x7e]*$/.test(token)) {
    const reason = "HF_TOKEN cannot be used: there are characters in it that no token has."
    return yield* new ModelTrouble({ reason, exitCode: exitCodes.config })
  }
  return { url, token: token === "" ? undefined : Redacted.make(token) }
})

function usedText({ configPath, file, trial }: Used): string {
  const { answer, answerMs, answerTokens, loadMs, question } = trial
  const shown = answer.trim().replace(/\s+/g, " ").replace(/\p{C}/gu, "?")
  return [
    `Asked:    ${question}`,
    `Answered: ${shown}`,
    `          (loaded in ${durationText(loadMs)}; ${answerTokens} tokens in ${durationText(answerMs)})`,
    `${configPath} names ${file ?? "no model, so the built-in one answers"}. A server that runs takes it when it is started again.`
  ].join("\n")
}

const warnOfVariable = (environment: Environment) =>
  (environment["PARLEY_MODEL"] ?? "") === ""
    ? Effect.void
    : Console.error("PARLEY_MODEL is set here, and counts instead of the file: unset it for the file to count.")
