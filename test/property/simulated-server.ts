/** A model server with so many slots and a queue, asked by clients without end, on time of its own. */
import { emptyLimit, type Limit, refuse, type Sent, sentOf, slotsOf, speak } from "../../src/inference/aimd-limit.ts"

export interface Simulation {
  readonly seed: number
  /** It decodes so many together from a time on, and takes so many times as long for each. */
  readonly slots: ReadonlyArray<{ readonly fromMs: number; readonly count: number; readonly slowness?: number }>
  /** Beyond these it refuses. */
  readonly queueMax: number
  /** Of an idle server, on average. */
  readonly firstTokenMs: number
  readonly answerMs: number
  /** A part of the prompts is in its cache, and takes a tenth of the time. */
  readonly cachedPart?: number
  readonly limitMax: number
  readonly untilMs: number
}

export interface Seen {
  readonly atMs: number
  readonly limit: number
  readonly inFlight: number
}

interface Arrived {
  readonly sent: Sent
  readonly atMs: number
}

const restMs = 1_000

export function simulate(simulation: Simulation): ReadonlyArray<Seen> & { readonly done: number } {
  const world = worldOf(simulation)
  for (const { fromMs } of simulation.slots) at(world, fromMs, () => pump(world))
  let event = take(world)
  while (event !== undefined && event.atMs <= simulation.untilMs) {
    world.nowMs = event.atMs
    event.happen()
    world.seen.push({ atMs: world.nowMs, limit: world.limit.value, inFlight: world.inFlight })
    event = take(world)
  }
  return Object.assign(world.seen, { done: world.done })
}

interface World extends Simulation {
  readonly limit: Limit
  readonly random: () => number
  readonly events: Array<{ readonly atMs: number; readonly happen: () => void }>
  readonly queue: Array<Arrived>
  readonly seen: Array<Seen>
  nowMs: number
  restsUntilMs: number
  inFlight: number
  decoding: number
  done: number
}

function worldOf(simulation: Simulation): World {
  const { limitMax, seed } = simulation
  return {
    ...simulation,
    ...{ limit: emptyLimit(limitMax), random: randomOf(seed), events: [], queue: [], seen: [] },
    ...{ nowMs: 0, restsUntilMs: 0, inFlight: 0, decoding: 0, done: 0 }
  }
}

/** Lehmer's. */
function randomOf(seed: number): () => number {
  let state = 1 + (seed % 2_147_483_646)
  return () => {
    state = (state * 48_271) % 2_147_483_647
    return state / 2_147_483_647
  }
}

function at({ events }: World, atMs: number, happen: () => void): void {
  events.push({ atMs, happen })
}

function take({ events }: World) {
  const first = events.reduce((least, { atMs }, index) => (atMs < events[least]!.atMs ? index : least), 0)
  return events.splice(first, 1)[0]
}

const present = ({ nowMs, slots }: World) => slots.findLast(({ fromMs }) => fromMs <= nowMs)!

/** Decodes what waits there, and sends as many more as the limit lets. */
function pump(world: World): void {
  while (world.queue.length > 0 && world.decoding < present(world).count) decode(world, world.queue.shift()!)
  while (world.nowMs >= world.restsUntilMs && world.inFlight < slotsOf(world.limit)) {
    world.inFlight++
    const arrived = { sent: sentOf(world.limit, world.inFlight, 100), atMs: world.nowMs }
    if (world.decoding < present(world).count) decode(world, arrived)
    else if (world.queue.length < world.queueMax) world.queue.push(arrived)
    else {
      refuse(world.limit, arrived.sent, world.inFlight)
      world.inFlight--
      world.restsUntilMs = world.nowMs + restMs
      at(world, world.restsUntilMs, () => pump(world))
    }
  }
}

function decode(world: World, { atMs, sent }: Arrived): void {
  const { answerMs, cachedPart = 0, firstTokenMs, nowMs, random } = world
  const { slowness = 1 } = present(world)
  const isCached = random() < cachedPart
  const first = nowMs + slowness * firstTokenMs * (isCached ? 0.1 : 1) * (0.8 + 0.4 * random())
  world.decoding++
  at(world, first, () => {
    speak(world.limit, sent, world.nowMs - atMs)
    pump(world)
  })
  at(world, first + slowness * answerMs * (0.5 + random()), () => {
    world.decoding--
    world.inFlight--
    world.done++
    pump(world)
  })
}
