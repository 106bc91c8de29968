/** The laws of the conversation machine, over any life of a person, a model and a server that dies. */
import fc from "fast-check"
import { expect, test } from "vitest"
import {
  type ConversationAction,
  type ConversationEvent,
  type ConversationSettings,
  conversationMachine,
  heldMax,
  refresh,
  typingMs
} from "../../src/machines/conversation.ts"
import { begin, type Decision, decide, fire, type Situation } from "../../src/machines/decide.ts"
import { statesOf, transitionsOf, wayOfStep } from "./taken-transitions.ts"

const turnMaxMs = 60_000
const settleMaxMs = 1_200

// `late` says by how many turns or attempts an event comes too late. Numbers drawn at random would rarely meet the
// running turn, and the deep states would go untested.
const late: fc.Arbitrary<{ readonly turns: number; readonly attempts: number }> = fc.oneof(
  { weight: 5, arbitrary: fc.constant({ turns: 0, attempts: 0 }) },
  { weight: 1, arbitrary: fc.record({ turns: fc.constantFrom(0, 1, 2), attempts: fc.constantFrom(0, 1, 2) }) }
)
/** Positions are counted over all conversations: between two of ours lie others. */
const others = fc.nat({ max: 2 })
const writes = fc.record({ type: fc.constant("user.message" as const), others })
const stops = fc.record({ type: fc.constant("user.stop" as const), others })
const waitMs: fc.Arbitrary<number> = fc.constantFrom(400, settleMaxMs, 30_000)
const waits = fc.record({ type: fc.constant("wait" as const), ms: waitMs })
const step = fc.oneof(
  { weight: 5, arbitrary: waits },
  { weight: 4, arbitrary: writes },
  { weight: 1, arbitrary: stops },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("user.typing" as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constantFrom("actor.resumed" as const, "actor.gave-up" as const) }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("inference.started" as const), late }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("inference.finished" as const), late }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("inference.restarted" as const), late, more: fc.nat(1) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("inference.failed" as const),
      late,
      reason: fc.constantFrom("busy" as const, "too-long" as const, "broken" as const, "down" as const)
    })
  }
)
const steps = fc.array(step, { maxLength: 80, size: "max" })
const settings = fc.record({
  policy: fc.constantFrom("collect" as const, "interrupt" as const),
  settleMs: fc.constantFrom(0, settleMaxMs),
  turnMaxMs: fc.constant(turnMaxMs)
})
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never
type Current = Situation<typeof conversationMachine>

interface Moment {
  readonly atMs: number
  /** A timer's is of a type that nobody else sends. */
  readonly event: { readonly type: string }
  readonly before: Current
  readonly after: Current
  readonly actions: ReadonlyArray<ConversationAction>
}
type Life = ReadonlyArray<Moment>

/** Lives through the steps on a clock of its own, on which timers fire in the order they are due. */
function live(settings: ConversationSettings, steps: ReadonlyArray<Step>): Life {
  let nowMs = 0
  let position = 0
  let situation: Current = begin(conversationMachine, settings, nowMs)[0]
  const life: Array<Moment> = []
  const follow = (event: Moment["event"], before: Current, [after, actions]: Decision<typeof conversationMachine>) => {
    life.push({ atMs: nowMs, event, before, after, actions })
    situation = after
  }
  for (const step of steps) {
    if (step.type === "wait") {
      const untilMs = nowMs + step.ms
      for (;;) {
        const due = [...situation.timers.values()].toSorted((a, b) => a.dueAtMs - b.dueAtMs)[0]
        if (due === undefined || due.dueAtMs > untilMs) break
        nowMs = due.dueAtMs
        follow({ type: due.event }, situation, fire(conversationMachine, situation, due, nowMs))
      }
      nowMs = untilMs
      continue
    }
    if ("others" in step) position += 1 + step.others
    const before = step.type === "actor.resumed" ? restored(situation, settings) : situation
    const event = eventOf(step, situation.snapshot.context, position)
    follow(event, before, decide(conversationMachine, before, event, nowMs))
  }
  return life
}

function eventOf(step: Exclude<Step, { type: "wait" }>, now: { turn: number; attempt: number }, position: number) {
  if ("others" in step) return { type: step.type, position } satisfies ConversationEvent
  if (!("late" in step)) return step satisfies ConversationEvent
  const { late, ...event } = step
  const of = { turn: now.turn - late.turns, attempt: now.attempt - late.attempts }
  if (!("more" in event)) return { ...event, ...of } satisfies ConversationEvent
  return { type: event.type, ...of, next: of.attempt + 1 + event.more } satisfies ConversationEvent
}

/** As its next owner finds it, after a crash. */
function restored(situation: Current, settings: ConversationSettings): Current {
  const { context, value } = JSON.parse(JSON.stringify(situation.snapshot))
  return { ...situation, snapshot: conversationMachine.resolveState({ value, context: refresh(context, settings) }) }
}

