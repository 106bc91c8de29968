/** Who may what: every route, asked by everybody, of a server with and without a token. */
import { it } from "@effect/vitest"
import { Effect } from "effect"
import { expect } from "vitest"
import { sessionValue } from "../../src/http/session-cookie.ts"
import { type Ask, ask, brokenEvent, pageStatus, startServer, token } from "./front-door.ts"

const json = { "content-type": "application/json" }
const upgrade = {
  connection: "upgrade",
  upgrade: "websocket",
  "sec-websocket-version": "13",
  "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA=="
}
const form = { headers: { "content-type": "application/x-www-form-urlencoded" }, body: `token=${token}` }

/** What each route says to whoever may use it. */
const ok: Record<string, { readonly status: number; readonly ask?: () => Ask }> = {
  "GET /": { status: pageStatus },
  "GET /assets/x": { status: 404 },
  "GET /login": { status: 303 },
  "POST /login": { status: 303, ask: () => form },
  "POST /logout": { status: 303 },
  "GET /api/session": { status: 200 },
  "GET /health/live": { status: 200 },
  "GET /health/ready": { status: 200 },
  "GET /metrics": { status: 200 },
  "GET /api/operator/status": { status: 200 },
  "GET /api/operator/conversations": { status: 200 },
  "GET /api/operator/conversation": { status: 422 },
  "GET /api/operator/dead-letters": { status: 200 },
  "GET /api/operator/dead-letters/7": { status: 404 },
  "POST /api/operator/dead-letters/7/replay": { status: 404 },
  "POST /api/operator/dead-letters/7/discard": { status: 404 },
  "POST /api/operator/forget": { status: 422 },
  "GET /v1/models": { status: 200 },
  "POST /v1/chat/completions": { status: 400, ask: () => ({ headers: json, body: "{}" }) },
  "POST /api/webhook/demo": { status: 422, ask: brokenEvent },
  "GET /ws": { status: 101, ask: () => ({ headers: upgrade }) },
  "GET /nothing": { status: 404 }
}

const withToken = `
                                               none    wrong    right   cookie   forged  expired   origin     host
GET /                                           401      401       ok       ok      401      401      403      421
GET /assets/x                                    ok       ok       ok       ok       ok       ok      403      421
GET /login                                      200      200       ok       ok      200      200      403      421
POST /login                                      ok       ok       ok       ok       ok       ok      403      421
POST /logout                                     ok       ok       ok       ok       ok       ok      403      421
GET /api/session                                401      401       ok       ok      401      401      403      421
GET /health/live                                 ok       ok       ok       ok       ok       ok       ok       ok
GET /health/ready                                ok       ok       ok       ok       ok       ok       ok       ok
GET /metrics                                    401      401       ok       ok      401      401      403      421
GET /api/operator/status                        401      401       ok       ok      401      401      403      421
GET /api/operator/conversations                 401      401       ok       ok      401      401      403      421
GET /api/operator/conversation                  401      401       ok       ok      401      401      403      421
GET /api/operator/dead-letters                  401      401       ok       ok      401      401      403      421
GET /api/operator/dead-letters/7                401      401       ok       ok      401      401      403      421
POST /api/operator/dead-letters/7/replay        401      401       ok       ok      401      401      403      421
POST /api/operator/dead-letters/7/discard       401      401       ok       ok      401      401      403      421
POST /api/operator/forget                       401      401       ok       ok      401      401      403      421
GET /v1/models                                  401      401       ok       ok      401      401      403      421
POST /v1/chat/completions                       401      401       ok       ok      401      401      403      421
POST /api/webhook/demo                           ok       ok       ok       ok       ok       ok      403      421
GET /ws                                         401      401       ok       ok      401      401      403      421
GET /nothing                                    401      401       ok       ok      401      401      403      421
`

const withoutToken = `
                                               none    wrong    right   cookie   forged  expired   origin     host
GET /                                            ok       ok       ok       ok       ok       ok      403      421
GET /assets/x                                    ok       ok       ok       ok       ok       ok      403      421
GET /login                                       ok       ok       ok       ok       ok       ok      403      421
POST /login                                      ok       ok       ok       ok       ok       ok      403      421
POST /logout                                     ok       ok       ok       ok       ok       ok      403      421
GET /api/session                                 ok       ok       ok       ok       ok       ok      403      421
GET /health/live                                 ok       ok       ok       ok       ok       ok       ok       ok
GET /health/ready                                ok       ok       ok       ok       ok       ok       ok       ok
GET /metrics                                     ok       ok       ok       ok       ok       ok      403      421
GET /api/operator/status                         ok       ok       ok       ok       ok       ok      403      421
GET /api/operator/conversations                  ok       ok       ok       ok       ok       ok      403      421
GET /api/operator/conversation                   ok       ok       ok       ok       ok       ok      403      421
GET /api/operator/dead-letters                   ok       ok       ok       ok       ok       ok      403      421
GET /api/operator/dead-letters/7                 ok       ok       ok       ok       ok       ok      403      421
POST /api/operator/dead-letters/7/replay         ok       ok       ok       ok       ok       ok      403      421
POST /api/operator/dead-letters/7/discard        ok       ok       ok       ok       ok       ok      403      421
POST /api/operator/forget                        ok       ok       ok       ok       ok       ok      403      421
GET /v1/models                                   ok       ok       ok       ok       ok       ok      403      421
POST /v1/chat/completions                        ok       ok       ok       ok       ok       ok      403      421
POST /api/webhook/demo                           ok       ok       ok       ok       ok       ok      403      421
GET /ws                                          ok       ok       ok       ok       ok       ok      403      421
GET /nothing                                     ok       ok       ok       ok       ok       ok      403      421
`

