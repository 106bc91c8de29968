/** What a session says and remembers; that nothing is lost is told in web-conversation.property.ts. */
import { expect, test } from "vitest"
import type { ClientFrame, ServerFrame } from "../../src/adapters/web/frames.ts"
import type { Socket } from "../../web/src/connection.ts"
import { begin, step } from "../../web/src/conversation.ts"
import { Session, typingEveryMs } from "../../web/src/session.ts"
import { Shelf } from "../../web/src/shelf.ts"

function world() {
  const stored = new Map<string, string>()
  const shelf = new Shelf({ get: (name) => stored.get(name), set: (name, text) => void stored.set(name, text) })
  const said: Array<ClientFrame> = []
  const timers: Array<() => void> = []
  let sockets: Array<Socket> = []
  let nowMs = 0
  let ids = 0
  const open = () => {
    const send = (data: string) => void said.push(JSON.parse(data))
    const socket: Socket = { onopen: null, onmessage: null, onclose: null, send, close: () => {} }
    sockets = [...sockets, socket]
    return socket
  }
  const session = () =>
    new Session("key", {
      now: () => nowMs,
      random: () => 0,
      after: (_, then) => {
        timers.push(then)
        return () => {}
      },
      open,
      uuid: () => `id ${++ids}`,
      shelf,
      changed: () => {},
      refused: () => {}
    })
  const hear = (...frames: ReadonlyArray<ServerFrame>) => {
    for (const frame of frames) sockets.at(-1)!.onmessage?.({ data: JSON.stringify(frame) })
  }
  const meet = () => sockets.at(-1)!.onopen?.()
  const pass = (ms: number) => {
    nowMs += ms
  }
  return { session, shelf, stored, said, hear, meet, pass, timers, sockets: () => sockets.length }
}

const welcome = (conversation: string, seq = 0): ServerFrame => ({ type: "welcome", conversation, seq })

test("a conversation is listed with its first message, under its first words, and its id is in no title", () => {
  const { session, shelf, hear, meet } = world()
  const one = session()
  meet()
  hear(welcome("secret"))
  expect(shelf.entries()).toEqual([])
  one.write("Hello there")
  expect(shelf.entries()).toEqual([{ key: "key", id: "secret", title: "Hello there", atMs: 0 }])
})

test("a message written before the first welcome belongs to the conversation that it brings", () => {
  const { session, shelf, said, hear, meet } = world()
  session().write("early")
  meet()
  hear(welcome("c"))
  expect(said).toEqual([{ type: "hello" }, { type: "message", id: "id 1", text: "early" }])
  expect(shelf.entry("key")?.id).toBe("c")
})

test("a failed message is still a failed one after a reload, and sent with the same id when the person says so", () => {
  const { session, shelf, said, hear, meet } = world()
  session().write("too long")
  meet()
  hear(welcome("c"), { type: "rejected", id: "id 1", reason: "too-long" })
  const again = session()
  meet()
  hear(welcome("c"))
  expect(again.state.outgoing).toMatchObject([{ id: "id 1", status: "failed", reason: "too-long" }])
  expect(said.filter(({ type }) => type === "message")).toHaveLength(1)
  again.sendAgain("id 1")
  expect(said.at(-1)).toEqual({ type: "message", id: "id 1", text: "too long" })
  expect(shelf.unsent("key")[0]).not.toHaveProperty("reason")
  hear({ type: "rejected", id: "id 1", reason: "too-long" })
  again.discard("id 1")
  expect([again.state.outgoing, shelf.unsent("key")]).toEqual([[], []])
})

test("of a history that is not ours all is asked for, and the list follows", () => {
  const { session, shelf, said, hear, meet, sockets, timers } = world()
  const one = session()
  meet()
  hear(welcome("a"))
  one.write("x")
  hear({ type: "message", seq: 7, role: "user", id: "id 1", text: "x", turn: 1, atMs: 1 })
  const before = sockets()
  hear(welcome("b", 3))
  for (const then of timers.splice(0)) then()
  meet()
  expect([sockets() > before, said.at(-1), shelf.entry("key")?.id]).toEqual([
    true,
    { type: "hello", conversation: "b" },
    "b"
  ])
})

test("of two tabs that begin one conversation, the second joins the first", () => {
  const { session, shelf, said, hear, meet, timers } = world()
  shelf.put({ key: "key", title: "t", atMs: 0 })
  const one = session()
  meet()
  shelf.adopt("key", "first")
  hear(welcome("second"))
  expect(one.state.isLive).toBe(false)
  for (const then of timers.splice(0)) then()
  meet()
  expect(said.at(-1)).toEqual({ type: "hello", conversation: "first" })
})

test("typing is said at most every two seconds, and again after a message", () => {
  const { session, said, hear, meet, pass } = world()
  const one = session()
  meet()
  hear(welcome("c"))
  const count = () => said.filter(({ type }) => type === "typing").length
  one.typing()
  pass(typingEveryMs - 1)
  one.typing()
  expect(count()).toBe(1)
  pass(1)
  one.typing()
  expect(count()).toBe(2)
  one.write("x")
  one.typing()
  expect(count()).toBe(3)
})

test("a draft of which nothing is written any more is not shown", () => {
  const delta = { type: "delta", turn: 1, attempt: 1, at: 0, text: "half an ans" } as const
  for (const value of ["done", "typing", "awaiting-model"] as const) {
    expect(step(step(begin("c"), delta), { type: "state", value }).draft).toBeUndefined()
  }
  expect(step(step(begin("c"), delta), { type: "state", value: "streaming" }).draft?.text).toBe("half an ans")
})
