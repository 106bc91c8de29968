/** OpenAI's API with the model that Parley brings along, in its worker process. */
import { it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import OpenAI from "openai"
import { expect } from "vitest"
import { openLlama } from "../../src/inference/llama.ts"
import { builtIn as guide } from "../../src/inference/models.ts"
import { exposed } from "../unit/exposition.ts"
import { endOf, file, textOf as textOfTokens } from "./llama-harness.ts"
import { emptyDir } from "./main-process.ts"
import { signalWorkers } from "./model-workers.ts"
import { failing, open, saying, textOf, untilLoad } from "./v1-bench.ts"

const builtIn = guide.name
const { contextTokens } = guide
const asking = (text: string) => saying(text, builtIn)
/** A model that nobody can foresee, and that talks on: the guide is brief. */
const random = "random"
const talking = (text: string) => saying(text, random)
const talker = (answerTokensMax: number) => `limits: { answerTokensMax: ${answerTokensMax} }
models: [{ name: ${random}, engine: llama, file: "${file}", slots: 4, contextTokens: ${contextTokens} }]
`

it.live("an answer is the engine's own, counted as the engine counts, and the same for the same seed", () =>
  Effect.gen(function* () {
    const dir = emptyDir()
    const { client } = yield* open("limits: { answerTokensMax: 100 }", dir)
    const limits = { contextTokens, slotsMax: 1, progressMaxMs: 20_000, loadMaxMs: 20_000 }
    yield* Effect.promise(() => client.chat.completions.create(asking("warm")))
    const engine = yield* openLlama({ name: "same", file: guide.file, ...limits })
    const messages = [
      { role: "system" as const, content: "You answer." },
      { role: "user" as const, content: "Grüß dich, 漢字 🙂!" }
    ]
    for (const sampling of [
      { temperature: 0 },
      { temperature: 1, seed: 5 },
      { temperature: 1.5, top_p: 0.5, seed: 6 }
    ]) {
      const { top_p, ...others } = sampling as { temperature: number; seed?: number; top_p?: number }
      const wanted = { ...others, ...(top_p !== undefined && { topP: top_p }) }
      const request = { id: "1", user: "ann", messages, answerTokensMax: 60, stop: [], ...wanted }
      const tokens = yield* Stream.runCollect(engine.generate(request))
      const { reason, usage } = endOf(tokens)
      yield* Effect.promise(async () => {
        const body = { model: builtIn, messages, max_tokens: 60, ...sampling }
        for (const time of [1, 2]) {
          const answer = await client.chat.completions.create(body)
          expect(answer.choices[0]).toMatchObject({ finish_reason: reason, message: { content: textOfTokens(tokens) } })
          expect(answer.usage).toMatchObject({
            prompt_tokens: usage.promptTokens,
            completion_tokens: usage.answerTokens,
            total_tokens: usage.promptTokens + usage.answerTokens
          })
          const { cached_tokens: cached } = answer.usage?.prompt_tokens_details ?? {}
          expect(cached).toBe(
            time === 1 && "temperature" in sampling && sampling.temperature === 0 ? 0 : usage.promptTokens - 1
          )
        }
        expect(await textOf(await client.chat.completions.create({ ...body, stream: true }))).toBe(textOfTokens(tokens))
      })
    }
  })
)

it.live("/metrics has what of the prompts was found, where, and what the caches hold", () =>
  Effect.gen(function* () {
    const { address, client } = yield* open("limits: { answerTokensMax: 20 }")
    yield* Effect.promise(async () => {
      const say = async (content: string) => {
        const messages = [{ role: "system" as const, content: "Answer in one word. ".repeat(8) }]
        const body = { model: builtIn, messages: [...messages, { role: "user" as const, content }], temperature: 0 }
        const { prompt_tokens: prompt, prompt_tokens_details: details } = (await client.chat.completions.create(body))
          .usage!
        return { prompt, cached: details!.cached_tokens! }
      }
      // Each goes on in what the one before left, whose own end has to be copied first.
      const all = [await say("One?"), await say("Two?"), await say("One?")]
      expect(all[0]!.cached).toBe(0)
      for (const { cached, prompt } of all.slice(1)) expect(cached).toBeGreaterThan(prompt / 2)
      const read = all.reduce((sum, { cached, prompt }) => sum + prompt - cached, 0)
      const found = all.reduce((sum, { cached }) => sum + cached, 0)
      const samples = await samplesOf(address)
      const value = (name: string, label: string) => samples.get(`${name}{model="${builtIn}",${label}}`)!
      expect(value("parley_prompt_tokens_total", 'from="read"')).toBe(read)
      const places = ["sequence", "copy"].map((place) => value("parley_prompt_tokens_total", `from="${place}"`))
      expect(places[0]! + places[1]!).toBe(found)
      expect(places[0]).toBeGreaterThan(0)
      const prompts = ["sequence", "copy", "nowhere"].map((place) => value("parley_prompts_total", `found="${place}"`))
      expect(prompts[0]! + prompts[1]!).toBe(2)
      expect(prompts[2]).toBe(1)
      expect(value("parley_kv_tokens", 'state="used"')).toBe(0)
      expect(value("parley_kv_tokens", 'state="reserved"')).toBe(0)
      expect(value("parley_kv_tokens", 'state="held"')).toBeGreaterThan(read)
      expect(samples.get(`parley_kv_copies{model="${builtIn}"}`)).toBeGreaterThan(0)
      expect(samples.get(`parley_kv_copy_bytes{model="${builtIn}"}`)).toBeGreaterThan(0)
    })
  })
)

async function samplesOf(address: string): Promise<ReadonlyMap<string, number>> {
  const text = await (await fetch(`${address}/metrics`)).text()
  expect(exposed(text)).toEqual([])
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"))
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.split(" ").at(-1))]))
}