const bearer = { authorization: `Bearer ${token}` }
const cookie = (value: string) => ({ cookie: `parley_session=${value}` })
const dayMs = 86_400_000
/** Who asks, by the heads of the columns. */
const askers: Record<string, () => Record<string, string>> = {
  none: () => ({}),
  wrong: () => ({ authorization: `Bearer ${token}x` }),
  right: () => bearer,
  cookie: () => cookie(sessionValue(token, Date.now() + dayMs)),
  forged: () => cookie(sessionValue("a guess", Date.now() + dayMs)),
  expired: () => cookie(sessionValue(token, Date.now() - 1)),
  origin: () => ({ ...bearer, origin: "http://evil.example" }),
  host: () => ({ ...bearer, host: "evil.example" })
}

it.live.each([
  ["with a token", withToken, { PARLEY_TOKEN: token }],
  ["without a token", withoutToken, {}]
] as const)("%s", ([, table, env]) =>
  Effect.gen(function* () {
    const { address } = yield* startServer(env)
    const [heads = [], ...rows] = table
      .trim()
      .split("\n")
      .map((line) => line.trim().split(/\s{2,}/))
    expect(heads).toEqual(Object.keys(askers))
    expect(rows.map(([route]) => route)).toEqual(Object.keys(ok))
    const seen: Array<string> = []
    const expected: Array<string> = []
    let askedFrom = 0
    for (const [route = "", ...cells] of rows) {
      const [method = "", path = ""] = route.split(" ")
      const { ask: more = (): Ask => ({}), status } = ok[route]!
      for (const [index, head] of heads.entries()) {
        const { body, headers } = more()
        const from = `127.0.1.${++askedFrom}`
        const sent = { method, from, headers: { ...headers, ...askers[head]?.() }, ...(body !== undefined && { body }) }
        const answer = yield* Effect.promise(() => ask(address, path, sent))
        seen.push(`${route}, ${head}: ${answer.status}`)
        if (path.startsWith("/v1/") && answer.status >= 400)
          expect(JSON.parse(answer.text).error).toMatchObject(asOpenAi)
        expected.push(`${route}, ${head}: ${cells[index] === "ok" ? status : cells[index]}`)
        // What follows an upgrade is no page.
        if (answer.status === 101) continue
        expect([route, head, answer.headers]).toEqual([route, head, expect.objectContaining(hardHeaders)])
      }
    }
    expect(seen).toEqual(expected)
  })
)

const inGeneral = {
  ready: true,
  durability: "strict",
  parts: { database: "up", model: "up", channels: "up" }
}

it.live("addresses, files and accounts stand in health for whoever has the token alone", () =>
  Effect.gen(function* () {
    for (const [env, entitled] of [
      [{ PARLEY_TOKEN: token }, ["right", "cookie"]],
      [{}, ["none", "wrong", "right", "cookie", "forged", "expired"]]
    ] as const) {
      const { address } = yield* startServer(env)
      for (const [index, [head, headers]] of Object.entries(askers).entries()) {
        const sent = { from: `127.0.2.${index + 1}`, headers: headers() }
        const answer = JSON.parse((yield* Effect.promise(() => ask(address, "/health/ready", sent))).text)
        if (!(entitled as ReadonlyArray<string>).includes(head)) expect([head, answer]).toEqual([head, inGeneral])
        else {
          expect([head, answer.parts]).toEqual([
            head,
            { database: "up", model: "up", "web/chat": "up", "webhook/demo": "up" }
          ])
          expect(answer.models[0].servers[0].server).toMatch(/^http:\/\/127/)
        }
      }
    }
  })
)

/** The clients of OpenAI read all four. */
const asOpenAi = {
  message: expect.any(String),
  type: expect.any(String),
  code: expect.any(String),
  param: expect.toSatisfy((param) => param === null || typeof param === "string")
}

const hardHeaders = {
  "content-security-policy": expect.stringMatching(/^default-src 'none'; .*frame-ancestors 'none'$/),
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": expect.stringMatching(/^(no-referrer|same-origin)$/),
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": expect.any(String),
  "cache-control": expect.any(String)
}