const property = (title: string, check: (life: Life, settings: ConversationSettings, steps: Array<Step>) => void) =>
  test(title, () => {
    fc.assert(
      fc.property(settings, steps, (settings, steps) => void check(live(settings, steps), settings, steps)),
      { numRuns: 300 }
    )
  })

type End = Extract<ConversationAction, { upTo: number }>

const actionsOf = (life: Life) => life.flatMap(({ actions }) => actions)
const endsIn = (actions: ReadonlyArray<ConversationAction>) =>
  actions.filter((action): action is End => "upTo" in action)
const requestsIn = (actions: ReadonlyArray<ConversationAction>) => actions.filter((a) => a.type === "inference.request")
const stateAfter = (life: Life) => life.at(-1)?.after.snapshot.value ?? "done"
const isWritten = ({ event }: Moment) => event.type === "user.message"
const positionOf = ({ event }: Moment) => ("position" in event ? Number(event.position) : Number.NaN)
const reachOf = (end: End) => ("dropTo" in end ? Math.max(end.dropTo, end.upTo) : end.upTo)
const isAnswering = ({ snapshot }: Current) => typeof snapshot.value === "object"
const silence: ReadonlyArray<Step> = [1, 2, 3, 4].map(() => ({ type: "wait", ms: turnMaxMs + settleMaxMs }))

property("C1: a turn ends once, and before the next one is requested", (life) => {
  const over = new Set<number>()
  let running: number | undefined
  for (const { actions } of life) {
    const ends = endsIn(actions)
    for (const { turn } of ends) {
      expect(over).not.toContain(turn)
      if (running !== undefined) expect(turn).toBe(running)
    }
    for (const action of actions) {
      if ("upTo" in action) over.add(action.turn)
      if (action.type === "inference.cancel") {
        expect(action.turn).toBe(running)
        // An interrupted turn is over without an end: the next one answers for it.
        over.add(action.turn)
      }
      if (running !== undefined && over.has(running)) running = undefined
      if (action.type !== "inference.request") continue
      expect(over).not.toContain(action.turn)
      expect([undefined, action.turn]).toContain(running)
      running = action.turn
    }
  }
})

property("C2: an event of an earlier turn or attempt changes nothing", (life, settings, steps) => {
  const punctual = steps.filter((step) => !("late" in step) || (step.late.turns === 0 && step.late.attempts === 0))
  const same = live(settings, punctual)
  expect(actionsOf(life)).toEqual(actionsOf(same))
  expect(stateAfter(life)).toEqual(stateAfter(same))
})

/** The reference: what each end of a turn settles, in the words of a person who watches. */
function settledBy(life: Life): ReadonlyArray<ReadonlyArray<number>> {
  let asked: ReadonlyArray<number> = []
  let unasked: ReadonlyArray<number> = []
  let turn = 0
  const settled: Array<ReadonlyArray<number>> = []
  for (const moment of life) {
    if (isWritten(moment)) unasked = [...unasked, positionOf(moment)]
    for (const action of moment.actions) {
      if (action.type === "inference.request" && action.turn > turn) {
        turn = action.turn
        asked = [...asked, ...unasked]
        unasked = []
      } else if (action.type === "turn.stopped") {
        settled.push([...asked, ...unasked])
        asked = unasked = []
      } else if ("upTo" in action) {
        settled.push(asked)
        asked = []
      }
    }
  }
  return settled
}

property(
  "C3: every message is settled by the end of exactly one turn, and turns settle messages in order",
  (_, s, steps) => {
    const life = live(s, [...steps, ...silence])
    const written = life.filter(isWritten).map(positionOf)
    let before = 0
    const settled = endsIn(actionsOf(life)).map((end) => {
      const range = written.filter((position) => position > before && position <= reachOf(end))
      before = Math.max(before, reachOf(end))
      return range
    })
    expect(settled).toEqual(settledBy(life))
    expect(settled.flat()).toEqual(written)
  }
)

property("C4: a turn asks about every message since the last one that ended, once the person is quiet", (life, s) => {
  let last = { position: 0, atMs: 0, turn: 0 }
  let asked = new Map<number, number>()
  for (const { actions, atMs, event } of life) {
    for (const action of actions) {
      if (action.type === "message.keep") last = { position: action.position, atMs, turn: action.turn }
      if (action.type === "inference.request" && !asked.has(action.turn)) {
        expect(atMs - last.atMs).toBeGreaterThanOrEqual(s.settleMs)
        // The prompt is made of all rows up to the turn.
        expect(last.turn).toBe(action.turn)
        asked = new Map([...asked, [action.turn, last.position]])
      }
      if ("upTo" in action) expect(action.upTo).toBe(asked.get(action.turn) ?? last.position)
    }
    if (event.type === "user.message") expect(actions.filter((a) => a.type === "message.keep")).toHaveLength(1)
  }
})

