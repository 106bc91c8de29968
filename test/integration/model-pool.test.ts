/** Several models behind one server, each a file in a worker process of its own. */
import { readFileSync, realpathSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as wait } from "node:timers/promises"
import { it } from "@effect/vitest"
import { Effect } from "effect"
import OpenAI from "openai"
import { expect } from "vitest"
import { builtIn } from "../../src/inference/models.ts"
import { processesIn } from "../../src/store/process-identity.ts"
import { openCallbackServer } from "./callback-server.ts"
import { file as random } from "./llama-harness.ts"
import { emptyDir } from "./main-process.ts"
import { makeSender } from "./sender.ts"
import { failing, open, saying, textOf, type V1 } from "./v1-bench.ts"
import { secret } from "./webhook-bench.ts"

const guide = builtIn.file
const small = "slots: 2, contextTokens: 256"
const two = (ofFirst = "", ofSecond = "") => `
models:
  - { name: guide, engine: llama, file: "${guide}", sampling: { temperature: 0 }, ${small} ${ofFirst} }
  - { name: talker, engine: llama, file: "${random}", ${small} ${ofSecond} }
`
/** What each of these models is estimated to take: either fits into it, and not both. */
const onlyOne = "limits: { modelsMemory: 250MiB, answerTokensMax: 48 }\n"

interface ModelHealth {
  readonly name: string
  readonly state: string
  readonly why?: string
  readonly memoryBytes: number
  readonly loads: number
  readonly deaths: number
}

const healthOf = async ({ address }: V1) => {
  const answer = await fetch(`${address}/health/ready`)
  const report = (await answer.json()) as { ready: boolean; parts: Record<string, string>; models: Array<ModelHealth> }
  return { ...report, status: answer.status, of: (name: string) => report.models.find((one) => one.name === name)! }
}
const untilState = (server: V1, name: string, state: string) =>
  expect.poll(async () => (await healthOf(server)).of(name).state, { timeout: 120_000, interval: 20 }).toBe(state)

const workersIn = (dir: string) =>
  processesIn(realpathSync(dir)).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("worker/main.ts")
    } catch {
      return false // it ended
    }
  })

const completed = async ({ client }: V1, model: string, content = "What is 47 plus 85?") => {
  const { choices } = await client.chat.completions.create({ ...saying(content, model), seed: 1 })
  return choices[0]!.message.content
}

/** Each load is a process, which a busy machine may take long over. */
const testMaxMs = 600_000

it.live(
  "all models are listed and answer by their names; one that is not there is 404, naming those that are",
  () =>
    Effect.gen(function* () {
      const dir = emptyDir()
      const server = yield* open(`limits: { answerTokensMax: 48 }${two()}`, dir)
      yield* Effect.promise(async () => {
        const listed = (await server.client.models.list()).data
        expect(listed.map(({ id }) => id)).toEqual(["guide", "talker"])
        expect(await server.client.models.retrieve("talker")).toEqual(listed[1])
        await untilState(server, "guide", "ready")
        expect((await healthOf(server)).of("talker")).toMatchObject({ state: "cold", loads: 0 })
        expect(workersIn(dir)).toHaveLength(1)
        const sum = await completed(server, "guide")
        expect(sum).toContain("132")
        expect(await completed(server, "talker")).not.toContain("132")
        const stream = await server.client.chat.completions.create({
          ...saying("What is 47 plus 85?", "guide"),
          stream: true
        })
        expect(await textOf(stream)).toBe(sum)
        expect(workersIn(dir)).toHaveLength(2)
        const unknown = await failing(completed(server, "other"))
        expect(unknown).toBeInstanceOf(OpenAI.NotFoundError)
        expect(unknown).toMatchObject({ status: 404, code: "model_not_found", param: "model" })
        expect(String(unknown)).toContain("guide, talker")
        const metrics = await (await fetch(`${server.address}/metrics`)).text()
        for (const sample of [
          'parley_model_state{model="talker",state="ready"} 1',
          'parley_model_loads_total{model="talker"} 1',
          'parley_turns_ended_total{model="guide",end="done"} 2'
        ]) {
          expect(metrics).toContain(`${sample}\n`)
        }
      })
    }),
  testMaxMs
)

