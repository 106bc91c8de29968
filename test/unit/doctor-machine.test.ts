/** What a control group leaves of a machine, and what is said of threads, memory and versions. */
import { Effect } from "effect"
import { expect, test } from "vitest"
import { llamaMetadata } from "../../models/llama-file.ts"
import { trainVocabulary } from "../../models/random-vocabulary.ts"
import { boundedBy } from "../../src/cli/doctor/machine.ts"
import { memoryFinding, threads } from "../../src/cli/doctor/model-check.ts"
import { sizesFinding } from "../../src/cli/doctor/model-sizes-finding.ts"
import { nodeFinding, satisfies } from "../../src/cli/doctor/versions-check.ts"
import { memoryNeeded, shapeOf } from "../../src/inference/memory-needed.ts"

const gibi = 2 ** 30
const system = { cores: 8, memoryBytes: 64 * gibi, freeBytes: 50 * gibi }
const files = (those: Record<string, string>) => (path: string) => those[path]

test("version 2: the limit, less what is used and cannot be dropped; half a core", () => {
  const group = "/sys/fs/cgroup/a.slice"
  const read = files({
    "/proc/self/cgroup": "0::/a.slice\n",
    [`${group}/memory.max`]: `${8 * gibi}\n`,
    [`${group}/memory.current`]: `${6 * gibi}\n`,
    [`${group}/memory.stat`]: `anon ${gibi}\ninactive_file ${5 * gibi}\n`,
    [`${group}/cpu.max`]: "50000 100000\n"
  })
  expect(boundedBy(read, system)).toEqual({ cores: 0.5, memoryBytes: 8 * gibi, freeBytes: 7 * gibi, isBounded: true })
})

test("version 2 in a container, without a limit", () => {
  const read = files({
    "/proc/self/cgroup": "0::/\n",
    "/sys/fs/cgroup/memory.max": "max\n",
    "/sys/fs/cgroup/cpu.max": "max 100000\n"
  })
  expect(boundedBy(read, system)).toEqual({ ...system, isBounded: false })
})

test("version 1", () => {
  const read = files({
    "/proc/self/cgroup": "4:memory:/box\n3:cpu,cpuacct:/box\n",
    "/sys/fs/cgroup/memory/box/memory.limit_in_bytes": `${2 * gibi}`,
    "/sys/fs/cgroup/memory/box/memory.usage_in_bytes": `${gibi}`,
    "/sys/fs/cgroup/cpu/box/cpu.cfs_quota_us": "150000",
    "/sys/fs/cgroup/cpu/box/cpu.cfs_period_us": "100000"
  })
  expect(boundedBy(read, system)).toEqual({ cores: 1.5, memoryBytes: 2 * gibi, freeBytes: gibi, isBounded: true })
  expect(boundedBy(files({}), system)).toEqual({ ...system, isBounded: false })
})

test("more threads than cores are found, with the mend", () => {
  expect(threads(1, { cores: 0.5, isBounded: true })).toMatchObject({
    id: "model.threads-many",
    level: "warning",
    saw: expect.stringContaining("0.5 cores (a control group bounds them)"),
    mend: expect.stringContaining("--cpus=2")
  })
  expect(threads(1, { cores: 2, isBounded: false })).toMatchObject({ id: "model.threads", level: "ok" })
})

test("a model that needs more memory than there is, is found, and a loaded one is not", () => {
  const needed = { weightBytes: 5 * gibi, cacheBytes: gibi, workBytes: gibi, bytes: 7 * gibi }
  const spec = { slots: 4, contextTokens: 2048 }
  const machine = { ...system, freeBytes: 4 * gibi, isBounded: true }
  const found = (more: object) => memoryFinding({ needed, spec, machine, isLoaded: false, ...more })
  expect(found({})).toMatchObject({
    id: "model.memory-short",
    level: "trouble",
    saw: expect.stringContaining("4.00 GiB of 64.0 GiB are free (a control group bounds them)"),
    mend: expect.stringContaining("smaller model")
  })
  expect(found({ isLoaded: true }).level).toBe("ok")
  expect(found({ machine: { ...machine, freeBytes: 7 * gibi } }).level).toBe("ok")
  expect(found({ spec: { ...spec, gpu: "auto" } }).level).toBe("note")
})

test("heads of another number in each layer, and of another size, are counted", () => {
  const shape = { embedding: 128, layers: 3, heads: 4, kvHeads: 2, feedForward: 384, context: 2048 }
  const plain = Object.entries(llamaMetadata("m", shape, trainVocabulary())).map(([key, { value }]) => [key, value])
  const head = (more: Record<string, unknown>) => ({
    metadata: new Map<string, number>([...plain, ...Object.entries(more)] as Array<[string, number]>),
    listLengths: new Map([["tokenizer.ggml.tokens", 479]]),
    parameters: 0,
    weightBytes: 0,
    quantisation: "Q8_0",
    endBytes: 0
  })
  const cached = (more: Record<string, unknown>) => shapeOf(head(more)).cachedValues
  expect(cached({})).toBe(3 * 2 * 64)
  expect(cached({ "llama.attention.head_count_kv": [1, 0, 4] })).toBe(5 * 64)
  expect(cached({ "llama.attention.key_length": 64, "llama.attention.value_length": 16 })).toBe(3 * 2 * 80)
  // One token more than 256 costs 256 more, and none is given that it was not trained for.
  const cache = (contextTokens: number) => memoryNeeded(0, shapeOf(head({})), { contextTokens, slots: 2 }).cacheBytes
  expect([cache(256), cache(257), cache(4096)].map((bytes) => bytes / cache(256))).toEqual([1, 2, 8])
})

test("Node's version is held against the range of package.json", () => {
  const range = ">=24.16 <25 || >=26.1"
  const right = ["24.16.0", "24.21.0", "26.1.0", "27.0.0"]
  const wrong = ["20.19.0", "24.15.9", "25.0.0", "26.0.5"]
  expect([...right, ...wrong].map((version) => satisfies(version, range))).toEqual([
    ...right.map(() => true),
    ...wrong.map(() => false)
  ])
  expect(nodeFinding("20.19.0", range)).toMatchObject([{ id: "versions.node", level: "trouble" }])
})

test("a measured speed says how fast other sizes are, a tiny model's does not, and no memory fits nothing", () => {
  const spec = { slots: 1, contextTokens: 1024 }
  const found = (more: object) =>
    Effect.runSync(
      sizesFinding({ freeBytes: 8 * gibi, spec, tokensPerSecond: 10, weightBytes: 1e9, threads: 1, ...more })
    )
  // 10 tokens a second of a gigabyte each: half a billion weights of 34/32 bytes are read 18.8 times.
  expect(found({}).table).toContainEqual(["0.5 B", "Q8_0", "1.26 GiB", "~19"])
  expect(found({}).saw).toMatch(/the speed above.*3 B in Q4_K_M is the largest/)
  expect(found({ weightBytes: 1e6 }).saw).toContain("the speed of the memory")
  expect(found({ tokensPerSecond: 0.001 }).saw).toContain("Even the smallest, 0.5 B in Q4_K_M")
  expect(found({ freeBytes: gibi / 2 })).toMatchObject({ level: "note", mend: expect.stringContaining("memory") })
})
