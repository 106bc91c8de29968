/**
 * The operator's commands against a server with 10,000 conversations and 1,000 dead letters.
 *
 *   node bench/commands.ts [--short]
 *
 * Each is a process of its own, as an operator types it. What it takes after its start-up is what it takes longer than
 * `parley --version`, which only starts.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { openCounterparts } from "./counterpart.ts"
import { atMost, type Figure, median, print, tableOf } from "./figures.ts"
import { nowMs } from "./load.ts"
import { printPlace, query, root } from "./place.ts"
import { counterpartsConfig, openFolder, openPostgres, startParley } from "./world.ts"

const { short } = parseArgs({ options: { short: { type: "boolean", default: false } } }).values
const repetitions = short ? 1 : 7
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
  ["deadletters", "discard", "--all", "--yes", "--conversation", "webhook/bench/7"]
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

/** From its spawning until it has ended, and what it printed, in bytes. */
async function typed(cwd: string, port: number, words: ReadonlyArray<string>) {
  const startMs = nowMs()
  const child = spawn(process.execPath, [join(root, "src/main.ts"), ...words], {
    cwd,
    env: { PATH: process.env["PATH"], PORT: String(port) },
    stdio: ["ignore", "pipe", "inherit"]
  })
  let bytes = 0
  child.stdout.on("data", (chunk: Buffer) => {
    bytes += chunk.length
  })
  await once(child, "close")
  return { ms: nowMs() - startMs, bytes }
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
  const starts: Array<number> = []
  const seen = new Map<ReadonlyArray<string>, Array<number>>(commands.map((words) => [words, []]))
  for (let repetition = 0; repetition <= repetitions; repetition++) {
    const start = await typed(home, parley.port, ["--version"])
    // The first one of each fills caches.
    if (repetition > 0) starts.push(start.ms)
    for (const words of commands) {
      const one = words.map((word) => word.replace("NEXT", String(conversations - repetition)))
      const { ms } = await typed(home, parley.port, one)
      if (repetition > 0) seen.get(words)!.push(ms - start.ms)
    }
  }
  const figures: ReadonlyArray<Figure> = [...seen].map(([words, values]) => ({
    name: words.join(" "),
    unit: "ms",
    values,
    target: atMost(targetMs)
  }))
  print(tableOf(figures))
  print(`\nstart-up alone (parley --version): ${Math.round(median(starts))} ms`)
}

await main()
