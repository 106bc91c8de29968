import fc from "fast-check"
import { expect, test } from "vitest"
import * as Step from "../../src/inference/worker/step.ts"

const slotsMax = fc.integer({ min: 1, max: 8 })
// From as few as there are slots, so that prompts have to share what little is left.
const room = fc.nat({ max: 20 })
const command = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("admit" as const),
      prompt: fc.integer({ min: 1, max: 40 }),
      where: fc.nat({ max: 7 })
    })
  },
  { weight: 5, arbitrary: fc.constant({ type: "step" as const }) },
  // `nth` counts among the sequences that are there.
  { weight: 2, arbitrary: fc.record({ type: fc.constant("release" as const), nth: fc.nat({ max: 7 }) }) }
)
const commands = fc.array(command, { maxLength: 120, size: "max" })
type Command = typeof command extends fc.Arbitrary<infer C> ? C : never

interface Moment {
  readonly command: Command
  readonly before: Step.Plan
  readonly after: Step.Plan
  readonly step: Step.Step | undefined
  readonly admitted: number | undefined
}

function live(slotsMax: number, room: number, commands: ReadonlyArray<Command>): ReadonlyArray<Moment> {
  let plan = Step.empty(slotsMax, slotsMax + room)
  return commands.map((command, key): Moment => {
    const before = plan
    let step: Step.Step | undefined
    let admitted: number | undefined
    if (command.type === "admit") {
      const free = [...before.sequences.keys()].filter((id) => before.sequences[id] === undefined)
      const id = free[command.where % free.length]
      if (id !== undefined) [plan, admitted] = [Step.admit(before, id, key, command.prompt), key]
    } else if (command.type === "release") {
      plan = Step.release(before, runningIn(before)[command.nth]?.key ?? -1)
    } else {
      ;[step, plan] = Step.next(before)
    }
    return { command, before, after: plan, step, admitted }
  })
}

const runningIn = ({ sequences }: Step.Plan) => sequences.filter((sequence) => sequence !== undefined)
const sum = (numbers: Iterable<number>) => [...numbers].reduce((a, b) => a + b, 0)
const stepsOf = (moments: ReadonlyArray<Moment>) =>
  moments.flatMap(({ after, before, step }) => (step === undefined ? [] : [{ after, before, step }]))

const numRuns = Number(process.env["PARLEY_HISTORIES"] ?? 100)

const property = (title: string, check: (moments: ReadonlyArray<Moment>) => void) =>
  test(title, { timeout: 1_800_000 }, () =>
    fc.assert(
      fc.property(slotsMax, room, commands, (s, r, c) => check(live(s, r, c))),
      { numRuns }
    )
  )

const t1 = "T1: a step has at most `stepTokensMax` tokens, and at least one of every sequence"
property(t1, (moments) => {
  for (const { before, step } of stepsOf(moments)) {
    expect(sum(step.rows.map(({ tokens }) => tokens))).toBeLessThanOrEqual(before.stepTokensMax)
    expect(step.rows.map(({ key }) => key).toSorted()).toEqual(
      runningIn(before)
        .map(({ key }) => key)
        .toSorted()
    )
    for (const { tokens } of step.rows) expect(tokens).toBeGreaterThanOrEqual(1)
  }
})

property("T2: a sequence whose prompt is done has exactly one token in a step", (moments) => {
  for (const { before, step } of stepsOf(moments)) {
    for (const { key, promptLeft } of runningIn(before)) {
      const row = step.rows.find((row) => row.key === key)!
      if (promptLeft === 0) expect(row).toMatchObject({ tokens: 1, isSampled: true })
    }
  }
})

