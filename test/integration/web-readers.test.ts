/** Readers who do not read, do not answer, or do not say who they are: on virtual time, over real sockets. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { expect } from "vitest"
import { WebSocket } from "ws"
import { openWeb } from "../../src/adapters/web/web.ts"
import { openSockets } from "../../src/http/ws.ts"
import { settle } from "./conformance-bench.ts"
import { PageClient } from "./page-client.ts"

const thread = "ab".repeat(16)

/** The web chat of one conversation without messages, its server, and the sockets on the server's side. */
const bench = Effect.gen(function* () {
  const adapter = yield* openWeb({
    account: "chat",
    history: () => Effect.succeed({ seq: 0, messages: [] }),
    wait: () => Effect.succeed({ ahead: 3, waitMs: 20_000 }),
    typing: () => {}
  })
  const server = createServer()
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
    () => Effect.promise(() => new Promise((resolve) => server.close(resolve)))
  )
  const sockets: Array<WebSocket> = []
  const connect = (socket: WebSocket) => {
    sockets.push(socket)
    adapter.connect?.(socket)
  }
  yield* openSockets(server, { connect: () => connect, refuse: () => undefined })
  yield* Effect.forkScoped(Effect.scoped(adapter.listen(() => Effect.never)))
  yield* settle
  return { adapter, sockets, url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/ws` }
})

const passSeconds = (count: number) =>
  Effect.repeat(Effect.andThen(TestClock.adjust(1_000), settle), { times: count - 1 })

it.effect("who waits is told how many are before them, and how long that takes", () =>
  Effect.gen(function* () {
    const { adapter, url } = yield* bench
    const page = new PageClient(url, thread)
    yield* Effect.promise(() => page.connect())
    adapter.show?.(thread, { type: "recorded", seq: 0, turn: 1, attempt: 1, value: "awaiting-model" })
    yield* passSeconds(1)
    expect(page.frames.at(-1)).toEqual({ type: "state", value: "awaiting-model", ahead: 3, waitMs: 20_000 })
    page.cut()
  })
)

it.effect("a page that takes nothing is not written to without end, is closed, and sees the rest when it is back", () =>
  Effect.gen(function* () {
    const { adapter, sockets, url } = yield* bench
    const page = new PageClient(url, thread)
    yield* Effect.promise(() => page.connect())
    page.socket.pause()
    const text = "x".repeat(100_000)
    const say = (count: number) => {
      for (let nth = 0; nth < count; nth++, at += text.length) {
        adapter.show?.(thread, { type: "text", turn: 1, attempt: 1, at, text })
      }
    }
    let at = 0
    adapter.show?.(thread, { type: "recorded", seq: 0, turn: 1, attempt: 1, value: "awaiting-model" })
    say(200)
    yield* settle
    // What the kernel takes is its own; beyond it one frame of what came meanwhile may wait.
    const buffered = sockets[0]!.bufferedAmount
    say(50)
    yield* settle
    expect(sockets[0]!.bufferedAmount).toBeLessThanOrEqual(buffered + 64)
    expect(buffered).toBeLessThan(21_000_000)
    yield* passSeconds(20)
    expect(sockets[0]!.readyState).not.toBe(WebSocket.OPEN)
    const back = new PageClient(url, thread)
    yield* Effect.promise(() => back.connect())
    yield* Effect.promise(() => back.until(() => back.frames.some(({ type }) => type === "delta")))
    const deltas = back.frames.filter((frame) => frame.type === "delta")
    expect(deltas.map((delta) => [delta.at, delta.text.length])).toEqual([[0, at]])
    back.cut()
    page.cut()
  })
)

it.effect("who does not answer pings is gone after two of them, and who does stays", () =>
  Effect.gen(function* () {
    const { sockets, url } = yield* bench
    const page = new PageClient(url, thread)
    yield* Effect.promise(() => page.connect())
    const dead = new WebSocket(url, { autoPong: false })
    yield* Effect.promise(() => new Promise((resolve) => dead.once("open", resolve)))
    dead.send(JSON.stringify({ type: "hello" }))
    yield* passSeconds(61)
    expect(sockets.map(({ readyState }) => readyState)).toEqual([WebSocket.OPEN, WebSocket.OPEN])
    yield* passSeconds(30)
    expect(sockets.map(({ readyState }) => readyState)).toEqual([WebSocket.OPEN, WebSocket.CLOSED])
    page.cut()
  })
)

it.effect("who says no hello is sent away after ten seconds", () =>
  Effect.gen(function* () {
    const { url } = yield* bench
    const page = new PageClient(url)
    yield* Effect.promise(() => page.open())
    yield* passSeconds(9)
    expect(page.closed).toBe(undefined)
    yield* passSeconds(2)
    yield* Effect.promise(() => page.until(() => page.closed !== undefined))
    expect(page.closed).toMatchObject({ code: 1008, reason: "expected a hello" })
  })
)
