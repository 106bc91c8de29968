/** The steps of a worker as metrics, and that what is wrong with a text of them would be seen. */
import { expect, test } from "vitest"
import { textOf } from "../../src/http/metrics.ts"
import { stepMetrics } from "../../src/http/step-metrics.ts"
import { addPrompt, addStep, emptyStepStats, takeThreads, threadWords } from "../../src/inference/step-stats.ts"
import type { Begun, ThreadChoice } from "../../src/inference/worker/wire.ts"
import { exposed } from "./exposition.ts"

const step = (rows: number, promptTokens: number, answerTokens: number, tookMs: number) => ({
  type: "decoded" as const,
  tokens: promptTokens + answerTokens,
  promptTokens,
  room: { usedTokens: rows, reservedTokens: 2 * rows, heldTokens: 3, copies: 4, copyBytes: 5_000 },
  tookMs,
  texts: Array.from({ length: rows }, (_, key) => [key, ""] as const),
  ends: []
})

const begun = (found: Begun["found"]): Begun => {
  const cachedTokens = { sequence: 5, copy: 7, nowhere: 0 }[found]
  return { type: "begun", key: 1, promptTokens: 100, cachedTokens, found }
}

const decode = (tokens: number, threads: number): ThreadChoice => ({ kind: "decode", tokens, threads })

function stats() {
  const steps = emptyStepStats()
  addStep(steps, step(1, 200, 0, 300), 256)
  addStep(steps, step(2, 10, 1, 31_000), 256)
  addStep(steps, step(300, 0, 300, 5), 256)
  for (const found of ["sequence", "copy", "copy", "nowhere"] as const) addPrompt(steps, begun(found))
  takeThreads(steps, [decode(1, 1), decode(256, 2)])
  takeThreads(steps, [decode(1, 1), decode(256, 1), { kind: "prefill", tokens: 128, threads: 2 }])
  return steps
}

test("steps are counted by model: rows, time, tokens, room, and threads; and what is in the cache", () => {
  const text = textOf(stepMetrics([{ model: 'a "b"', steps: stats() }]))
  expect(exposed(text)).toEqual([])
  const lines = text.split("\n").map((line) => line.replace('model="a \\"b\\""', "M"))
  for (const line of [
    'parley_step_rows_bucket{M,le="1"} 1',
    'parley_step_rows_bucket{M,le="2"} 2',
    'parley_step_rows_bucket{M,le="128"} 2',
    'parley_step_rows_bucket{M,le="+Inf"} 3',
    "parley_step_rows_sum{M} 303",
    'parley_step_duration_seconds_bucket{M,kind="decode",le="0.005"} 1',
    'parley_step_duration_seconds_bucket{M,kind="prefill",le="0.5"} 1',
    'parley_step_duration_seconds_count{M,kind="prefill"} 2',
    'parley_step_tokens_total{M,of="prompt"} 210',
    'parley_step_tokens_total{M,of="answer"} 301',
    "parley_step_budget_tokens_total{M} 812",
    'parley_step_threads{M,kind="decode",tokens="1"} 1',
    'parley_step_threads{M,kind="decode",tokens="256"} 1',
    'parley_step_threads{M,kind="prefill",tokens="128"} 2',
    "parley_step_threads_changes_total{M} 1",
    "parley_worker_restarts_total{M} 0",
    'parley_prompts_total{M,found="sequence"} 1',
    'parley_prompts_total{M,found="copy"} 2',
    'parley_prompts_total{M,found="nowhere"} 1',
    'parley_prompt_tokens_total{M,from="sequence"} 5',
    'parley_prompt_tokens_total{M,from="copy"} 14',
    'parley_prompt_tokens_total{M,from="read"} 210',
    'parley_kv_tokens{M,state="used"} 300',
    'parley_kv_tokens{M,state="reserved"} 600',
    'parley_kv_tokens{M,state="held"} 3',
    "parley_kv_copies{M} 4",
    "parley_kv_copy_bytes{M} 5000"
  ]) {
    expect(lines).toContain(line)
  }
})

test("without a model, and with two of them, a scraper takes it", () => {
  expect(exposed(textOf(stepMetrics([])))).toEqual([])
  const models = ["a", "b"].map((model) => ({ model, steps: stats() }))
  expect(exposed(textOf(stepMetrics(models)))).toEqual([])
  expect(exposed(textOf(stepMetrics([models[0]!, models[0]!])))).not.toEqual([])
})

test("what a scraper refuses is seen", () => {
  const head = "# HELP a_total x\n# TYPE a_total counter\n"
  expect(exposed(`${head}a_total{b="1",c="\\\\"} 2\n`)).toEqual([])
  for (const text of [
    `${head}a_total 1`,
    `${head}a_total -1\n`,
    `${head}a_total one\n`,
    `${head}a_total{b=1} 1\n`,
    `${head}a_total{b="1" c="2"} 1\n`,
    `${head}a_total 1\na_total 2\n`,
    `${head}b_total 1\n`,
    `${head}${head}`,
    "# TYPE a gauge\na 1\n",
    "# HELP a x\n# TYPE a counter\na 1\n",
    '# HELP a x\n# TYPE a histogram\na_bucket{le="1"} 2\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n',
    '# HELP a x\n# TYPE a histogram\na_bucket{le="1"} 1\na_sum 1\na_count 1\n'
  ]) {
    expect([text, exposed(text).length]).toEqual([text, expect.toSatisfy((count: number) => count > 0)])
  }
})

test("threads in words", () => {
  expect(threadWords(stats().threads)).toBe("1 for 1, 1 for 256 rows; 2 for 128 tokens of prompts")
  expect(threadWords([])).toBe("")
})
