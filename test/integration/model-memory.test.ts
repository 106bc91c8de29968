/** The memory that we say a model needs, against what llama.cpp says that it allocated. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { getLlama, LlamaLogLevel } from "node-llama-cpp"
import { expect, onTestFinished, test } from "vitest"
import { writeRandomModel } from "../../models/random-model.ts"
import { readGgufHead } from "../../src/inference/gguf-head.ts"
import { memoryNeeded, shapeOf } from "../../src/inference/memory-needed.ts"

const mebi = 2 ** 20

test("the cache is what llama.cpp allocates, and the work is no less than it reserves", async () => {
  const dir = mkdtempSync(join(tmpdir(), "parley-memory-"))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  const file = join(dir, "random.gguf")
  await writeRandomModel(file)
  let log = ""
  const llama = await getLlama({
    gpu: false,
    maxThreads: 1,
    build: "never",
    skipDownload: true,
    progressLogs: false,
    logLevel: LlamaLogLevel.debug,
    logger: (_, line) => {
      log += `${line}\n`
    }
  })
  const model = await llama.loadModel({ modelPath: file })
  const { head } = await Effect.runPromise(readGgufHead(file))
  expect(head.weightBytes / mebi).toBeCloseTo(await said(/model buffer size = +([\d.]+) MiB/), 1)
  for (const [slots, contextTokens] of [
    [4, 1024],
    [4, 1000],
    [1, 300],
    [8, 2048],
    [2, 4096]
  ] as const) {
    log = ""
    const context = await model.createContext({
      sequences: slots,
      contextSize: Math.min(contextTokens, model.trainContextSize),
      batchSize: 256,
      threads: 1,
      failedCreationRemedy: false
    })
    const needed = memoryNeeded(head.weightBytes, shapeOf(head), { slots, contextTokens })
    expect(needed.cacheBytes / mebi).toBe(await said(/KV buffer size = +([\d.]+) MiB/))
    expect(needed.workBytes / mebi).toBeGreaterThan(await said(/compute buffer size = +([\d.]+) MiB/))
    await context.dispose()
  }
  await llama.dispose()

  /** Its log comes from another thread, a little later. */
  async function said(what: RegExp): Promise<number> {
    const found = () => Number(what.exec(log)?.[1])
    await expect.poll(found, { timeout: 5_000 }).not.toBeNaN()
    return found()
  }
})
