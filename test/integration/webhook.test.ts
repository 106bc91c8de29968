import * as net from "node:net"
import { Effect, Exit, Fiber, Redacted, Result, Scope } from "effect"
import { TestClock } from "effect/testing"
import { expect, test } from "vitest"
import { Ambiguous, NotSent } from "../../src/adapters/adapter.ts"
import { BadWebhookAccount, openWebhook, sendsMax, type WebhookOptions } from "../../src/adapters/webhook/webhook.ts"
import { type CallbackOptions, openCallbackServer } from "./callback-server.ts"
import { conformance } from "./conformance.ts"
import { intakeOf, outboundOf, settle } from "./conformance-bench.ts"
import { sealed, secret, webhookHarness } from "./webhook-bench.ts"

conformance("webhook", { harness: webhookHarness(), isHttp: true })

const open = (change: Partial<Omit<WebhookOptions, "secret">> & { readonly secret?: string }) =>
  openWebhook({
    account: "demo",
    callback: "http://127.0.0.1:1/",
    ...change,
    secret: Redacted.make(change.secret ?? secret)
  })

const opened = Effect.fnUntraced(function* (fateOf: CallbackOptions["fateOf"]) {
  const server = yield* openCallbackServer({ secret, lateMs: 5_000, fateOf })
  return { server, adapter: yield* open({ callback: server.url }) }
})

const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) =>
  Effect.runPromise(Effect.scoped(effect).pipe(Effect.provide(TestClock.layer())))

const bads: ReadonlyArray<readonly [change: Parameters<typeof open>[0], field: string, words: string]> = [
  [{ account: "a/b" }, "account", "letters, digits"],
  [{ account: "" }, "account", "letters, digits"],
  [{ secret: "hunter2-hunter2-hunter2-hunter2" }, "secret", "openssl rand"],
  [{ secret: "" }, "secret", "openssl rand"],
  [{ callback: "127.0.0.1:9/hunter2" }, "callback", "http or https"],
  [{ callback: "file:///hunter2" }, "callback", "http or https"],
  [{ callback: "http://hunter2@host/" }, "callback", "no name or password"],
  [{ callback: "http://me:hunter2@host/" }, "callback", "no name or password"]
]

test.each(bads)("an account %o is refused by its field, and the value is not repeated", (change, field, words) =>
  run(
    Effect.gen(function* () {
      const bad = yield* Effect.flip(open(change))
      expect(bad).toBeInstanceOf(BadWebhookAccount)
      expect(bad).toMatchObject({ field, reason: expect.stringContaining(words) })
      expect(bad.reason).not.toContain("hunter2")
    })
  )
)

test("the account goes by its name and address, in any of their forms", () =>
  run(
    Effect.forEach(["http://[::1]:9/a?b=c", "https://example.org", "http://h:80/"], (callback) => open({ callback }))
  ))

test("sends in turn share one connection, and the scope's end closes it", () =>
  run(
    Effect.gen(function* () {
      const server = yield* openCallbackServer({
        secret,
        lateMs: 0,
        fateOf: (_, nth) => (nth < 3 ? "unavailable" : "take")
      })
      const scope = yield* Scope.make()
      const adapter = yield* open({ callback: server.url }).pipe(Scope.provide(scope))
      for (let nth = 0; nth < 20; nth++) yield* Effect.exit(adapter.send(outboundOf(nth % 3)))
      expect(server.deliveries()).toHaveLength(20)
      expect(server.connections()).toEqual({ opened: 1, open: 1 })
      yield* Scope.close(scope, Exit.void)
      yield* settle
      expect(server.connections().open).toBe(0)
    })
  ))

test("at most `sendsMax` sends are under way, and the others' time does not count before their turn", () =>
  run(
    Effect.gen(function* () {
      const { adapter, server } = yield* opened(() => "late")
      const sends = yield* Effect.forkScoped(
        Effect.forEach(
          Array.from({ length: 3 * sendsMax }, (_, nth) => outboundOf(nth)),
          adapter.send,
          {
            concurrency: "unbounded"
          }
        )
      )
      for (const wave of [1, 2, 3]) {
        yield* server.arrived(wave * sendsMax)
        yield* settle
        expect(server.deliveries()).toHaveLength(wave * sendsMax)
        yield* TestClock.adjust(5_000)
      }
      expect(yield* Fiber.join(sends)).toHaveLength(3 * sendsMax)
    })
  ))

