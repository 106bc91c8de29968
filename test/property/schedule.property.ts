/** The laws of schedule.ts, after each step of any life of it. */
import fc from "fast-check"
import { expect, test } from "vitest"
import * as Schedule from "../../src/inference/schedule.ts"

interface Request {
  readonly id: number
  readonly user: string
}
type State = Schedule.Schedule<Request>
type Ticket = Schedule.Ticket<Request>

const limits = fc.record({ slotsMax: fc.integer({ min: 1, max: 4 }), queueMax: fc.integer({ min: 0, max: 12 }) })
const users = ["ann", "bob", "cy"]
// `nth` counts among the requests that are there, so that most commands meet one.
const nth = fc.nat({ max: 5 })
const command = fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constant("admit" as const), user: fc.constantFrom(...users) }) },
  { weight: 4, arbitrary: fc.constant({ type: "fill" as const }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constantFrom("release" as const, "requeue" as const), nth }) },
  { weight: 1, arbitrary: fc.constant({ type: "requeue all" as const }) }
)
const commands = fc.array(command, { maxLength: 120, size: "max" })
type Command = typeof command extends fc.Arbitrary<infer C> ? C : never

/** What is to be seen of a request, as the schedule is changed in place. */
interface View extends Request {
  readonly state: "waiting" | "running" | "gone"
  readonly deaths: number
}
interface Moment {
  readonly command: Command
  readonly before: ReadonlyArray<View>
  readonly after: ReadonlyArray<View>
  /** What `fill` started, as it was while it waited. */
  readonly batch: ReadonlyArray<View>
  readonly isRefused: boolean
  readonly places: ReadonlyArray<readonly [id: number, place: number | undefined]>
  /** In which order all who wait would start if nothing else happened. */
  readonly order: ReadonlyArray<number>
}

const viewOf = ({ deaths, request, state }: Ticket): View => ({ ...request, state, deaths })

function live(limits: Schedule.Limits, commands: ReadonlyArray<Command>): ReadonlyArray<Moment> {
  const state: State = Schedule.empty(limits)
  const tickets: Array<Ticket> = []
  return commands.map((command): Moment => {
    const before = tickets.map(viewOf)
    let isRefused = false
    let started: ReadonlyArray<Ticket> = []
    const running = [...state.running]
    if (command.type === "admit") {
      const ticket = Schedule.admit(state, { id: tickets.length, user: command.user })
      if (ticket) tickets.push(ticket)
      isRefused = ticket === undefined
    } else if (command.type === "fill") started = Schedule.fill(state)
    else if (command.type === "release") {
      const ticket = tickets.filter(({ state }) => state !== "gone")[command.nth]
      if (ticket) Schedule.release(state, ticket)
    } else if (command.type === "requeue") {
      const ticket = running[command.nth]
      if (ticket) Schedule.requeue(state, ticket)
      // Losses arrive in any order.
    } else for (const ticket of running.toReversed()) Schedule.requeue(state, ticket)
    const batch = started.map(({ request }) => before[request.id]!)
    const waiting = tickets.filter(({ state }) => state === "waiting")
    const places = waiting.map((ticket) => [ticket.request.id, Schedule.placeOf(state, ticket)] as const)
    return { command, before, after: tickets.map(viewOf), batch, isRefused, places, order: orderOf(state) }
  })
}

function orderOf(state: State): ReadonlyArray<number> {
  const copy = structuredClone(state)
  const order: Array<number> = []
  while (copy.waiting > 0) {
    for (const ticket of copy.running) Schedule.release(copy, ticket)
    order.push(...Schedule.fill(copy).map(({ request }) => request.id))
  }
  return order
}

const property = (title: string, check: (moments: ReadonlyArray<Moment>, limits: Schedule.Limits) => void) =>
  test(title, () => fc.assert(fc.property(limits, commands, (l, c) => check(live(l, c), l))))

const inState = (state: View["state"], views: ReadonlyArray<View>) => views.filter((view) => view.state === state)
const isSuspect = ({ deaths }: View) => deaths >= Schedule.deathsMax

const s1 = "S1: at most `slotsMax` requests run, and at most `slotsMax + queueMax` run or wait"
property(s1, (moments, { queueMax, slotsMax }) => {
  for (const { after, before, command, isRefused } of moments) {
    const present = (views: ReadonlyArray<View>) => views.filter(({ state }) => state !== "gone").length
    expect(inState("running", after).length).toBeLessThanOrEqual(slotsMax)
    expect(present(after)).toBeLessThanOrEqual(slotsMax + queueMax)
    expect(isRefused).toBe(command.type === "admit" && present(before) === slotsMax + queueMax)
  }
})

property("S2: a request waits, runs, or is gone: never two of these, and who is gone stays gone", (moments) => {
  for (const { after, before, command, order } of moments) {
    expect(order.toSorted((a, b) => a - b)).toEqual(inState("waiting", after).map(({ id }) => id))
    for (const view of before) {
      const { state } = after[view.id]!
      if (view.state === "gone") expect(state).toBe("gone")
      if (view.state !== state && state === "gone") expect(command.type).toMatch(/release|requeue/)
      if (view.state !== state && state === "running") expect(command.type).toBe("fill")
    }
  }
})

