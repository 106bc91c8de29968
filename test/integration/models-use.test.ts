/** `parley models use` and `list`: with the real engine, on models that babble, and on what is no model. */
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import { writeRandomModel } from "../../models/random-model.ts"
import { builtIn } from "../../src/inference/models.ts"
import { emptyDir, startMain } from "./main-process.ts"

const shared = mkdtempSync(join(tmpdir(), "parley-models-"))
const model = join(shared, "random.gguf")
beforeAll(() => writeRandomModel(model))
afterAll(() => rmSync(shared, { recursive: true }))

const yaml = `# My Parley.
port: 9000   # mine
channels:
  - {kind: webhook, account: demo, secret: "\${DEMO_SECRET}", callback: http://127.0.0.1:9/replies}
models:
  - engine: llama   # the fast one
    file: old.gguf  # was good
    contextTokens: 512
# the end
`
const env = { DEMO_SECRET: "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=" }

async function run(dir: string, typed: ReadonlyArray<string>, more: Record<string, string> = {}) {
  const started = startMain({ dir, typed: ["models", ...typed], env: { ...env, ...more } })
  return { code: await started.ended, output: started.output() }
}

const configOf = (dir: string) => readFileSync(join(dir, "parley.yaml"), "utf8")

/** A folder with `my-model.gguf` among its models. */
function dirWithModel(config?: string): { readonly dir: string; readonly file: string } {
  const dir = emptyDir()
  if (config !== undefined) writeFileSync(join(dir, "parley.yaml"), config)
  mkdirSync(join(dir, ".parley/models"), { recursive: true })
  const file = join(dir, ".parley/models/my-model.gguf")
  copyFileSync(model, file)
  return { dir, file }
}

test("a model that answers is written into the configuration, of which the rest stays as it was", async () => {
  const { dir, file } = dirWithModel(yaml)
  chmodSync(join(dir, "parley.yaml"), 0o640)
  const { code, output } = await run(dir, ["use", "my-model"])
  expect([code, output]).toEqual([0, expect.stringMatching(/Asked: .*\nAnswered: \S.*\n.*tokens in/)])
  expect(configOf(dir)).toBe(yaml.replace("old.gguf", JSON.stringify(file)))
  expect(statSync(join(dir, "parley.yaml")).mode & 0o777).toBe(0o640)
  const listed = await run(dir, ["list"])
  expect(listed.output).toMatch(/\n\* {2}default {2,}1\.28 MiB {2}Q8_0 {3,}1\.24M {2,}2k/)
  expect((await run(dir, ["use", "built-in"])).code).toBe(0)
  expect(configOf(dir)).toBe(`${yaml.slice(0, yaml.indexOf("models:"))}# the end\n`)
  expect((await run(dir, ["list"])).output).toMatch(/\n\* {2}built-in {2,}\d\.\d+ MiB/)
})

test("without a configuration file one is made; a path is as good as a name", async () => {
  const { dir } = dirWithModel()
  expect(await run(dir, ["use", model])).toMatchObject({ code: 0 })
  expect(configOf(dir)).toBe(`models:\n  - name: default\n    engine: llama\n    file: ${JSON.stringify(model)}\n`)
  const other = { PARLEY_CONFIG: join(dir, "other.yaml") }
  expect(await run(dir, ["use", "my-model.gguf"], other)).toMatchObject({ code: 0 })
  expect(readFileSync(join(dir, "other.yaml"), "utf8")).toContain("my-model.gguf")
})

test("what cannot be loaded changes nothing, and llama.cpp's reason is said", async () => {
  const { dir, file } = dirWithModel(yaml)
  const cut = join(dir, ".parley/models/cut.gguf")
  writeFileSync(cut, readFileSync(file).subarray(0, 400_000))
  const garbled = join(dir, "garbled.gguf")
  writeFileSync(garbled, `GGUF${"x".repeat(4096)}`)
  const text = join(dir, "text.gguf")
  writeFileSync(text, "hello")
  for (const [name, reason] of [
    ["cut", "data is not within the file bounds"],
    [garbled, "llama.cpp cannot load it"],
    [text, "is not a GGUF file"],
    ["my-modle", "Did you mean my-model?"],
    [dir, "is a directory"]
  ] as const) {
    const { code, output } = await run(dir, ["use", name])
    expect([name, code, output]).toEqual([name, 1, expect.stringContaining(reason)])
    expect(output).not.toMatch(/^\s+at .*:\d+:\d+/m)
  }
  expect(configOf(dir)).toBe(yaml)
})

test("PARLEY_MODEL, which counts instead of the file, is warned of", async () => {
  const { dir } = dirWithModel()
  const more = { PARLEY_MODEL: "http://127.0.0.1:9/v1" }
  const { code, output } = await run(dir, ["use", "my-model"], more)
  expect([code, output]).toEqual([0, expect.stringContaining("PARLEY_MODEL is set here")])
  expect(configOf(dir)).toContain("my-model.gguf")
})

test("a configuration that is broken, or only linked to, is respected", async () => {
  const { dir } = dirWithModel("drainMs: abc\n")
  expect(await run(dir, ["use", "my-model"])).toMatchObject({ code: 78, output: expect.stringContaining("drainMs") })
  expect(configOf(dir)).toBe("drainMs: abc\n")
  const linked = dirWithModel()
  writeFileSync(join(linked.dir, "real.yaml"), "# kept\n")
  symlinkSync("real.yaml", join(linked.dir, "parley.yaml"))
  expect(await run(linked.dir, ["use", "my-model"])).toMatchObject({ code: 0 })
  expect(readFileSync(join(linked.dir, "real.yaml"), "utf8")).toMatch(/^# kept\nmodels:/)
})

test("Ctrl-C while it loads ends with 130, and nothing is changed", async () => {
  const { dir } = dirWithModel(yaml)
  const started = startMain({ dir, typed: ["models", "use", "my-model"], env })
  started.child.stderr?.once("data", () => started.child.kill("SIGINT"))
  expect([await started.ended, started.output()]).toEqual([130, expect.stringContaining("Nothing was changed")])
  expect(configOf(dir)).toBe(yaml)
})

test("list says of each model what it is, as JSON too, and of a broken one what is wrong", async () => {
  const { dir, file } = dirWithModel("models:\n  - {engine: openai, baseUrl: http://127.0.0.1:9/v1}\n")
  const broken = join(dir, ".parley/models/a-broken.gguf")
  writeFileSync(broken, readFileSync(file).subarray(0, 5_000))
  const { code, output } = await run(dir, ["list", "--json"])
  const what = { architecture: "llama", quantisation: "Q8_0", parameters: 1_242_624, contextTokens: 2048 }
  expect([code, JSON.parse(output)]).toEqual([
    0,
    [
      expect.objectContaining({ name: "built-in", isInUse: false, where: builtIn.file, architecture: "llama" }),
      { name: "default", isInUse: true, where: "http://127.0.0.1:9/v1" },
      expect.objectContaining({ name: "a-broken.gguf", sizeBytes: 5_000, problem: expect.stringContaining("cut off") }),
      { name: "my-model.gguf", isInUse: false, where: file, sizeBytes: statSync(file).size, ...what }
    ]
  ])
  expect((await run(dir, ["list"])).output).toMatch(
    /\* {2}default .*\n.*a-broken.*\n.*my-model.*\na-broken\.gguf: .* is cut off/
  )
})
