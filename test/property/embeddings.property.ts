/** The laws of embeddings.ts, and that answers are as if there were no embeddings beside them. */
import fc from "fast-check"
import { expect, test } from "vitest"
import { openEmbeddings, pieceTokensMax } from "../../src/inference/worker/embeddings.ts"
import { openLoop } from "../../src/inference/worker/loop.ts"
import type { EmbeddingJob, FromWorker } from "../../src/inference/worker/wire.ts"
import { contextTokens, scriptedModel } from "./scripted-model.ts"

const inputs = fc.oneof(
  fc.string({ unit: fc.constantFrom("x", "y", "z"), minLength: 1, maxLength: contextTokens, size: "max" }),
  fc.array(fc.integer({ min: 97, max: 122 }), { minLength: 1, maxLength: contextTokens, size: "max" })
)
const jobs = fc.array(
  fc.record({
    inputs: fc.array(inputs, { minLength: 1, maxLength: 4 }),
    /** After so many steps. */
    arrives: fc.nat({ max: 20 }),
    aborted: fc.option(fc.nat({ max: 40 }), { nil: undefined }),
    trouble: fc.oneof(
      { weight: 8, arbitrary: fc.constant(undefined) },
      { weight: 1, arbitrary: fc.constantFrom("long" as const, "input" as const, "dimensions" as const) }
    )
  }),
  { minLength: 1, maxLength: 12, size: "max" }
)
type Drawn = typeof jobs extends fc.Arbitrary<ReadonlyArray<infer A>> ? A : never

function jobOf({ inputs, trouble }: Drawn, key: number): EmbeddingJob {
  if (trouble === "dimensions") return { key, inputs, dimensions: 2 }
  if (trouble === undefined) return { key, inputs }
  return { key, inputs: [...inputs, trouble === "long" ? "x".repeat(contextTokens + 1) : "no!"] }
}

interface Heard {
  readonly step: number
  readonly message: FromWorker
}

async function live(drawn: ReadonlyArray<Drawn>) {
  const heard: Array<Heard> = []
  let step = 0
  const { embedding } = scriptedModel(1, 8).model
  let pieceMost = 0
  const model: typeof embedding = {
    ...embedding,
    read: (tokens, position) => {
      pieceMost = Math.max(pieceMost, tokens.length)
      return embedding.read(tokens, position)
    }
  }
  const embeddings = openEmbeddings(model, (message) => heard.push({ step, message }))
  for (const last = 60; step < last || !embeddings.isIdle(); step++) {
    for (const [key, one] of drawn.entries()) {
      if (one.arrives === step) embeddings.embed(jobOf(one, key))
      if (one.aborted === step) embeddings.abort(key)
    }
    await embeddings.step()
  }
  return { heard, pieceMost }
}

const keyOf = ({ message }: Heard) => ("key" in message ? message.key : -1)
const vectorOf = (encoded: string) => {
  const bytes = Buffer.from(encoded, "base64")
  return Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i))
}
/** What the scripted model makes of it, of length 1. */
const expectedOf = (input: string | ReadonlyArray<number>) => {
  const tokens = typeof input === "string" ? [...Buffer.from(input)] : input
  const vector = [tokens.length, tokens[0]!, tokens.at(-1)!]
  const length = Math.hypot(...vector)
  return vector.map((value) => Math.fround(value / length))
}

const numRuns = Number(process.env["PARLEY_HISTORIES"] ?? 300)

test(
  "E1, E2, E3: whoever else is read, each text has its own vector, in the order of jobs and inputs",
  { timeout: 1_800_000 },
  () =>
    fc.assert(
      fc.asyncProperty(jobs, async (drawn) => {
        const { heard, pieceMost } = await live(drawn)
        expect(pieceMost).toBeLessThanOrEqual(pieceTokensMax)
        for (const [key, { aborted, inputs, trouble }] of drawn.entries()) {
          const own = heard.filter((one) => keyOf(one) === key).map(({ message }) => message)
          if (aborted !== undefined) continue
          if (trouble !== undefined) {
            expect(own).toMatchObject([trouble === "long" ? { type: "too-long" } : { type: "refused", part: trouble }])
            continue
          }
          const vectors = own.flatMap((message) =>
            message.type === "embedded" && message.vector ? [message.vector] : []
          )
          expect(vectors.map(([index]) => index)).toEqual(inputs.map((_, index) => index))
          expect(vectors.map(([, vector]) => vectorOf(vector))).toEqual(inputs.map(expectedOf))
          const tokens = inputs.reduce((sum, { length }) => sum + length, 0)
          expect(own.at(-1)).toMatchObject({ promptTokens: tokens })
          expect(own.filter((message) => message.type === "embedded" && message.promptTokens)).toHaveLength(1)
        }
        const begun = drawn
          .map((one, key) => ({ ...one, key }))
          .toSorted((a, b) => a.arrives - b.arrives || a.key - b.key)
        const order = [...new Set(heard.map(keyOf))]
        expect(order).toEqual(begun.map(({ key }) => key).filter((key) => order.includes(key)))
      }),
      { numRuns }
    )
)

test("E4: of what was aborted nothing is said in a later step", { timeout: 1_800_000 }, () =>
  fc.assert(
    fc.asyncProperty(jobs, async (drawn) => {
      const { heard } = await live(drawn)
      for (const [key, { aborted, arrives }] of drawn.entries()) {
        if (aborted === undefined || aborted < arrives) continue
        expect(heard.filter((one) => keyOf(one) === key && one.step >= aborted)).toEqual([])
      }
    }),
    { numRuns }
  )
)

test("the jobs above are read in several pieces, aborted in between, and refused", async () => {
  const lives = await Promise.all(fc.sample(jobs, { numRuns: 100, seed: 1 }).map(live))
  const messages = lives.flatMap(({ heard }) => heard.map(({ message }) => message))
  const kinds = messages.map((message) => (message.type === "refused" ? message.part : message.type))
  for (const kind of ["embedded", "too-long", "input", "dimensions"]) expect(kinds).toContain(kind)
  expect(
    messages.filter((message) => message.type === "embedded" && message.vector === undefined).length
  ).toBeGreaterThan(50)
})

test("an answer has a step after each piece, and is the one that it has alone", async () => {
  const answered = async (texts: ReadonlyArray<string>) => {
    const said: Array<FromWorker> = []
    const { model } = scriptedModel(1, 8)
    const loop = openLoop(model, { slotsMax: 1, stepTokensMax: 8, cacheBytesMax: 0 }, (message) => said.push(message))
    const failed = loop.run()
    const job = { mayDrop: true, answerTokensMax: 40, temperature: 0, seed: 1, stop: [] }
    loop.generate({ ...job, key: 1, messages: [{ role: "user", content: "hello" }] })
    if (texts.length > 0) loop.embed({ key: 2, inputs: texts })
    while (!loop.isIdle()) await Promise.race([new Promise(setImmediate), failed])
    return said
  }
  const textOf = (said: ReadonlyArray<FromWorker>) =>
    said.flatMap((message) => (message.type === "decoded" ? message.texts.map(([, text]) => text) : [])).join("")
  const beside = await answered(Array.from({ length: 20 }, () => "x".repeat(contextTokens)))
  expect(textOf(beside)).toBe(textOf(await answered([])))
  const order = beside.map(({ type }) => type)
  const whileBoth = order.slice(0, order.lastIndexOf("decoded"))
  expect(whileBoth.filter((type) => type === "embedded").length).toBeGreaterThan(5)
  expect(whileBoth.join(" ")).not.toContain("embedded embedded")
})
