/** Who is told more on a route that is open to everybody. */
import fc from "fast-check"
import { expect, test } from "vitest"
import { failureLimits } from "../../src/http/guard.ts"
import {
  credential,
  guardWith,
  guesses,
  health,
  hostBad,
  hostOk,
  hostUnknown,
  method,
  only,
  originBad,
  request,
  right,
  statusOf,
  token
} from "./guard-requests.ts"

const anyToken = fc.constantFrom(token, undefined)

test("G10: `isOperator` says of a request, on health as well, whether it would be allowed where nothing is open", () => {
  const hosts = fc.oneof(
    hostBad,
    fc.oneof(hostOk, hostUnknown).map((host) => [host])
  )
  const origins = fc.oneof(fc.constant(undefined), originBad)
  fc.assert(
    fc.property(
      anyToken,
      method,
      health,
      hosts,
      origins,
      credential,
      (text, method, target, host, origin, credential) => {
        const headers = [only("host", host), only("origin", origin), credential]
        const elsewhere = statusOf(guardWith(text).check(request(method, "/metrics", ...headers)))
        const path = target.replace("http://evil.example", "")
        expect(guardWith(text).isOperator(request(method, path, ...headers))).toBe(elsewhere === 200)
      }
    )
  )
  const guard = guardWith(token)
  const guess = request("GET", "/health/ready", only("host", ["localhost"]), guesses["a prefix"]!)
  for (let nth = 0; nth < failureLimits.failuresMax; nth++) expect(guard.isOperator(guess)).toBe(false)
  const late = request("GET", "/health/ready", only("host", ["localhost"]), right["bearer"]!)
  expect(guard.isOperator(late)).toBe(false)
})