it.live(
  "where only one fits they swap: nothing is lost or spliced, and never are two in memory",
  () =>
    Effect.gen(function* () {
      const dir = emptyDir()
      const server = yield* open(onlyOne + two("", ", keepAlive: 1s"), dir)
      yield* Effect.promise(async () => {
        const names = ["guide", "talker"]
        const alone = { guide: await completed(server, "guide"), talker: await completed(server, "talker") }
        let isOver = false
        const most = mostWorkersIn(dir, () => isOver)
        const asked = Array.from({ length: 12 }, (_, n) => names[n % 2]!)
        const streamed = await Promise.all(
          asked.map(async (model) => {
            const body = { ...saying("What is 47 plus 85?", model), seed: 1, stream: true as const }
            return [model, await textOf(await server.client.chat.completions.create(body))]
          })
        )
        expect(streamed).toEqual(asked.map((model) => [model, alone[model as "guide" | "talker"]]))
        // Its keep-alive ends, and the one that is kept for ever comes back.
        await untilState(server, "talker", "cold")
        await untilState(server, "guide", "ready")
        isOver = true
        expect(await most).toBe(1)
        const { of, ready } = await healthOf(server)
        expect([ready, of("guide").deaths, of("talker").deaths]).toEqual([true, 0, 0])
        expect(of("guide").loads).toBeGreaterThanOrEqual(2)
        expect(await completed(server, "talker")).toBe(alone.talker)
      })
    }),
  testMaxMs
)

it.live(
  "a channel is answered by the model that it names",
  () =>
    Effect.gen(function* () {
      const callback = yield* openCallbackServer({ secret, lateMs: 0, fateOf: () => "take" })
      const server = yield* open(channels(callback.url) + onlyOne + two())
      const ask = (account: string) =>
        senderOf(server, account).send({
          id: account,
          conversation: "c",
          user: { id: "u" },
          text: "What is 47 plus 85?"
        })
      yield* Effect.all([ask("first"), ask("second")], { concurrency: 2 })
      yield* callback.arrived(2)
      const said = callback.deliveries().map(({ body }) => JSON.parse(body) as Reply)
      const answerTo = (account: string) => said.find(({ in_reply_to: [id] }) => id === account)!
      expect(said.map(({ outcome }) => outcome)).toEqual(["answered", "answered"])
      expect(answerTo("first").text).toContain("132")
      expect(answerTo("second").text).not.toContain("132")
      yield* Effect.promise(async () => {
        const metrics = await (await fetch(`${server.address}/metrics`)).text()
        for (const name of ["guide", "talker"]) {
          expect(metrics).toContain(`parley_turns_ended_total{model="${name}",end="done"} 1\n`)
        }
      })
    }),
  testMaxMs
)

