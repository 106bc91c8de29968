/** How the token becomes a cookie, what guessing gains, and what is cut before anybody looks at it. */
import { it } from "@effect/vitest"
import { Effect, Redacted, References } from "effect"
import { expect } from "vitest"
import { listen } from "../../src/http/server.ts"
import { type Ask, ask, raw, startServer, token } from "./front-door.ts"

const typed = (text: string, more: Ask = {}): Ask => ({
  method: "POST",
  ...more,
  headers: { "content-type": "application/x-www-form-urlencoded", ...more.headers },
  body: new URLSearchParams({ token: text }).toString()
})
const locked = startServer({ PARLEY_TOKEN: token, AI_DEBUG: "true" })

it.live("a person logs in, stays so, and logs out; nothing of it is in the log", () =>
  Effect.gen(function* () {
    const { address, main } = yield* locked
    yield* Effect.promise(async () => {
      const navigation = await ask(address, "/", { headers: { accept: "text/html,*/*;q=0.8" } })
      expect(navigation).toMatchObject({ status: 303, headers: { location: "/login" } })
      const page = await ask(address, "/login")
      expect(page).toMatchObject({ status: 200, text: expect.stringContaining('<html lang="en">') })
      expect(page.headers["referrer-policy"]).toBe("same-origin")
      const chinese = await ask(address, "/login", { headers: { "accept-language": "fr, zh-CN;q=0.9, en;q=0.8" } })
      expect(chinese.text).toContain('<html lang="zh-Hans">')

      const wrong = await ask(address, "/login", typed("wrong-guess-of-a-token"))
      expect(wrong).toMatchObject({ status: 401, text: expect.stringContaining('role="alert"') })
      expect(wrong.headers["set-cookie"]).toBeUndefined()
      const right = await ask(address, "/login", typed(token, { headers: { origin: address } }))
      expect(right).toMatchObject({ status: 303, headers: { location: "/" } })
      const [setCookie = ""] = right.headers["set-cookie"] ?? []
      expect(setCookie).toMatch(
        /^parley_session=\d{13}\.[\w-]{43}; Path=\/; Max-Age=2592000; HttpOnly; SameSite=Strict$/
      )
      const host = new URL(address).host
      const overTls = await ask(address, "/login", typed(token, { headers: { origin: `https://${host}` } }))
      expect(overTls.headers["set-cookie"]?.[0]).toMatch(/; SameSite=Strict; Secure$/)

      const cookie = setCookie.split(";")[0] ?? ""
      const session = await ask(address, "/api/session", { headers: { cookie } })
      expect([session.status, session.text]).toEqual([200, '{"login":true,"model":"default"}'])
      const out = await ask(address, "/logout", { method: "POST", headers: { cookie } })
      expect(out).toMatchObject({ status: 303, headers: { location: "/login" } })
      expect(out.headers["set-cookie"]?.[0]).toMatch(/^parley_session=; Path=\/; Max-Age=0; /)

      const stale = await ask(address, "/api/session", { headers: { cookie: `parley_session=1.${"A".repeat(43)}` } })
      expect(stale.status).toBe(401)
      expect(stale.headers["set-cookie"]?.[0]).toMatch(/^parley_session=; /)
      expect(main.output()).toContain("Parley is ready")
      for (const secret of [token, cookie.split(".")[1] ?? "", "wrong-guess"]) {
        expect(main.output()).not.toContain(secret)
      }
    })
  })
)

it.live("a form that is none is refused, and one that is too long is not read", () =>
  Effect.gen(function* () {
    const { address } = yield* locked
    yield* Effect.promise(async () => {
      const posted = (body: string, type: string) =>
        ask(address, "/login", { method: "POST", headers: { "content-type": type }, body })
      expect((await posted(JSON.stringify({ token }), "application/json")).status).toBe(415)
      expect((await posted("", "application/x-www-form-urlencoded")).status).toBe(401)
      expect((await ask(address, "/login", typed("x".repeat(5000)))).status).toBe(413)
      const head = `POST /login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-www-form-urlencoded\r\n`
      const chunk = `800\r\n${"x".repeat(0x800)}\r\n`
      const grown = await raw(address, `${head}transfer-encoding: chunked\r\n\r\n${chunk.repeat(4)}`, 5_000)
      expect(grown).toMatch(/^HTTP\/1.1 413/)
    })
  })
)

