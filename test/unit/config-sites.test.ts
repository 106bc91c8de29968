/** The names and origins that a configuration may allow. */
import { Redacted, Result } from "effect"
import { expect, test } from "vitest"
import { parseConfig } from "../../src/cli/config.ts"
import { makeGuard } from "../../src/http/guard.ts"

const parse = (text: string) => parseConfig({ file: { name: "parley.yaml", text }, environment: {}, flags: {} })

test("every name and origin that is accepted is one that the guard lets pass", () => {
  const names = ["chat.example", "Chat.Example:8443", "my_host", "[::1]:8080", "10.0.0.1"]
  const origins = ["https://app.example", "http://APP.example:3000", "http://[::1]:9", "http://10.0.0.1"]
  const config = Result.getOrThrow(parse(JSON.stringify({ allowedHosts: names, allowedOrigins: origins })))
  const guard = makeGuard({ ...config, token: Redacted.make("x") })
  for (const host of names) {
    for (const origin of origins) {
      const headers = { host: [host], origin: [origin], authorization: ["Bearer x"] }
      const verdict = guard.check({ method: "POST", target: "/", headers, remoteAddress: "::1", nowMs: 0 })
      expect([host, origin, verdict]).toEqual([host, origin, { isAllowed: true }])
    }
  }
})

test.each(["chat.example/x", "http://chat.example", "chat.example:99999", "a b", "*.example", "", "me@x", "[::1"])(
  "`%s` is no host",
  (name) => {
    expect(Result.getOrThrow(Result.flip(parse(JSON.stringify({ allowedHosts: [name] })))).problems).toEqual([
      expect.stringMatching(
        /^allowedHosts\[0\] \(parley.yaml:1\): expected a host name, with or without a port, found /
      )
    ])
  }
)

test.each(["chat.example", "https://chat.example/", "ftp://x", "null", "*", "https://x:y@z", "https://x:99999"])(
  "`%s` is no origin",
  (origin) => {
    expect(Result.getOrThrow(Result.flip(parse(JSON.stringify({ allowedOrigins: [origin] })))).problems).toEqual([
      expect.stringMatching(
        /^allowedOrigins\[0\] \(parley.yaml:1\): expected an origin such as https:.* without a path/
      )
    ])
  }
)