property("C5: from every state silence leads to `done`, and a turn nobody answers ends in words", (_, s, steps) => {
  const life = live(s, [...steps, { type: "user.message", others: 0 }, ...silence])
  expect(life.at(-1)?.after.snapshot.value).toBe("done")
  expect(life.at(-1)?.after.timers.size).toBe(0)
  expect(actionsOf(life).at(-1)).toMatchObject({
    type: "turn.failed",
    reason: "overdue",
    upTo: positionOf(life.findLast(isWritten)!)
  })
})

property("C6: a turn that is resumed asks the same again, as a higher attempt", (_, settings, steps) => {
  const onTime = { turns: 0, attempts: 0 }
  const life = live(settings, [...steps, { type: "actor.resumed" }, { type: "inference.finished", late: onTime }])
  const [resumed, finished] = [life.at(-2)!, life.at(-1)!]
  const { asked, attempt, turn } = resumed.before.snapshot.context
  if (!isAnswering(resumed.before)) return expect(actionsOf([resumed, finished])).toEqual([])
  expect(resumed.actions).toEqual([{ type: "inference.request", turn, attempt: attempt + 1 }])
  const requests = requestsIn(actionsOf(life.slice(0, -2))).filter((request) => request.turn === turn)
  for (const request of requests) expect(request.attempt).toBeLessThan(attempt + 1)
  expect(finished.actions[0]).toEqual({ type: "turn.answered", turn, attempt: attempt + 1, upTo: asked })
})

const c7 = "C7: a stop cancels the running turn, settles all that was written before it, and is itself ignored"
property(c7, (_, settings, steps) => {
  const life = live(settings, [...steps, { type: "user.stop", others: 1 }, ...silence])
  const index = life.findLastIndex(({ event }) => event.type === "user.stop")
  const stop = life[index]!
  const { turn } = stop.before.snapshot.context
  const types = stop.actions.map(({ type }) => type)
  if (isAnswering(stop.before)) expect(stop.actions[0]).toEqual({ type: "inference.cancel", turn })
  expect(types.filter((type) => type === "turn.stopped")).toHaveLength(stop.before.snapshot.value === "done" ? 0 : 1)
  expect(stop.actions.at(-1)).toEqual({ type: "command.ignore", position: positionOf(stop) })
  const written = life.slice(0, index).filter(isWritten).map(positionOf)
  const reach = Math.max(0, ...endsIn(actionsOf(life.slice(0, index + 1))).map(reachOf))
  expect(reach).toBe(written.at(-1) ?? 0)
  expect(life.slice(index + 1)).toEqual([])
})

const c8 = "C8: a person who goes on writing holds the turn back, for `heldMax` times `typingMs` at most"
property(c8, (life, { settleMs }) => {
  let since = { atMs: 0, messages: 0 }
  for (const { after, atMs, before, event } of life) {
    const [was, is] = [before.snapshot, after.snapshot]
    if (was.value !== "typing") since = { atMs, messages: 0 }
    if (event.type === "user.message") since = { ...since, messages: since.messages + 1 }
    if (is.value !== "typing") continue
    const held = is.context.held
    const due = [...after.timers.values()].map(({ dueAtMs }) => dueAtMs)
    if (event.type === "user.typing") expect(due).toEqual(held > was.context.held ? [atMs + typingMs] : dueOf(before))
    expect(held).toBeLessThanOrEqual(heldMax)
    expect(Math.max(...due) - since.atMs).toBeLessThanOrEqual(since.messages * settleMs + heldMax * typingMs)
  }
})

const dueOf = ({ timers }: Current) => [...timers.values()].map(({ dueAtMs }) => dueAtMs)

test("the steps above reach every state, every transition and every action", () => {
  const samples = fc.sample(fc.tuple(settings, steps), { numRuns: 300, seed: 1 })
  const moments = samples.flatMap(([settings, steps]) => live(settings, steps))
  const ways = moments.map(({ before, event }) => wayOfStep(conversationMachine, before.snapshot, event))
  const reached = (values: ReadonlyArray<string>) => [...new Set(values)].toSorted()
  expect(reached(ways.flatMap(({ states }) => states))).toEqual(["conversation", ...statesOf(conversationMachine)])
  expect(reached(ways.flatMap(({ transitions }) => transitions))).toEqual(transitionsOf(conversationMachine))
  const actions = actionsOf(moments).map((action) => ("reason" in action ? action.reason : action.type))
  expect(reached(actions)).toEqual(
    reached([
      ...["busy", "too-long", "broken", "down", "overdue", "turn.answered", "turn.stopped"],
      ...["message.keep", "command.ignore", "inference.request", "inference.cancel"]
    ])
  )
  expect(actionsOf(moments).some((action) => action.type === "turn.stopped" && action.dropTo > action.upTo)).toBe(true)
})
