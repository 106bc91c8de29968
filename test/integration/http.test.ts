/** The front of a whole server: what comes in over HTTP, good and bad, and what goes out. */
import { it } from "@effect/vitest"
import { Effect } from "effect"
import { expect } from "vitest"
import { keyOf, sign } from "../../src/adapters/webhook/signature.ts"
import { exposed } from "../unit/exposition.ts"
import { openCallbackServer } from "./callback-server.ts"
import { raw } from "./front-door.ts"
import { startMain } from "./main-process.ts"
import { startModelServer } from "./model-server.ts"
import { withDatabase } from "./postgres.ts"

const secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
const token = "an-operators-token"

/** A running server with one account, its model and its callback. */
const server = Effect.gen(function* () {
  const url = yield* withDatabase
  const callback = yield* openCallbackServer({ secret, lateMs: 0, fateOf: () => "take" })
  const model = yield* Effect.acquireRelease(
    Effect.promise(() => startModelServer()),
    (opened) => Effect.promise(() => opened.close())
  )
  const yaml = `channels:
  - { kind: webhook, account: demo, secret: "${secret}", callback: "${callback.url}" }
limits: { bodyMaxBytes: 4096 }
`
  const env = { DATABASE_URL: url, PARLEY_MODEL: model.url, PARLEY_TOKEN: token }
  const main = yield* Effect.sync(() => startMain({ yaml, env }))
  const address = yield* Effect.promise(() => main.ready())
  return { address, callback, main }
})

let events = 0
async function post(address: string, body: string | Uint8Array, change: Record<string, string> = {}) {
  const signed = sign(keyOf(secret)!, `event-${++events}`, Date.now(), body)
  const headers = { ...signed, ...change }
  const answer = await fetch(`${address}/api/webhook/demo`, { method: "POST", headers, body: body as BodyInit })
  const text = await answer.text()
  return { status: answer.status, text, id: signed["webhook-id"], headers: answer.headers }
}

const bodyOf = (text: unknown, conversation: unknown = "c") => JSON.stringify({ conversation, user: { id: "u" }, text })

it.live("bad input is answered with its status and in words, and harms nobody", () =>
  Effect.gen(function* () {
    const { address, callback } = yield* server
    yield* Effect.promise(async () => {
      expect(await post(address, "{")).toMatchObject({ status: 422 })
      expect(await post(address, bodyOf(1))).toMatchObject({ status: 422, text: expect.stringContaining("text") })
      expect(await post(address, bodyOf("x", ""))).toMatchObject({
        status: 422,
        text: expect.stringContaining("conversation")
      })
      expect(await post(address, Uint8Array.of(0x7b, 0xff, 0xfe))).toMatchObject({
        status: 422,
        text: expect.stringContaining("UTF-8")
      })
      expect(await post(address, bodyOf("x".repeat(5000)))).toMatchObject({ status: 413 })
      expect(await post(address, bodyOf("x"), { "webhook-signature": "v1,AAAA" })).toMatchObject({ status: 401 })
      expect(await post(address, bodyOf("x"), { "webhook-timestamp": "1" })).toMatchObject({ status: 401 })
      expect((await fetch(`${address}/api/webhook/nobody`, { method: "POST" })).status).toBe(404)
      expect((await fetch(`${address}/api/webhook/demo`)).status).toBe(404)
      // One of a batch that PostgreSQL would refuse, were it stored as it came.
      const together = await Promise.all(
        ["before", "nul \0, lone \ud800", "after"].map((text, n) => post(address, bodyOf(text, `c${n}`)))
      )
      expect(together.map(({ status }) => status)).toEqual([202, 202, 202])
      await expect.poll(() => callback.deliveries().length, { timeout: 20_000 }).toBe(3)
      const bodies = callback.deliveries().map(({ body }) => JSON.parse(body))
      expect(bodies.find(({ conversation }) => conversation === "c1").text).toBe("echo: nul \uFFFD, lone \uFFFD")
    })
  })
)

it.live("a body that is announced too large is not read, and one that grows too large is cut off", () =>
  Effect.gen(function* () {
    const { address } = yield* server
    yield* Effect.promise(async () => {
      const head = "POST /api/webhook/demo HTTP/1.1\r\nhost: localhost\r\n"
      expect(await raw(address, `${head}content-length: 1000000\r\n\r\n`, 5_000)).toMatch(/^HTTP\/1.1 413/)
      const chunk = `800\r\n${"x".repeat(0x800)}\r\n`
      expect(await raw(address, `${head}transfer-encoding: chunked\r\n\r\n${chunk.repeat(4)}`, 5_000)).toMatch(
        /^HTTP\/1.1 413/
      )
      expect(await raw(address, `${head}x: ${"y".repeat(20_000)}\r\n\r\n`, 5_000)).toMatch(/^HTTP\/1.1 431/)
      expect(await raw(address, head, 20_000)).toMatch(/^HTTP\/1.1 408/)
    })
  })
)

it.live("a replay inside the tolerance is a duplicate, and answered once", () =>
  Effect.gen(function* () {
    const { address, callback } = yield* server
    yield* Effect.promise(async () => {
      const body = bodyOf("once")
      const signed = sign(keyOf(secret)!, "the-same", Date.now(), body)
      const send = async () =>
        (await fetch(`${address}/api/webhook/demo`, { method: "POST", headers: signed, body })).json()
      expect(await send()).toEqual({ accepted: true, duplicate: false })
      expect(await send()).toEqual({ accepted: true, duplicate: true })
      await expect.poll(() => callback.deliveries().length, { timeout: 20_000 }).toBe(1)
      expect(await send()).toEqual({ accepted: true, duplicate: true })
      expect(JSON.parse(callback.deliveries()[0]!.body)).toEqual({
        conversation: "c",
        text: "echo: once",
        turn: 1,
        in_reply_to: ["the-same"],
        outcome: "answered"
      })
    })
  })
)

it.live("/metrics needs the token, and its terms add up; health is open", () =>
  Effect.gen(function* () {
    const { address, callback } = yield* server
    yield* Effect.promise(async () => {
      for (const text of ["one", "two", "/stop"]) expect((await post(address, bodyOf(text))).status).toBe(202)
      await expect.poll(() => callback.deliveries().length, { timeout: 20_000 }).toBeGreaterThan(0)
      const read = (authorization?: string) =>
        fetch(`${address}/metrics`, authorization === undefined ? {} : { headers: { authorization } })
      expect((await read()).status).toBe(401)
      expect((await read("Bearer wrong")).status).toBe(401)
      const terms = async () => {
        const text = await (await read(`Bearer ${token}`)).text()
        return Object.fromEntries(
          [...text.matchAll(/^parley_events_([a-z]+?)(?:_total)?\{.*\} (\d+)$/gm)].map(([, term, count]) => [
            term,
            Number(count)
          ])
        )
      }
      await expect.poll(async () => (await terms())["pending"] ?? 0, { timeout: 20_000 }).toBe(0)
      const { accepted, ...others } = await terms()
      expect(accepted).toBe(3)
      expect(Object.values<number>(others).reduce((sum, count) => sum + count, 0)).toBe(3)
      expect(others).toMatchObject({ ignored: 1 })
      expect(exposed(await (await read(`Bearer ${token}`)).text())).toEqual([])
      expect((await fetch(`${address}/health/live`)).status).toBe(200)
      expect(await (await fetch(`${address}/health/ready`)).json()).toMatchObject({ ready: true })
    })
  })
)
