/** Requests good and bad in every way at once, against ten lines of what should become of them. */
import fc from "fast-check"
import { expect, test } from "vitest"
import { makeFailureLimit, networkOf } from "../../src/http/failure-limit.ts"
import { failureLimits } from "../../src/http/guard.ts"
import {
  accept,
  changes,
  closed,
  configured,
  credential,
  guardWith,
  guesses,
  type Headers,
  health,
  hostBad,
  hostOk,
  hostUnknown,
  later,
  method,
  nothing,
  only,
  open,
  originBad,
  originOk,
  request,
  right,
  session,
  site,
  startMs,
  statusOf,
  token
} from "./guard-requests.ts"

/** All that G1 to G4 let pass. */
const passing = fc
  .tuple(hostOk, method, site, accept)
  .chain(([host, method, site, accept]) =>
    originOk(host).map((origin) => ({ method, headers: [only("host", [host]), only("origin", origin), site, accept] }))
  )
const path = fc.oneof(closed, open)
const anyToken = fc.constantFrom(token, undefined)

test("G1: a request that does not name exactly one well-formed host is refused with 400", () => {
  fc.assert(
    fc.property(anyToken, method, path, hostBad, credential, originBad, (text, method, target, host, ...headers) => {
      const [credential, origin] = headers
      const verdict = guardWith(text).check(
        request(method, target, only("host", host), credential, only("origin", origin))
      )
      expect(statusOf(verdict)).toBe(400)
    })
  )
})

test("G2: a host that is no IP address, `localhost` or configured name is refused with 421, whatever else is sent", () => {
  fc.assert(
    fc.property(anyToken, method, path, hostUnknown, credential, (text, method, target, host, credential) => {
      for (const origin of [[], [`http://${host}`], ["null"]]) {
        const headers = [only("host", [host]), credential, only("origin", origin)]
        expect(statusOf(guardWith(text).check(request(method, target, ...headers)))).toBe(421)
      }
    })
  )
})

test("G3: an origin that is neither the host's nor configured is refused with 403, whatever else is sent", () => {
  fc.assert(
    fc.property(anyToken, method, path, hostOk, originBad, credential, (text, method, target, host, ...headers) => {
      const [origin, credential] = headers
      const verdict = guardWith(text).check(
        request(method, target, only("host", [host]), only("origin", origin), credential)
      )
      expect(statusOf(verdict)).toBe(403)
    })
  )
})

test("G4: what changes something and comes from another site is refused with 403, unless its origin is configured", () => {
  fc.assert(
    fc.property(anyToken, changes, open, hostOk, credential, (text, method, target, host, credential) => {
      const from = (origin: ReadonlyArray<string> | undefined, method: string) =>
        request(
          method,
          target,
          only("host", [host]),
          only("origin", origin),
          { "sec-fetch-site": ["cross-site"] },
          credential
        )
      const guard = guardWith(text)
      expect(statusOf(guard.check(from(undefined, method)))).toBe(403)
      expect(statusOf(guard.check(from([`http://${host}`], method)))).toBe(403)
      expect(statusOf(guard.check(from(undefined, "GET")))).toBe(200)
      for (const origin of configured) expect(statusOf(guard.check(from([origin], method)))).toBe(200)
    })
  )
})

test("G5: with a token, what is not open is allowed only with the token as bearer, or with a session that it signed", () => {
  for (const [kinds, isRight] of [
    [right, true],
    [guesses, false],
    [nothing, false]
  ] as const) {
    for (const [kind, credential] of Object.entries(kinds)) {
      fc.assert(
        fc.property(passing, closed, ({ headers, method }, target) => {
          const verdict = guardWith(token).check(request(method, target, ...headers, credential))
          const isPage = /^\/(index\.html)?$/.test(target) && method === "GET"
          const isNavigation = isPage && headers.some(({ accept }) => accept?.includes("text/html,*/*"))
          expect([kind, target, statusOf(verdict)]).toEqual([kind, target, isRight ? 200 : isNavigation ? 303 : 401])
        }),
        { numRuns: 40 }
      )
    }
  }
  fc.assert(
    fc.property(passing, open, credential, ({ headers, method }, target, credential) => {
      expect(statusOf(guardWith(token).check(request(method, target, ...headers, credential)))).toBe(200)
    })
  )
})

