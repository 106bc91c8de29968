/** The page's connection comes back by itself: told with a clock, a network and chance of our own. */
import fc from "fast-check"
import { expect, test } from "vitest"
import {
  Connection,
  type ConnectionStatus,
  delayFirstMs,
  delayMaxMs,
  delayOf,
  type Socket,
  steadyMs,
  welcomeMaxMs
} from "../../web/src/connection.ts"
import { parseFrame } from "../../web/src/frame.ts"

const welcome = { type: "welcome", conversation: "c", seq: 0 } as const

function open(random = 0.5) {
  const sockets: Array<Socket & { readonly sent: Array<string>; isClosed: boolean }> = []
  const heard: Array<string> = []
  const statuses: Array<ConnectionStatus> = []
  let timers: Array<{ readonly atMs: number; readonly then: () => void }> = []
  let nowMs = 0
  let refusals = 0
  const connection = new Connection(
    {
      now: () => nowMs,
      random: () => random,
      after: (delayMs, then) => {
        const timer = { atMs: nowMs + delayMs, then }
        timers.push(timer)
        return () => {
          timers = timers.filter((other) => other !== timer)
        }
      },
      open: () => {
        const sent: Array<string> = []
        const close = () => {
          socket.isClosed = true
        }
        const send = (data: string) => void sent.push(data)
        const socket = { sent, isClosed: false, onopen: null, onmessage: null, onclose: null, send, close }
        sockets.push(socket)
        return socket
      }
    },
    {
      hello: () => ({ type: "hello", since: heard.length }),
      frame: ({ type }) => heard.push(type),
      status: (status) => statuses.push(status),
      refused: () => void refusals++
    }
  )
  const pass = (ms: number) => {
    const untilMs = nowMs + ms
    for (;;) {
      const next = timers.toSorted((a, b) => a.atMs - b.atMs)[0]
      if (next === undefined || next.atMs > untilMs) break
      timers.splice(timers.indexOf(next), 1)
      nowMs = next.atMs
      next.then()
    }
    nowMs = untilMs
  }
  const last = () => sockets.at(-1)!
  const say = (frame: unknown) => last().onmessage?.({ data: JSON.stringify(frame) })
  return {
    connection,
    sockets,
    heard,
    statuses,
    pass,
    last,
    say,
    timers: () => timers.length,
    refusals: () => refusals,
    now: () => nowMs
  }
}

test("it says hello first, and is live from the welcome on", () => {
  const { connection, heard, last, say, statuses } = open()
  expect(connection.send({ type: "stop" })).toBe(false)
  last().onopen?.()
  expect(last().sent).toEqual(['{"type":"hello","since":0}'])
  say(welcome)
  expect(statuses.map(({ phase }) => phase)).toEqual(["connecting", "live"])
  expect(connection.send({ type: "stop" })).toBe(true)
  expect(last().sent).toEqual(['{"type":"hello","since":0}', '{"type":"stop"}'])
  expect(heard).toEqual(["welcome"])
})

test("a connection that ends is opened again, with what is known by then", () => {
  const { last, pass, say, sockets, statuses, refusals } = open()
  last().onopen?.()
  say(welcome)
  pass(steadyMs)
  last().onclose?.()
  expect(statuses.at(-1)).toEqual({ phase: "waiting", retryAtMs: steadyMs + 375 })
  pass(374)
  expect(sockets).toHaveLength(1)
  pass(1)
  expect(sockets).toHaveLength(2)
  last().onopen?.()
  expect(last().sent).toEqual(['{"type":"hello","since":1}'])
  expect(refusals()).toBe(0)
})

