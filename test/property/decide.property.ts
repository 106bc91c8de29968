/** The laws of a pure step, on a stove whose pots each have a timer. */
import fc from "fast-check"
import { expect, test } from "vitest"
import { assign, cancel, emit, raise, setup } from "xstate"
import { begin, type Decision, decide, fire, type Situation, type Timer } from "../../src/machines/decide.ts"

type Pot = "soup" | "rice"
type StoveEvent =
  | { type: "pot.put"; pot: Pot; ms: number }
  | { type: "pot.taken"; pot: Pot }
  | { type: "pot.stirred" | "pot.done" | "cook.looked" | "cook.hurried" }

const done = { type: "pot.done" } as const
const stove = setup({
  types: {
    context: {} as { readonly put: number },
    events: {} as StoveEvent,
    emitted: {} as { type: "cook.called" }
  },
  delays: { given: ({ event }) => (event.type === "pot.put" ? event.ms : 0) },
  guards: {
    isSoup: ({ event }) => "pot" in event && event.pot === "soup",
    isPatient: () => false,
    isCareful: () => {
      throw new Error("the guard burns")
    }
  },
  actions: {
    count: assign(({ context }) => ({ put: context.put + 1 })),
    setSoup: raise(done, { id: "soup", delay: "given" }),
    setRice: raise(done, { id: "rice", delay: "given" }),
    unsetSoup: cancel("soup"),
    unsetRice: cancel("rice"),
    call: emit({ type: "cook.called" })
  }
}).createMachine({
  id: "stove",
  context: { put: 0 },
  initial: "hot",
  states: {
    hot: {
      on: {
        "pot.put": [{ guard: "isSoup", actions: ["count", "setSoup"] }, { actions: ["count", "setRice"] }],
        "pot.taken": [{ guard: "isSoup", actions: "unsetSoup" }, { actions: "unsetRice" }],
        "pot.stirred": { actions: "call" },
        "pot.done": { actions: "call" },
        "cook.looked": { guard: "isPatient", actions: "call" },
        "cook.hurried": { guard: "isCareful", actions: "call" }
      }
    }
  }
})

const pot = fc.constantFrom<Pot>("soup", "rice")
// `nth` counts back among all timers that were ever armed, most of which were replaced, cancelled or have fired.
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constant("pot.put" as const), pot, ms: fc.nat({ max: 100 }) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("pot.taken" as const), pot }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant("fire" as const), nth: fc.nat({ max: 6 }) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constantFrom("pot.stirred" as const, "cook.looked" as const) }) }
)
const steps = fc.array(step, { maxLength: 60, size: "max" })
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

interface Moment {
  readonly step: Step
  readonly nowMs: number
  readonly fired: Timer | undefined
  readonly before: Situation<typeof stove>
  readonly after: Situation<typeof stove>
  readonly actions: Decision<typeof stove>[1]
}

function live(steps: ReadonlyArray<Step>): ReadonlyArray<Moment> {
  const armed: Array<Timer> = []
  let situation = begin(stove, undefined, 0)[0]
  return steps.flatMap((step, nowMs): ReadonlyArray<Moment> => {
    const before = situation
    const fired = step.type === "fire" ? armed.at(-1 - step.nth) : undefined
    if (step.type === "fire" && fired === undefined) return []
    const [after, actions] = fired
      ? fire(stove, before, fired, nowMs)
      : decide(stove, before, step as StoveEvent, nowMs)
    situation = after
    if (step.type === "pot.put") armed.push(after.timers.get(step.pot)!)
    return [{ step, nowMs, fired, before, after, actions }]
  })
}

const property = (title: string, check: (moments: ReadonlyArray<Moment>) => void) =>
  test(title, () => fc.assert(fc.property(steps, (steps) => check(live(steps)))))

/** The reference: which timers there are after each step. */
function timersOf(moments: ReadonlyArray<Moment>): ReadonlyArray<Record<string, Timer>> {
  const timers: Record<string, Timer> = {}
  let armed = 0
  return moments.map(({ fired, nowMs, step }) => {
    if (step.type === "pot.put")
      timers[step.pot] = { id: step.pot, event: "pot.done", armed: ++armed, dueAtMs: nowMs + step.ms }
    if (step.type === "pot.taken") delete timers[step.pot]
    if (fired && timers[fired.id]?.armed === fired.armed) delete timers[fired.id]
    return { ...timers }
  })
}

property("D1: a timer that was cancelled or replaced changes nothing when it fires after all", (moments) => {
  for (const { actions, after, before, fired } of moments) {
    if (fired === undefined) continue
    const isLive = [...before.timers.values()].includes(fired)
    expect(actions).toEqual(isLive ? [{ type: "cook.called" }] : [])
    expect(after === before).toBe(!isLive)
  }
})

property("the timers there are, are those that were armed and neither cancelled nor replaced nor fired", (moments) => {
  expect(moments.map(({ after }) => Object.fromEntries(after.timers))).toEqual(timersOf(moments))
})

property("D2: a step that changes nothing and asks for nothing returns the very same situation", (moments) => {
  for (const { actions, after, before, step } of moments) {
    const isSame = JSON.stringify(situationOf(before)) === JSON.stringify(situationOf(after))
    if (step.type === "cook.looked") expect(after).toBe(before)
    // Cancelling what is not there asks for something, though it changes nothing.
    if (isSame && actions.length === 0 && step.type !== "pot.taken") expect(after).toBe(before)
  }
})

const situationOf = ({ armings, snapshot, timers }: Situation<typeof stove>) => [
  snapshot,
  [...timers.values()],
  armings
]

test("what a guard throws is thrown, and what no pure machine may do is a defect", () => {
  const [situation] = begin(stove, undefined, 0)
  expect(() => decide(stove, situation, { type: "cook.hurried" }, 0)).toThrow("the guard burns")
  const impure = setup({ actions: { sing: () => {} } }).createMachine({ entry: "sing" })
  expect(() => begin(impure, undefined, 0)).toThrow("sing is not an action of a pure machine")
})

test("the steps above fire live, cancelled, replaced and fired timers", () => {
  const lives = fc.sample(steps, { numRuns: 100, seed: 1 }).map(live)
  const reached = lives.flatMap((moments) =>
    moments.flatMap(({ before, fired }, index) => {
      if (fired === undefined) return []
      const other = before.timers.get(fired.id)
      if (other !== undefined) return [other === fired ? "live" : "replaced"]
      const isFired = moments.slice(0, index).some((moment) => moment.fired === fired && moment.after !== moment.before)
      return [isFired ? "fired" : "cancelled"]
    })
  )
  expect([...new Set(reached)].toSorted()).toEqual(["cancelled", "fired", "live", "replaced"])
})
