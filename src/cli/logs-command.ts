/** `parley logs`: the log as a person reads it, from its files or from a pipe. */
import { createInterface } from "node:readline"
import type { Readable } from "node:stream"
import * as Console from "effect/Console"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Environment } from "./config-document.ts"
import { configFlags, written } from "./config-flags.ts"
import { loadConfig } from "./config-load.ts"
import { exitCodes } from "./exit-codes.ts"
import { logLevels, shownLine } from "./log-line.ts"
import { type LogPlace, lastLines, linesBehind } from "./log-tail.ts"
import { lookOf } from "./look.ts"
import { OperatorTrouble } from "./operator/operator-trouble.ts"

const linesMax = 10_000
const linesDefault = 50
const pollMs = 250
const codes = "Exit codes: 0 done; 1 there are no files; 2 not understood; 78 wrong configuration; 130 Ctrl-C."

type Take = (line: string) => string | undefined

export const logsCommand = (
  environment: Environment,
  interrupted: Effect.Effect<"SIGINT" | "SIGTERM">,
  stdin: Readable = process.stdin
) => {
  const flags = {
    ...{ config: configFlags.config, data: configFlags.data },
    follow: Flag.Boolean("follow").pipe(
      Flag.withAlias("f"),
      Flag.withDescription("Go on with what is written from now on, until Ctrl-C."),
      Flag.withDefault(false)
    ),
    lines: Flag.Int("lines").pipe(
      Flag.withMetavar("N"),
      Flag.withDescription(`How many of the last lines, up to ${linesMax}. Without it: ${linesDefault}.`),
      Flag.withDefault(linesDefault)
    ),
    level: Flag.Literals("level", logLevels).pipe(
      Flag.withDescription("Nothing below it. Without it: trace, which is everything."),
      Flag.withDefault("trace" as const)
    ),
    stdin: Flag.Boolean("stdin").pipe(
      Flag.withDescription("Read what another program passes on, instead of files."),
      Flag.withDefault(false)
    ),
    json: Flag.Boolean("json").pipe(Flag.withDescription("The lines as they are."), Flag.withDefault(false))
  }
  return Command.make("logs", flags, ({ follow, json, level, lines, stdin: isPiped, ...given }) =>
    Effect.gen(function* () {
      const { logs } = yield* loadConfig(environment, written(given))
      const look = lookOf(environment)
      const take: Take = (line) => (shownLine(line, level, look) === undefined ? undefined : line)
      const show: Take = json ? (line) => line : (line) => shownLine(line, level, look)
      const print = (some: ReadonlyArray<string>) =>
        some.length === 0 ? Effect.void : Console.log(some.map((line) => show(line) ?? "").join("\n"))
      if (isPiped) return yield* piped(stdin, take, print)
      if (logs.dir === undefined) return yield* noFiles
      if (lines < 0 || lines > linesMax) return yield* tooMany
      const { end, lines: last } = yield* read(logs.dir, (dir) => lastLines(dir, lines, take))
      yield* print(last)
      if (follow) yield* Effect.raceFirst(following(logs.dir, end, take, print), stopped(interrupted))
    })
  ).pipe(
    Command.withDescription(`The log as a person reads it, from the files in logs.dir or from a pipe. ${codes}`),
    Command.withShortDescription("The log as a person reads it."),
    Command.withExamples([
      { command: "parley logs -f", description: "The last lines, and what comes" },
      { command: "parley logs --level warn --lines 200", description: "What went wrong of late" },
      { command: "docker logs -f parley | parley logs --stdin", description: "From a container" }
    ])
  )
}

const noFiles = new OperatorTrouble({
  reason:
    "There are no log files: logs.dir is not set in parley.yaml. Set it, or pass the log on: parley start | parley logs --stdin",
  exitCode: exitCodes.trouble
})

const tooMany = new OperatorTrouble({
  reason: `--lines: expected a whole number from 0 to ${linesMax}.`,
  exitCode: exitCodes.usage
})

const read = <A>(dir: string, ask: (dir: string) => A): Effect.Effect<A, OperatorTrouble> =>
  Effect.fromResult(
    Result.try({
      try: () => ask(dir),
      catch: (error) =>
        new OperatorTrouble({ reason: `${dir} cannot be read: ${String(error)}`, exitCode: exitCodes.trouble })
    })
  )

const following = Effect.fnUntraced(function* (
  dir: string,
  from: LogPlace | undefined,
  take: Take,
  print: (lines: ReadonlyArray<string>) => Effect.Effect<void>
) {
  let place = from
  for (;;) {
    const { end, lines } = yield* read(dir, (of) => linesBehind(of, place))
    yield* print(lines.filter((line) => take(line) !== undefined))
    const isSame = end?.name === place?.name && end?.offset === place?.offset
    place = end
    if (isSame) yield* Effect.sleep(pollMs)
  }
})

const stopped = (interrupted: Effect.Effect<"SIGINT" | "SIGTERM">) =>
  Effect.flatMap(interrupted, (signal) => new OperatorTrouble({ reason: "", exitCode: exitCodes[signal] }))

/** Ends with the pipe. A reader that goes away ends what is before it. */
const piped = (input: Readable, take: Take, print: (lines: ReadonlyArray<string>) => Effect.Effect<void>) =>
  Stream.runForEach(
    Stream.fromAsyncIterable(createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY }), String),
    (line) => (take(line) === undefined ? Effect.void : print([line]))
  ).pipe(Effect.orDie)