type Try =
  | "right bearer"
  | "session"
  | "known session"
  | "wrong bearer"
  | "forged"
  | "login"
  | "wrong login"
  | "nothing"
const known = session(token, later + 7)
const headersOf: Partial<Record<Try, Headers>> = {
  "right bearer": right["bearer"]!,
  session: session(token, later),
  "known session": known,
  "wrong bearer": guesses["a prefix"]!,
  forged: guesses["a session of another token"]!
}
const tries = fc.array(
  fc.record({
    kind: fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom<Try>("wrong bearer", "forged", "wrong login") },
      { weight: 2, arbitrary: fc.constantFrom<Try>("right bearer", "known session", "session", "login", "nothing") }
    ),
    gapMs: fc.oneof({ weight: 20, arbitrary: fc.nat({ max: 2_000 }) }, fc.constantFrom(40_000, failureLimits.withinMs))
  }),
  { maxLength: 60, size: "max" }
)

/** What the guard says to each, at its time. */
function outcomes(all: ReadonlyArray<{ kind: Try; gapMs: number; from?: string }>) {
  const guard = guardWith(token)
  let nowMs = startMs
  guard.check({ ...request("GET", "/ws", only("host", ["localhost"]), known) })
  return all.map(({ from = "192.0.2.1", gapMs, kind }) => {
    nowMs += gapMs
    const sent = { ...request("GET", "/ws", only("host", ["localhost"]), headersOf[kind] ?? {}), nowMs }
    const asked = { ...sent, remoteAddress: from }
    if (kind === "login" || kind === "wrong login") {
      const login = guard.login(asked, kind === "login" ? token : `${token}x`)
      return login.result === "limited" ? `wait ${login.retryAfterS}` : login.result
    }
    const verdict = guard.check(asked)
    if (verdict.isAllowed) return "right"
    return verdict.status === 429 ? `wait ${verdict.headers["retry-after"]}` : verdict.status === 401 ? "wrong" : "odd"
  })
}

/** What should have become of them, from one address. */
function model(all: ReadonlyArray<{ kind: Try; gapMs: number }>) {
  const failures: Array<number> = []
  let nowMs = startMs
  let isSessionKnown = false
  return all.map(({ gapMs, kind }) => {
    nowMs += gapMs
    const tenth = failures.filter((atMs) => atMs > nowMs - 60_000).at(-10)
    if (kind === "nothing") return "wrong"
    if (kind === "known session" || (kind === "session" && isSessionKnown)) return "right"
    if (tenth !== undefined) return `wait ${Math.ceil((tenth + 60_000 - nowMs) / 1000)}`
    if (kind === "session") isSessionKnown = true
    if (kind === "right bearer" || kind === "login" || kind === "session") return "right"
    failures.push(nowMs)
    return "wrong"
  })
}

test("G6: whoever was wrong `failuresMax` times within `withinMs` is told to wait, even when the next guess is right", () => {
  const seen = new Set<string>()
  const example = [...Array.from({ length: 10 }, () => "wrong bearer" as Try), "right bearer", "login", "session"]
  fc.assert(
    fc.property(tries, (all) => {
      const expected = model(all)
      for (const [index, outcome] of expected.entries()) seen.add(`${all[index]?.kind}: ${outcome.slice(0, 4)}`)
      expect(outcomes(all)).toEqual(expected)
    }),
    { numRuns: 500, examples: [[example.map((kind) => ({ kind: kind as Try, gapMs: 1 }))]] }
  )
  expect(seen.size).toBe(2 * 7)
})