property("S3: requests of one user start for the first time in the order they were admitted", (moments) => {
  for (const user of users) {
    const starts = moments.flatMap(({ batch }) => batch.filter((view) => view.user === user && view.deaths === 0))
    expect(starts).toEqual(starts.toSorted((a, b) => a.id - b.id))
  }
})

property("S4: while a user waits, every other user starts at most one request for the first time", (moments) => {
  for (const user of users) {
    const overtaking = new Map<string, number>()
    for (const { batch, before } of moments) {
      const isNew = (view: View) => view.deaths === 0
      let left = inState("waiting", before).filter((view) => view.user === user && isNew(view)).length
      if (left === 0) overtaking.clear()
      for (const start of batch.filter(isNew)) {
        if (start.user === user) left--
        if (start.user === user || left === 0) overtaking.clear()
        else overtaking.set(start.user, (overtaking.get(start.user) ?? 0) + 1)
        expect(Math.max(0, ...overtaking.values())).toBeLessThanOrEqual(1)
      }
    }
  }
})

const s5 = "S5: after `fill` nothing waits, or no slot is free, or a suspect runs or is the next to run"
property(s5, (moments, { slotsMax }) => {
  for (const { after, command, order } of moments) {
    const running = inState("running", after)
    if (command.type !== "fill" || order.length === 0 || running.length === slotsMax) continue
    expect(running.length > 0 && [...running, after[order[0]!]!].some(isSuspect)).toBe(true)
  }
})

const s6 =
  "S6: who comes back starts before all who never started, and among themselves they keep the order of admission"
property(s6, (moments) => {
  for (const { after, order } of moments) {
    const returned = order.filter((id) => after[id]!.deaths > 0)
    expect(order.slice(0, returned.length)).toEqual(returned.toSorted((a, b) => a - b))
  }
})

const s7 =
  "S7: a suspect, which was running at `deathsMax` deaths of its engine, runs alone; one more death, and it is gone"
property(s7, (moments) => {
  for (const { after, before, command } of moments) {
    const running = inState("running", after)
    if (running.some(isSuspect)) expect(running.length).toBe(1)
    for (const view of before) {
      const { deaths, state } = after[view.id]!
      if (command.type === "requeue all" && view.state === "running") {
        expect({ deaths, state }).toEqual(
          isSuspect(view) ? { deaths: view.deaths, state: "gone" } : { deaths: view.deaths + 1, state: "waiting" }
        )
      } else if (command.type !== "requeue") expect(deaths).toBe(view.deaths)
    }
  }
})

property("`placeOf` is the order in which requests start when nothing else happens", (moments) => {
  for (const { order, places } of moments) {
    expect(places).toEqual(places.map(([id]) => [id, order.indexOf(id)]))
  }
})

test("the commands above reach every refusal, every return and every reason to wait", () => {
  const moments = fc.sample(fc.tuple(limits, commands), { numRuns: 100, seed: 1 }).flatMap(([l, c]) => {
    return live(l, c).map((moment) => ({ ...moment, ...l }))
  })
  const some = (is: (moment: (typeof moments)[number]) => boolean) => expect(moments.some(is)).toBe(true)
  const fills = moments.filter(({ command }) => command.type === "fill")
  some(({ isRefused }) => isRefused)
  some(({ after, before }) => before.some((view) => isSuspect(view) && after[view.id]!.state === "waiting"))
  some(({ after, before, command }) => {
    return (
      command.type === "requeue all" &&
      before.some(({ id, state }) => state === "running" && after[id]!.state === "gone")
    )
  })
  some(({ batch }) => batch.length > 2)
  some(({ after }) => new Set(inState("waiting", after).map(({ user }) => user)).size === users.length)
  some(({ after }) => inState("waiting", after).filter(({ deaths }) => deaths > 0).length > 2)
  for (const isDrained of [true, false]) {
    const waits = fills.some(({ after, order, slotsMax }) => {
      const running = inState("running", after)
      return order.length > 0 && running.length < slotsMax && running.some(isSuspect) === isDrained
    })
    expect(waits).toBe(true)
  }
})

test("10,000 requests of 5,000 users pass in constant time each", () => {
  const state: State = Schedule.empty({ slotsMax: 32, queueMax: 10_000 })
  const steps = 10_000
  const started = process.cpuUsage()
  const tickets = Array.from({ length: steps }, (_, id) => Schedule.admit(state, { id, user: `${id % 5_000}` })!)
  for (const ticket of tickets) {
    if (ticket.admission % 3 === 0) Schedule.release(state, ticket)
    for (const next of Schedule.fill(state)) Schedule.release(state, next)
  }
  const { user } = process.cpuUsage(started)
  expect(state.waiting + state.running.size).toBe(0)
  // About 1 µs each here; a linear walk takes 20 and more.
  expect(user / steps).toBeLessThan(15)
})
