/** What doctor says of models beside their faults, which are in doctor-faults.test.ts. */
import { expect, test } from "vitest"
import { answering, examine, expectOnly } from "./doctor-bench.ts"
import { longModel, modelFile } from "./doctor-plants.ts"

test("a model that runs is described, measured, and compared with what else would fit", async () => {
  const { code, faults, of } = await examine({ env: { PARLEY_MODEL: await modelFile() } })
  expect({ code, faults }).toEqual({ code: 0, faults: [] })
  expect(of("model.file")?.saw).toMatch(/“parley-random”: llama, 1.24M parameters, Q8_0, 1.28 MiB\.$/)
  expect(of("model.file")?.figures?.["parameters"]).toBe(1_242_624)
  expect(of("model.context")?.saw).toBe("4 slots of 2048 tokens; the model was trained for 2048.")
  // 4 sequences × 2048 tokens × 6 layers × 2 heads × (32 + 32) values × 2 bytes.
  expect(of("model.memory")?.figures?.["cacheBytes"]).toBe(4 * 2048 * 6 * 2 * 64 * 2)
  expect(of("model.threads")?.level).toBe("ok")
  expect(of("model.speed")?.figures?.["tokensPerSecond"]).toBeGreaterThan(5)
  const [head, ...rows] = of("model.sizes")?.table ?? []
  expect(head).toEqual(["parameters", "quantisation", "memory", "tokens/s"])
  expect(rows.length).toBeGreaterThan(0)
})

test("without a configured model the built-in one is measured, and nothing is made for it", async () => {
  const { code, faults, of } = await examine({})
  expect({ code, faults }).toEqual({ code: 0, faults: [] })
  expect(of("model.built-in")).toMatchObject({ level: "note", mend: expect.stringContaining("PARLEY_MODEL") })
  expect(of("model.file")?.saw).toMatch(/^built-in is \/.*\/models\/guide\.gguf “parley-guide”: llama, /)
  expect(of("model.speed")?.level).toBe("ok")
  expect(of("data")?.saw).toContain("not there yet")
})

test("a model that needs more memory than there is, is found, and is not loaded", async () => {
  const yaml = `models:\n  - {engine: llama, file: ${await longModel()}, slots: 256, contextTokens: 1048576}\n`
  const report = await examine({ yaml })
  expectOnly(report, "model.memory-short", "384 GiB", "slots or contextTokens")
  expect(report.of("model.unmeasured")?.saw).toContain("not enough memory")
})

test("a context longer than trained for, and a second model, are noted", async () => {
  const file = await modelFile()
  const model = (name: string) => `  - {name: ${name}, engine: llama, file: ${file}, contextTokens: 4096}\n`
  const { faults, of } = await examine({ yaml: `models:\n${model("one")}${model("two")}` })
  expect(faults).toEqual([])
  expect(of("model.context-long")).toMatchObject({ level: "note", mend: "Set contextTokens to 2048." })
  expect(of("model.other")?.saw).toMatch(/^two is .*while it is loaded it needs/)
})

test("a model server that is not there, refuses the key, is another thing or lacks the model is found", async () => {
  const down = await examine({ env: { PARLEY_MODEL: "http://127.0.0.1:9/v1" } })
  expectOnly(down, "model.server-unreachable", "nothing listens there", "Start that server")
  const refusing = await answering((request, response) => {
    response.writeHead(request.headers.authorization === "Bearer right" ? 200 : 401)
    response.end(JSON.stringify({ data: [{ id: "small" }, { id: "large" }] }))
  })
  const spec = (more: string) => `models:\n  - {engine: openai, baseUrl: "${refusing}/v1", ${more}}\n`
  expectOnly(await examine({ yaml: spec("apiKey: hunter2") }), "model.server-key", "401", "apiKey")
  const unknown = await examine({ yaml: spec("apiKey: right, model: huge") })
  expectOnly(unknown, "model.server-unknown", "no model huge", "small, large")
  expect((await examine({ yaml: spec("apiKey: right, model: large") })).faults).toEqual([])
  const several = (...urls: ReadonlyArray<string>) =>
    `models:\n  - {engine: openai, apiKey: right, baseUrls: [${urls.map((url) => `"${url}"`).join(", ")}]}\n`
  const gone = "http://127.0.0.1:9/v1"
  const partly = await examine({ yaml: several(`${refusing}/v1`, gone) })
  expect(partly.of("model.server-unreachable")).toMatchObject({ level: "warning", saw: expect.stringContaining(gone) })
  expect(partly.of("model.server")?.saw).toContain(refusing)
  const none = await examine({ yaml: several(gone, "http://127.0.0.1:9/v2") })
  expect(none.of("model.server-unreachable")).toMatchObject({ level: "trouble" })
  const page = await answering((_, response) => response.end("<html>"))
  expectOnly(await examine({ env: { PARLEY_MODEL: page } }), "model.server-address", "baseUrl", "/v1")
})