test("G7: a failure counts for its own network alone, and no more than `addressesMax` of them are remembered", () => {
  const elsewhere = fc.constantFrom("192.0.2.2", "2001:db8::1", "::1", "")
  fc.assert(
    fc.property(tries, fc.array(elsewhere, { maxLength: 60, size: "max" }), (all, others) => {
      const noisy = all.flatMap((own, index) => {
        const from = others[index % Math.max(1, others.length)]
        const noise = { kind: "wrong bearer" as const, gapMs: 0, ...(from !== undefined && { from }) }
        return from === undefined ? [own] : [own, noise, noise]
      })
      const verdicts = outcomes(noisy).filter((_, index) => !("from" in (noisy[index] ?? {})))
      expect(verdicts).toEqual(outcomes(all))
    })
  )
  const few = makeFailureLimit({ failuresMax: 1, withinMs: 1000, addressesMax: 3 })
  for (let nth = 0; nth < 9; nth++) {
    few.failed(`192.0.2.${nth}`, nth)
    expect(few.size()).toBe(Math.min(3, nth + 1))
  }
  expect([5, 6, 7, 8].map((nth) => few.waitMs(`192.0.2.${nth}`, 8))).toEqual([0, 998, 999, 1000])
  expect(["::ffff:192.0.2.1", "192.0.2.1"].map(networkOf)).toEqual(["192.0.2.1", "192.0.2.1"])
  expect(["2001:DB8::1", "2001:db8:0:0:ffff::", "2001:0db8::%eth0"].map(networkOf)).toEqual(
    Array.from({ length: 3 }, () => "2001:db8:0:0")
  )
  expect(["2001:db8:0:1::", "::1", "64:ff9b::1.2.3.4", "1:2:3:4:5:6:1.2.3.4"].map(networkOf)).toEqual([
    ...["2001:db8:0:1", "0:0:0:0", "64:ff9b:0:0", "1:2:3:4"]
  ])
})

test("G8: no refusal says a word of the token, or of what was sent in its place", () => {
  const sentBy = (headers: Headers) =>
    Object.values(headers).flatMap((values) => values.flatMap((value) => value.match(/[\w.-]{16,}/g) ?? []))
  fc.assert(
    fc.property(passing, fc.oneof(closed, open), credential, ({ headers, method }, target, credential) => {
      const guard = guardWith(token)
      const sent = request(method, target, ...headers, credential)
      for (let turn = 0; turn < 12; turn++) {
        const said = JSON.stringify(guard.check(sent))
        for (const secret of [token, ...sentBy(credential)]) expect(said).not.toContain(secret)
      }
    })
  )
})

test("G9: health is open to everybody; without a token so is all that G1 to G4 let pass", () => {
  fc.assert(
    fc.property(anyToken, method, health, hostBad, originBad, credential, (text, method, target, host, ...headers) => {
      const [origin, credential] = headers
      const sent = request(method, target, only("host", host), only("origin", origin), credential)
      expect(statusOf(guardWith(text).check(sent))).toBe(200)
    })
  )
  fc.assert(
    fc.property(passing, fc.oneof(closed, open), credential, ({ headers, method }, target, credential) => {
      expect(statusOf(guardWith(undefined).check(request(method, target, ...headers, credential)))).toBe(200)
    })
  )
})

test("an absolute target brings its own host and its own path", () => {
  const statuses = [
    ["http://evil.example/login", "localhost", 421],
    ["http://localhost/login", "evil.example", 200],
    ["http://localhost/health/../metrics", "localhost", 401],
    ["HTTP://127.0.0.1/assets/%2e%2e/v1/models", "localhost", 401]
  ] as const
  for (const [target, host, status] of statuses) {
    expect([target, statusOf(guardWith(token).check(request("GET", target, only("host", [host]))))]).toEqual([
      target,
      status
    ])
  }
})

test("a clock that is put back locks nobody out", () => {
  const limit = makeFailureLimit(failureLimits)
  for (let nth = 0; nth < 10; nth++) limit.failed("192.0.2.1", startMs)
  expect(limit.waitMs("192.0.2.1", startMs)).toBe(60_000)
  expect(limit.waitMs("192.0.2.1", startMs - 3_600_000)).toBe(0)
})
