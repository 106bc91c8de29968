/**
 * How fast the built-in guide is, through Parley's own engine: alone, for 32 people at once, and until it is loaded.
 *
 *   node bench/guide.ts [--short]
 *
 * The floor is node-llama-cpp as its documentation shows it, on the same file with as many threads: a chat session a
 * person. Both are asked the same questions, and each starts its conversation anew, most of which Parley has read
 * before.
 */
import { availableParallelism } from "node:os"
import { parseArgs } from "node:util"
import { Effect, Scope, Stream } from "effect"
import { getLlama, LlamaChatSession } from "node-llama-cpp"
import { type LlamaEngine, openLlama } from "../src/inference/llama.ts"
import { builtIn } from "../src/inference/models.ts"
import { atLeast, atMost, type Figure, print, tableOf } from "./figures.ts"
import { printPlace } from "./place.ts"

const { short } = parseArgs({ options: { short: { type: "boolean", default: false } } }).values
const repetitions = short ? 1 : 5
const people = 32
const rounds = short ? 1 : 4
const threads = Math.max(1, availableParallelism() - 1)
const answerTokensMax = 160
const contextTokens = 1_024
const questions = [
  "What are the months of the year?",
  "How do I connect a webhook?",
  "What is 347 plus 285?",
  "Which channels are there?"
]

interface Speed {
  readonly tokensPerS: number
  readonly ms: number
}

async function timed(work: () => Promise<number>): Promise<Speed> {
  const startedMs = performance.now()
  const tokens = await work()
  const ms = performance.now() - startedMs
  return { tokensPerS: (tokens / ms) * 1_000, ms }
}

/** Answer tokens of so many people, each of whom asks `rounds` times the questions, one after the other. */
async function asked(people: number, answer: (question: string) => Promise<number>): Promise<number> {
  const one = async (person: number) => {
    let tokens = 0
    for (let nth = 0; nth < rounds * questions.length; nth++) {
      tokens += await answer(questions[(nth + person) % questions.length]!)
    }
    return tokens
  }
  const all = await Promise.all(Array.from({ length: people }, (_, person) => one(person)))
  return all.reduce((sum, tokens) => sum + tokens, 0)
}

async function parley(): Promise<{ readonly loadMs: number; readonly alone: Speed; readonly together: Speed }> {
  const scope = Effect.runSync(Scope.make())
  const startedMs = performance.now()
  const engine = await Effect.runPromise(
    Scope.provide(
      openLlama({
        name: "guide",
        file: builtIn.file,
        slotsMax: people,
        contextTokens,
        threads,
        progressMaxMs: 30_000,
        loadMaxMs: 30_000
      }),
      scope
    )
  )
  const loadMs = performance.now() - startedMs
  const answer = (question: string) => Effect.runPromise(answerOf(engine, question))
  await answer(questions[0]!)
  const alone = await timed(() => asked(1, answer))
  const together = await timed(() => asked(people, answer))
  await Effect.runPromise(Scope.close(scope, Effect.runSync(Effect.exit(Effect.void))))
  return { loadMs, alone, together }
}

const answerOf = Effect.fnUntraced(function* (engine: LlamaEngine, question: string) {
  const messages = [{ role: "user" as const, content: question }]
  const tokens = yield* Stream.runCollect(
    engine.generate({ id: "bench", user: "bench", messages, answerTokensMax, temperature: 0, stop: [] })
  )
  const end = tokens.at(-1)
  return end?.type === "finish" ? end.usage.answerTokens : 0
})

/** node-llama-cpp by itself. */
async function sessions(): Promise<{ readonly alone: Speed; readonly together: Speed }> {
  const llama = await getLlama({ gpu: false, build: "never" })
  await using model = await llama.loadModel({ modelPath: builtIn.file })
  const measured = async (people: number) => {
    await using context = await model.createContext({ contextSize: contextTokens, sequences: people, threads })
    const free = Array.from(
      { length: people },
      () => new LlamaChatSession({ contextSequence: context.getSequence(), systemPrompt: "" })
    )
    const answer = async (question: string) => {
      const session = free.pop()!
      session.resetChatHistory()
      let tokens = 0
      const onToken = (more: ReadonlyArray<unknown>) => {
        tokens += more.length
      }
      await session.prompt(question, { temperature: 0, maxTokens: answerTokensMax, onToken })
      free.push(session)
      return tokens
    }
    await answer(questions[0]!)
    return await timed(() => asked(people, answer))
  }
  return { alone: await measured(1), together: await measured(people) }
}

await printPlace(`guide: ${repetitions} repetitions, ${threads} thread(s)`)
const seen = { load: [], alone: [], together: [], aloneFloor: [], togetherFloor: [] } as Record<string, Array<number>>
for (let repetition = 0; repetition < repetitions; repetition++) {
  const ours = await parley()
  const theirs = await sessions()
  seen["load"]!.push(ours.loadMs)
  seen["alone"]!.push(ours.alone.tokensPerS)
  seen["together"]!.push(ours.together.tokensPerS)
  seen["aloneFloor"]!.push(theirs.alone.tokensPerS)
  seen["togetherFloor"]!.push(theirs.together.tokensPerS)
}
const lines: ReadonlyArray<Figure> = [
  { name: "from the spawn of its worker until it is warm", unit: "ms", values: seen["load"]!, target: atMost(300) },
  {
    name: "one person",
    unit: "tokens/s",
    values: seen["alone"]!,
    floor: seen["aloneFloor"]!,
    target: atLeast(500)
  },
  {
    name: `${people} people`,
    unit: "tokens/s",
    values: seen["together"]!,
    floor: seen["togetherFloor"]!,
    target: atLeast(1_500)
  }
]
print(tableOf(lines))