test("a send that is interrupted gives its connection and its turn back", () =>
  run(
    Effect.gen(function* () {
      const { adapter, server } = yield* opened((_, attempt) => (attempt === 1 ? "late" : "take"))
      const sends = Array.from({ length: sendsMax }, (_, nth) => outboundOf(nth))
      const first = yield* Effect.forkScoped(Effect.forEach(sends, adapter.send, { concurrency: "unbounded" }))
      yield* server.arrived(sendsMax)
      yield* Fiber.interrupt(first)
      yield* settle
      expect(server.connections().open).toBe(0)
      yield* adapter.send(outboundOf(0))
      expect(server.deliveries().at(-1)?.fate).toBe("take")
    })
  ))

/** A server that says the same to everybody, whatever it is sent. */
const saying = (...words: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.callback<net.Server>((resume) => {
      const server = net.createServer((socket) => {
        socket.on("error", () => undefined)
        socket.once("data", () => {
          for (const word of words) socket.write(word)
          if (words.length === 0) socket.end()
        })
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )

const answering = Effect.fnUntraced(function* (...words: ReadonlyArray<string>) {
  const { port } = (yield* saying(...words)).address() as net.AddressInfo
  return yield* open({ callback: `http://127.0.0.1:${port}/t0ken` })
})

test("an endless body of an answer is not read to its end: the head has said it all", () =>
  run(
    Effect.gen(function* () {
      const adapter = yield* answering("HTTP/1.1 200 OK\r\ncontent-length: 9999999\r\n\r\n", "x".repeat(200_000))
      expect(yield* adapter.send(outboundOf(1))).toBe("")
    })
  ))

test("a body that stops in the middle does not make a delivery ambiguous", () =>
  run(
    Effect.gen(function* () {
      const adapter = yield* answering("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
      const send = yield* Effect.forkScoped(adapter.send(outboundOf(1)))
      yield* settle
      expect(send.pollUnsafe()).toBe(undefined)
      yield* TestClock.adjust(adapter.limits.sendMaxMs)
      expect(yield* Fiber.join(send)).toBe("")
    })
  ))

test.each([
  ["nothing", []],
  ["no HTTP", ["garbage\r\n\r\n"]],
  ["half a head", ["HTTP/1.1 200 OK\r\n"]],
  ["another protocol", ["HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"]],
  ["a head without end", [`HTTP/1.1 200 OK\r\nx: ${"y".repeat(100_000)}`]]
])("an answer that is %s leaves a message ambiguous", (_, words) =>
  run(
    Effect.gen(function* () {
      const adapter = yield* answering(...words)
      const send = yield* Effect.forkScoped(Effect.result(adapter.send(outboundOf(1))))
      yield* settle
      yield* TestClock.adjust(adapter.limits.sendMaxMs)
      const sent = yield* Fiber.join(send)
      expect(Result.isFailure(sent) && sent.failure).toBeInstanceOf(Ambiguous)
      expect(JSON.stringify(sent)).not.toContain("t0ken")
    })
  )
)

test("a TLS handshake that fails has sent nothing", () =>
  run(
    Effect.gen(function* () {
      const { port } = (yield* saying("no TLS here")).address() as net.AddressInfo
      const adapter = yield* open({ callback: `https://127.0.0.1:${port}/` })
      expect(yield* Effect.flip(adapter.send(outboundOf(1)))).toBeInstanceOf(NotSent)
    })
  ))

test("the words of a refusal say what happened, and when to come again", () =>
  run(
    Effect.gen(function* () {
      const adapter = yield* open({})
      const request = yield* sealed("event", Buffer.from('{"conversation":"c","user":{"id":"u"},"text":"t"}'))
      expect(yield* adapter.receive!(request)).toEqual({
        status: 503,
        headers: { "retry-after": "1" },
        body: {
          error: {
            code: "not_accepted",
            message: "the account is being opened: send it again, with the same webhook-id"
          }
        }
      })
      const intake = intakeOf()
      yield* Effect.forkScoped(adapter.listen(intake.accept), { startImmediately: true })
      expect(yield* adapter.receive!(request)).toEqual({ status: 202, body: { accepted: true, duplicate: false } })
      expect(yield* adapter.receive!({ ...request, headers: {} })).toEqual({
        status: 401,
        body: {
          error: {
            code: "unauthorized",
            message: "the header webhook-id, webhook-timestamp, webhook-signature is missing"
          }
        }
      })
    })
  ))
