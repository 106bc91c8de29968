/**
 * The operator's commands against a server with 10,000 conversations and 1,000 dead letters.
 *
 *   node bench/commands.ts [--short]
 *
 * Each is run in this process, as `parley` runs it once it has started: from what was typed to what is printed.
 */
import { join } from "node:path"
import { parseArgs } from "node:util"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer } from "effect"
import { TestConsole } from "effect/testing"
import { runCommand } from "../src/cli/command.ts"
import { openCounterparts } from "./counterpart.ts"
import { atMost, type Figure, print, tableOf } from "./figures.ts"
import { nowMs } from "./load.ts"
import { printPlace, query } from "./place.ts"
import { counterpartsConfig, openFolder, openPostgres, startParley } from "./world.ts"

const { short } = parseArgs({ options: { short: { type: "boolean", default: false } } }).values
const repetitions = short ? 2 : 10
const conversations = 10_000
const letters = 1_000
const targetMs = 300

const commands = [
  ["status"],
  ["conversations", "list"],
  ["conversations", "list", "--limit", "500"],
  ["conversations", "list", "--open"],
  ["conversations", "list", "--dead", "--limit", "500"],
  ["inspect", "webhook/bench/5000"],
  ["deadletters", "list"],
  ["deadletters", "list", "--limit", "500"],
  ["deadletters", "show", "500"],
  ["forget", "webhook/bench/NEXT", "--yes"],
  ["deadletters", "discard", "--all", "--yes", "--conversation", "webhook/bench/NEXT"]
]

async function fill(url: string): Promise<void> {
  await query(
    url,
    `insert into conversation (id, account, machine, version, value, context, seq, message_seq, handled, timers, open,
        defects, at_ms)
      select 'webhook/bench/' || n, 'webhook/bench', 'conversation', 2, '"done"', '{"turn": 1}', 1, 2, 0, '[]', false, 0, n
      from generate_series(1, ${conversations}) n`
  )
  await query(
    url,
    `insert into message (conversation, seq, role, text, turn, at_ms)
      select 'webhook/bench/' || n, s, case s when 1 then 'user' else 'assistant' end, 'a text', 1, n
      from generate_series(1, ${conversations}) n, generate_series(1, 2) s`
  )
  await query(
    url,
    `insert into dead_letter (kind, conversation, reference, reason, at_ms)
      select 'turn', 'webhook/bench/' || n, '1', 'broken', n from generate_series(1, ${letters}) n`
  )
  await query(url, "analyze")
}

const nobody = () => Effect.die("nobody asked for it")

/** How long it takes, in milliseconds. It must end well. */
async function typed(port: number, words: ReadonlyArray<string>): Promise<number> {
  const others = { start: nobody, demo: nobody, doctor: nobody, interrupted: Effect.never }
  const run = Effect.gen(function* () {
    const environment = { PORT: String(port) }
    const code = yield* runCommand({ typed: [...words], environment, version: "bench", ...others })
    return { code, lines: [...(yield* TestConsole.logLines), ...(yield* TestConsole.errorLines)] }
  }).pipe(Effect.provide(Layer.fresh(TestConsole.layer)), Effect.provide(NodeServices.layer))
  const startMs = nowMs()
  const { code, lines } = await Effect.runPromise(run)
  if (code !== 0) throw new Error(`${words.join(" ")}: ${lines.join(" ")}`)
  return nowMs() - startMs
}

async function main(): Promise<void> {
  using folder = openFolder()
  await using postgres = await openPostgres(folder.path)
  using counterparts = await openCounterparts()
  const home = join(folder.path, "parley")
  await using parley = await startParley({
    folder: home,
    config: counterpartsConfig(counterparts.modelPort, counterparts.callbackPort),
    databaseUrl: postgres.url
  })
  await fill(postgres.url)
  await printPlace(
    `commands: ${repetitions} times each, ${conversations} conversations, ${letters} dead letters`,
    postgres.url
  )
  const seen = new Map<ReadonlyArray<string>, Array<number>>(commands.map((words) => [words, []]))
  for (let repetition = 0; repetition <= repetitions; repetition++) {
    for (const words of commands) {
      const ms = await typed(
        parley.port,
        words.map((word) => word.replace("NEXT", String(conversations - repetition)))
      )
      // The first one of each fills caches.
      if (repetition > 0) seen.get(words)!.push(ms)
    }
  }
  const figures: ReadonlyArray<Figure> = [...seen].map(([words, values]) => ({
    name: words.join(" "),
    unit: "ms",
    values,
    target: atMost(targetMs)
  }))
  print(tableOf(figures))
}

await main()