it.live(
  "a model that cannot be loaded, or never fits, is reported by its name, and the others answer",
  () =>
    Effect.gen(function* () {
      const dir = emptyDir()
      const garbled = join(dir, "garbled.gguf")
      writeFileSync(garbled, `GGUF${"x".repeat(4096)}`)
      const more = `  - { name: garbled, engine: llama, file: "${garbled}" }
  - { name: missing, engine: llama, file: "${join(dir, "missing.gguf")}" }
  - { name: huge, engine: llama, file: "${random}", slots: 256, contextTokens: 2048 }
`
      const server = yield* open(onlyOne + two() + more, dir)
      yield* Effect.promise(async () => {
        for (const name of ["garbled", "missing", "huge"]) await untilState(server, name, "broken")
        await untilState(server, "guide", "ready")
        const { of, ready, status } = await healthOf(server)
        expect([ready, status]).toEqual([true, 200])
        expect(of("garbled").why).toMatch(/garbled\.gguf: llama\.cpp cannot load it: .+ Put a whole GGUF file/)
        expect(of("missing").why).toContain("missing.gguf: it is not there")
        expect(of("huge").why).toMatch(
          /huge needs \d+ MiB at work, and models may have 250 MiB. Raise limits.modelsMemory/
        )
        for (const name of ["garbled", "missing"]) {
          expect(server.main.output()).toContain(`model ${name} cannot be loaded`)
          const error = (await failing(completed(server, name))) as InstanceType<typeof OpenAI.APIError>
          expect(error).toMatchObject({ status: 503, code: "model_unavailable" })
          expect(error.message).toContain(`${name}.gguf`)
          expect(Number(error.headers?.get("retry-after"))).toBeGreaterThan(0)
        }
        const never = (await failing(completed(server, "huge"))) as InstanceType<typeof OpenAI.APIError>
        expect([never.status, never.headers?.get("x-should-retry")]).toEqual([503, "false"])
        expect(await completed(server, "guide")).toContain("132")
      })
    }),
  testMaxMs
)

it.live(
  "a crash loop opens the breaker: people and clients are told at once, and the other model answers",
  () =>
    Effect.gen(function* () {
      const callback = yield* openCallbackServer({ secret, lateMs: 0, fateOf: () => "take" })
      const dir = emptyDir()
      const server = yield* open(`limits: { answerTokensMax: 48 }\n${channels(callback.url)}${two()}`, dir)
      yield* Effect.promise(async () => {
        await untilState(server, "guide", "ready")
        const [guideWorker] = workersIn(dir)
        await completed(server, "talker")
        await killUntilOpen(server, dir, guideWorker!)
        const { of, ready } = await healthOf(server)
        expect(ready).toBe(true)
        expect(of("talker")).toMatchObject({
          state: "breaker-open",
          deaths: 5,
          why: expect.stringContaining("SIGKILL")
        })
        const error = (await failing(completed(server, "talker"))) as InstanceType<typeof OpenAI.APIError>
        expect(error).toMatchObject({ status: 503, code: "model_unavailable" })
        expect(Number(error.headers?.get("retry-after"))).toBeGreaterThan(0)
        expect(await completed(server, "guide")).toContain("132")
      })
      yield* senderOf(server, "second").send({ id: "1", conversation: "c", user: { id: "u" }, text: "Hello?" })
      yield* callback.arrived(1)
      const said = JSON.parse(callback.deliveries()[0]!.body) as Reply
      expect(said).toMatchObject({ outcome: "shed", text: expect.stringContaining("out of order") })
    }),
  testMaxMs
)

interface Reply {
  readonly text: string
  readonly outcome: string
  readonly in_reply_to: ReadonlyArray<string>
}

const channels = (callback: string) => `channels:
  - { kind: webhook, account: first, secret: "${secret}", callback: "${callback}", sampling: { temperature: 0 } }
  - { kind: webhook, account: second, secret: "${secret}", callback: "${callback}", model: talker }
`

const senderOf = ({ address }: V1, account: string) => {
  const url = `${address}/api/webhook/${account}`
  return makeSender({ url, secret, retryMs: 50, attemptMaxMs: 10_000, eventMaxMs: 60_000 })
}

/** Each worker but this one dies as soon as it is there. */
async function killUntilOpen(server: V1, dir: string, spared: number): Promise<void> {
  while ((await healthOf(server)).of("talker").state !== "breaker-open") {
    for (const pid of workersIn(dir).filter((pid) => pid !== spared)) process.kill(pid, "SIGKILL")
    await wait(20)
  }
}

async function mostWorkersIn(dir: string, isOver: () => boolean): Promise<number> {
  let most = 0
  while (!isOver()) {
    most = Math.max(most, workersIn(dir).length)
    await wait(5)
  }
  return most
}