it.live("ten wrong tokens are enough, and then the right one helps nobody from there", () =>
  Effect.gen(function* () {
    const { address } = yield* locked
    yield* Effect.promise(async () => {
      const [mallory, ann] = ["127.0.2.1", "127.0.2.2"]
      const bearer = (text: string, from: string) =>
        ask(address, "/metrics", { headers: { authorization: `Bearer ${text}` }, from })
      const before = await ask(address, "/login", typed(token, { from: mallory }))
      const cookie = before.headers["set-cookie"]?.[0]?.split(";")[0] ?? ""
      expect((await ask(address, "/api/session", { headers: { cookie }, from: mallory })).status).toBe(200)
      for (let nth = 0; nth < 5; nth++) {
        expect((await bearer(`guess-${nth}`, mallory)).status).toBe(401)
        expect((await ask(address, "/login", typed(`guess-${nth}`, { from: mallory }))).status).toBe(401)
      }
      for (const text of ["guess", token]) {
        const limited = await bearer(text, mallory)
        expect(limited.status).toBe(429)
        expect(Number(limited.headers["retry-after"])).toBeGreaterThan(50)
        const page = await ask(address, "/login", typed(text, { from: mallory }))
        expect(page).toMatchObject({ status: 429, text: expect.stringContaining('role="alert"') })
        expect(Number(page.headers["retry-after"])).toBeGreaterThan(50)
      }
      expect((await ask(address, "/api/session", { headers: { cookie }, from: mallory })).status).toBe(200)
      expect((await ask(address, "/health/live", { from: mallory })).status).toBe(200)
      expect((await bearer(token, ann)).status).toBe(200)
    })
  })
)

it.live("what is long or crooked is refused", () =>
  Effect.gen(function* () {
    const { address } = yield* locked
    yield* Effect.promise(async () => {
      const get = (target: string, ...fields: ReadonlyArray<string>) =>
        raw(address, `${[`GET ${target} HTTP/1.1`, ...fields, "connection: close"].join("\r\n")}\r\n\r\n`, 5_000)
      const host = "host: localhost"
      expect(await get("/login")).toMatch(/^HTTP\/1.1 400/)
      expect(await get("/login", host, host)).toMatch(/^HTTP\/1.1 400/)
      expect(await get("/login", host)).toMatch(/^HTTP\/1.1 200/)
      expect(await get("http://evil.example/login", host)).toMatch(/^HTTP\/1.1 421/)
      expect(await get(`/login?${"x".repeat(20_000)}`, host)).toMatch(/^HTTP\/1.1 431/)
      expect(await get("/login", host, ...Array.from({ length: 100 }, (_, nth) => `x-${nth}: 1`))).toMatch(
        /^HTTP\/1.1 431/
      )
      const bearer = `authorization: Bearer ${token}`
      for (const path of ["/../package.json", "/assets/../../package.json", "/..%2f..%2fpackage.json", "/%00"]) {
        expect(await get(path, host, bearer)).toMatch(/^HTTP\/1.1 404/)
      }
    })
  })
)

/** Node's own default is 5 s: browsers and proxies keep a connection for longer, and would find it gone. */
const idleMs = 30_000
/** Longer than all that a request may take. */
const slowAnswerMs = 40_000

it.live("a request that is slow is cut off; an answer that is slow, or an idle connection, is not", () =>
  Effect.gen(function* () {
    const address = yield* listen({
      ...{ host: "127.0.0.1", port: 0, token: Redacted.make(token), allowedHosts: [], allowedOrigins: [] },
      ...{ connect: () => undefined, accountOf: () => undefined, configured: [], bodyMaxBytes: 1024 },
      // Nobody asks these.
      v1: { models: [{ name: "none" }], limits: {} } as never,
      operator: { operations: {} } as never,
      health: Effect.succeed({ ready: true, durability: "strict", parts: {}, models: [] }),
      metrics: Effect.as(Effect.sleep(slowAnswerMs), "late")
    })
    const headers = "POST /login HTTP/1.1\r\nhost: localhost\r\n"
    const body = `${headers}content-type: application/x-www-form-urlencoded\r\ncontent-length: 100\r\n\r\ntoken=`
    yield* Effect.promise(async () => {
      const idle = "GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n"
      const [kept, slowHeaders, slowBody, answer] = await Promise.all([
        raw(address, idle, idleMs),
        raw(address, headers, 25_000),
        raw(address, body, 45_000),
        ask(address, "/metrics", { headers: { authorization: `Bearer ${token}` } })
      ])
      expect(kept).toBe("open")
      expect(slowHeaders).toMatch(/^HTTP\/1.1 408/)
      expect(slowBody).toMatch(/^(HTTP\/1.1 408|$)/)
      expect(answer).toMatchObject({ status: 200, text: "late" })
    })
  }).pipe(Effect.provideService(References.MinimumLogLevel, "None"))
)