it.live("top_p narrows what is sampled, stop ends an answer, and its length is what was asked for", () =>
  Effect.gen(function* () {
    const { client } = yield* open(talker(40))
    const say = async (more: object) =>
      (await client.chat.completions.create({ ...talking("Go on."), ...more })).choices[0]!
    yield* Effect.promise(async () => {
      const greedy = await say({ temperature: 0, max_tokens: 20 })
      expect(greedy.finish_reason).toBe("length")
      expect(await say({ temperature: 2, top_p: 1e-9, max_tokens: 20 })).toEqual(greedy)
      expect(await say({ temperature: 2, top_p: 1, seed: 1, max_tokens: 20 })).not.toEqual(greedy)
      const text = greedy.message.content!
      const stop = text.slice(5, 8)
      const cut = await say({ temperature: 0, max_tokens: 20, stop })
      expect(cut).toMatchObject({ finish_reason: "stop", message: { content: text.slice(0, text.indexOf(stop)) } })
      const { usage } = await client.chat.completions.create({ ...talking("Go on."), max_tokens: 5, temperature: 0 })
      expect(usage?.completion_tokens).toBe(5)
    })
  })
)

it.live("a conversation that does not fit is refused with its counts, and nothing is dropped from it", () =>
  Effect.gen(function* () {
    const { client } = yield* open("limits: { answerTokensMax: 24 }")
    const turns = (count: number) =>
      Array.from({ length: count }, (_, n) => [
        { role: "user" as const, content: `What is the number after ${n}?` },
        { role: "assistant" as const, content: `It is ${n + 1}.` }
      ]).flat()
    const say = (count: number) => client.chat.completions.create({ model: builtIn, messages: turns(count), seed: 1 })
    yield* Effect.promise(async () => {
      const perTurn = (await say(11)).usage!.prompt_tokens - (await say(10)).usage!.prompt_tokens
      const fitting = Math.floor((contextTokens - 24) / (perTurn + 2))
      expect((await say(fitting)).usage!.prompt_tokens).toBeGreaterThan(fitting * (perTurn - 3))
      for (const stream of [false, true]) {
        const long = await failing(
          client.chat.completions.create({ model: builtIn, messages: turns(fitting * 2), stream })
        )
        expect(long).toBeInstanceOf(OpenAI.BadRequestError)
        expect(long).toMatchObject({ code: "context_length_exceeded", param: "messages" })
        const [tokensMax, tokens] = [...(long as Error).message.matchAll(/(\d+) tokens/g)].map(([, n]) => Number(n))
        expect(tokensMax).toBe(contextTokens - 24)
        expect(tokens).toBeGreaterThan(fitting * 2 * (perTurn - 3))
      }
    })
  })
)

it.live("a worker that is killed ends a stream with an error, and a whole answer is begun again", () =>
  Effect.gen(function* () {
    const dir = emptyDir()
    const server = yield* open(talker(500), dir)
    const { completions } = server.client.chat
    yield* Effect.promise(async () => {
      const long = await seedOfLong(server.client)
      const cut = await cutShort(server.client, dir, long)
      expect(cut.error).toMatchObject({ code: "model_lost" })
      expect(long.text.startsWith(cut.text)).toBe(true)
      // Until an answer came again: one that is asked while the worker is away is not waited for as long.
      await completions.create({ ...talking("Talk."), max_tokens: 1 }, { maxRetries: 10 })
      signalWorkers(dir, "SIGSTOP")
      const whole = completions.create({ ...talking("Talk."), seed: long.seed })
      await untilLoad(server, 1, 0)
      signalWorkers(dir, "SIGKILL")
      expect((await whole).choices[0]?.message.content).toBe(long.text)
      signalWorkers(dir, "SIGKILL")
      // A busy machine may take longer to start a worker than a request waits.
      const begun = await completions.create({ ...talking("Talk."), seed: long.seed, stream: true }, { maxRetries: 10 })
      expect(await textOf(begun)).toBe(long.text)
      await untilLoad(server, 0, 0)
    })
  })
)

/** An answer that takes its time. */
async function seedOfLong({ chat }: OpenAI): Promise<{ readonly seed: number; readonly text: string }> {
  for (let seed = 1; seed < 100; seed++) {
    const { choices, usage } = await chat.completions.create({ ...talking("Talk."), seed })
    if ((usage?.completion_tokens ?? 0) >= 400) return { seed, text: choices[0]?.message.content ?? "" }
  }
  throw new Error("no answer is long")
}

/** Kills the worker as soon as there is a text; on a busy machine the answer may be over by then. */
async function cutShort({ chat }: OpenAI, dir: string, { seed }: { readonly seed: number }) {
  for (;;) {
    const streamed = await chat.completions.create({ ...talking("Talk."), seed, stream: true })
    let text = ""
    try {
      for await (const { choices } of streamed) {
        const isFirst = text === ""
        text += choices[0]?.delta.content ?? ""
        if (isFirst && text !== "") signalWorkers(dir, "SIGKILL")
      }
    } catch (error) {
      return { error, text }
    }
  }
}