test("each failure makes the pause longer, up to its limit; a steady connection makes it short again", () => {
  const { last, now, pass, refusals, say, statuses } = open()
  const pauses: Array<number> = []
  for (let i = 0; i < 10; i++) {
    last().onclose?.()
    const status = statuses.at(-1)!
    const pauseMs = status.phase === "waiting" ? status.retryAtMs - now() : 0
    pauses.push(pauseMs)
    pass(pauseMs)
  }
  expect(pauses.map((pause) => pause / 0.75)).toEqual([1, 2, 4, 8, 16, 30, 30, 30, 30, 30].map((s) => s * 1_000))
  expect(refusals()).toBe(10)
  // A server that welcomes and dies at once is not asked twice a second.
  say(welcome)
  last().onclose?.()
  expect(statuses.at(-1)).toEqual({ phase: "waiting", retryAtMs: now() + 0.75 * delayMaxMs })
  pass(delayMaxMs)
  say(welcome)
  pass(steadyMs)
  last().onclose?.()
  expect(statuses.at(-1)).toEqual({ phase: "waiting", retryAtMs: now() + 0.75 * delayFirstMs })
})

test("a server that does not say welcome is tried anew", () => {
  const { last, pass, sockets, statuses } = open()
  last().onopen?.()
  pass(welcomeMaxMs)
  expect([sockets[0]!.isClosed, statuses.at(-1)?.phase]).toEqual([true, "waiting"])
})

test("waking ends a pause at once, and disturbs no connection", () => {
  const { connection, last, sockets } = open()
  connection.wake()
  expect(sockets).toHaveLength(1)
  last().onclose?.()
  connection.wake()
  expect(sockets).toHaveLength(2)
})

const happening = fc.oneof(
  fc.constantFrom("open", "welcome", "message", "junk", "close", "stale close", "wake", "restart"),
  fc.integer({ min: 1, max: 20_000 })
)
type World = ReturnType<typeof open>

function happen({ connection, last, pass, say, sockets }: World, what: string | number): void {
  if (typeof what === "number") pass(what)
  if (what === "open") last().onopen?.()
  if (what === "welcome") say(welcome)
  if (what === "message") say({ type: "accepted", id: "a" })
  if (what === "junk") last().onmessage?.({ data: "{" })
  if (what === "close") last().onclose?.()
  if (what === "stale close") sockets[0]!.onclose?.()
  if (what === "wake") connection.wake()
  if (what === "restart") connection.restart()
}

test("K1: While it is not closed for good, it is connected or has a time at which it tries again.", () => {
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 60, size: "max" }), (story) => {
      const world = open()
      for (const what of story) {
        happen(world, what)
        const { phase } = world.statuses.at(-1)!
        expect(world.sockets.filter(({ isClosed }) => !isClosed).length).toBeLessThanOrEqual(1)
        expect(world.timers()).toBe(phase === "live" ? 0 : 1)
      }
    })
  )
})

test("K2: A delay is never more than `delayMaxMs`, nor less than half of what it grew to.", () => {
  const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
  fc.assert(
    fc.property(fc.nat(), chance, (failures, random) => {
      const grownMs = Math.min(delayMaxMs, delayFirstMs * 2 ** failures)
      expect(delayOf(failures, random)).toBeGreaterThanOrEqual(grownMs / 2)
      expect(delayOf(failures, random)).toBeLessThanOrEqual(grownMs)
    })
  )
})

test("K3: After `close` nothing is heard of it, and nothing is opened.", () => {
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 20 }), fc.array(happening), (before, after) => {
      const world = open()
      for (const what of before) happen(world, what)
      world.connection.close()
      const seen = [world.sockets.length, world.statuses.length, world.heard.length]
      for (const what of after) happen(world, what)
      expect([world.sockets.length, world.statuses.length, world.heard.length]).toEqual(seen)
      expect([world.timers(), world.last().isClosed || world.last().onclose === null]).toEqual([0, true])
    })
  )
})

test("what is not a frame is left out, whatever it is", () => {
  const good = { type: "message", seq: 1, role: "user", text: "a", turn: 1, atMs: 1 }
  expect(parseFrame(JSON.stringify(good))).toEqual(good)
  for (const bad of [{ ...good, seq: "1" }, { ...good, role: "root" }, { type: "toString" }, { type: 1 }, null, []]) {
    expect(parseFrame(JSON.stringify(bad))).toBeUndefined()
  }
  fc.assert(fc.property(fc.oneof(fc.json(), fc.string(), fc.anything()), (data) => parseFrame(data) === undefined))
})
