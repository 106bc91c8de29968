/** A server with and without a token, and requests to it that no browser or `fetch` would send. */
import { existsSync } from "node:fs"
import { type IncomingHttpHeaders, request } from "node:http"
import { connect } from "node:net"
import { join } from "node:path"
import { Effect } from "effect"
import { keyOf, sign } from "../../src/adapters/webhook/signature.ts"
import { pageDir } from "../../src/http/static-files.ts"
import { startMain } from "./main-process.ts"
import { startModelServer } from "./model-server.ts"
import { withDatabase } from "./postgres.ts"

export const token = "an-operators-token"
const secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

/** The tests run with and without a built page. */
export const pageStatus = existsSync(join(pageDir, "index.html")) ? 200 : 503

export const startServer = Effect.fn("startServer")(function* (env: Record<string, string>) {
  const url = yield* withDatabase
  const model = yield* Effect.acquireRelease(
    Effect.promise(() => startModelServer()),
    (opened) => Effect.promise(() => opened.close())
  )
  const yaml = `channels:
  - { kind: webhook, account: demo, secret: "${secret}", callback: "http://127.0.0.1:9/" }
`
  const main = startMain({ yaml, env: { DATABASE_URL: url, PARLEY_MODEL: model.url, ...env } })
  const address = yield* Effect.promise(() => main.ready())
  return { address, main }
})

/** A signed event that is none: whoever gets to the route is told so. */
export function brokenEvent(): { readonly headers: Record<string, string>; readonly body: string } {
  return { headers: sign(keyOf(secret)!, "event", Date.now(), "{"), body: "{" }
}

export interface Ask {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** An address of 127.0.0.0/8 to come from: what one does wrong does not count for another. */
  readonly from?: string
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** As `fetch`, but it sends any header, follows nothing, and tells an upgrade as 101. */
export function ask(address: string, path: string, { body, from, headers, method = "GET" }: Ask = {}): Promise<Answer> {
  const { hostname, port } = new URL(address)
  return new Promise((resolve, reject) => {
    const sent = request({ hostname, port, path, method, headers, agent: false, ...(from && { localAddress: from }) })
    sent.on("upgrade", (answer, socket) => {
      socket.destroy()
      resolve({ status: 101, headers: answer.headers, text: "" })
    })
    sent.on("response", (answer) => {
      let text = ""
      answer.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk
      })
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text }))
    })
    sent.on("error", reject)
    sent.end(body)
  })
}

/** Sends bytes as they are; what came back until the server closed, or "open" once `maxMs` have passed. */
export function raw(address: string, bytes: string, maxMs: number): Promise<string> {
  const { hostname, port } = new URL(address)
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname, () => socket.write(bytes))
    let answer = ""
    let isLate = false
    const timer = setTimeout(() => {
      isLate = true
      socket.destroy()
    }, maxMs)
    socket.on("data", (chunk) => {
      answer += chunk
    })
    socket.on("error", () => {})
    socket.on("close", () => {
      clearTimeout(timer)
      resolve(isLate ? "open" : answer)
    })
  })
}