property("T3: the rest of the budget goes to the prompts in the order in which they came", (moments) => {
  for (const { before, step } of stepsOf(moments)) {
    const used = sum(step.rows.map(({ tokens }) => tokens))
    const prompts = runningIn(before).filter(({ promptLeft }) => promptLeft > 0)
    const given = prompts
      .toSorted((a, b) => a.key - b.key)
      .map(({ key, promptLeft }) => ({ promptLeft, tokens: step.rows.find((row) => row.key === key)!.tokens }))
    const short = given.findIndex(({ promptLeft, tokens }) => tokens < promptLeft)
    if (short < 0) continue
    expect(used).toBe(before.stepTokensMax)
    for (const { tokens } of given.slice(short + 1)) expect(tokens).toBe(1)
  }
})

property("T4: the ids of a step are a run without a gap", (moments) => {
  for (const { after, step } of stepsOf(moments)) {
    const first = step.rows[0]?.id ?? 0
    expect(step.rows.map(({ id }) => id)).toEqual(step.rows.map((_, i) => first + i))
    const others = after.sequences.filter((_, id) => id < first || id >= first + step.rows.length)
    expect(step.rows.map(({ id, key }) => after.sequences[id]?.key === key)).not.toContain(false)
    expect(others.every((sequence) => sequence === undefined)).toBe(true)
  }
})

const t5 = "T5: a sequence keeps its id unless there is a gap, and no more move than must"
property(t5, (moments) => {
  for (const { after, before, step } of stepsOf(moments)) {
    const keys = before.sequences.map((sequence) => sequence?.key)
    const running = runningIn(before).length
    const runs = keys.slice(0, keys.length - running + 1).map((_, first) => keys.slice(first, first + running))
    const stay = Math.max(...runs.map((run) => run.filter((key) => key !== undefined).length))
    expect(step.moves.length).toBe(running - stay)
    for (const { from, to } of step.moves) {
      expect(keys[from]).toBeDefined()
      expect(keys[to]).toBeUndefined()
      ;[keys[to], keys[from]] = [keys[from], undefined]
    }
    expect(after.sequences.map((sequence) => sequence?.key)).toEqual(keys)
  }
})

const t6 = "T6: a prompt is decoded whole, once, and its last token is in the step that samples the first of its answer"
property(t6, (moments) => {
  const decoded = new Map<number, number>()
  const prompts = new Map(
    moments.flatMap(({ admitted, command }) =>
      command.type === "admit" && admitted !== undefined ? [[admitted, command.prompt] as const] : []
    )
  )
  for (const { step } of stepsOf(moments)) {
    for (const { isSampled, key, tokens } of step.rows) {
      const before = decoded.get(key) ?? 0
      const prompt = prompts.get(key)!
      decoded.set(key, before + tokens)
      if (before < prompt) expect(before + tokens).toBeLessThanOrEqual(prompt)
      expect(isSampled).toBe(before + tokens >= prompt)
    }
  }
})

property("T7: what was released is in no later step", (moments) => {
  const released = new Set<number>()
  for (const { after, before, command, step } of moments) {
    if (command.type === "release") {
      const keys = runningIn(after).map(({ key }) => key)
      for (const { key } of runningIn(before)) if (!keys.includes(key)) released.add(key)
    }
    for (const { key } of step?.rows ?? []) expect(released.has(key)).toBe(false)
  }
})

test("the commands above reach gaps, full slots, prompts that take turns, and mixed steps", () => {
  const lives = fc.sample(fc.tuple(slotsMax, room, commands), { numRuns: 100, seed: 1 })
  const moments = lives.flatMap(([s, r, c]) => live(s, r, c))
  const steps = stepsOf(moments)
  const promptsIn = ({ before }: { readonly before: Step.Plan }) =>
    runningIn(before).filter(({ promptLeft }) => promptLeft > 0).length
  expect(steps.some(({ step }) => step.moves.length > 1)).toBe(true)
  expect(moments.some(({ admitted, command }) => command.type === "admit" && admitted === undefined)).toBe(true)
  expect(steps.some((step) => promptsIn(step) > 1 && promptsIn(step) < step.step.rows.length)).toBe(true)
  expect(steps.some(({ step }) => step.rows.filter(({ isSampled }) => !isSampled).length > 2)).toBe(true)
})
