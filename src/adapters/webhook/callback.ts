/** One POST to a callback over kept connections; what cuts it short is told apart by whether the request had left. */
import * as http from "node:http"
import * as https from "node:https"
import { urlToHttpOptions } from "node:url"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Ambiguous, NotSent } from "../adapter.ts"
import type { Answer } from "./wire.ts"

/** Idle connections that are kept for the next sends. */
const idleMax = 64
/** An answer says all in its head; a longer body costs the connection. */
const answerMaxBytes = 65_536

export interface Callback {
  /** Succeeds with any answer that came within `timeout`. Interrupting it cuts the connection. */
  readonly post: (
    headers: Readonly<Record<string, string>>,
    body: string,
    timeout: Duration.Input
  ) => Effect.Effect<Answer, NotSent | Ambiguous>
}

/** How far one exchange has come. */
interface Progress {
  hasLeft: boolean
  answer?: Answer
}

export const openCallback = (url: URL): Effect.Effect<Callback, never, Scope.Scope> =>
  Effect.gen(function* () {
    const isSecure = url.protocol === "https:"
    const { Agent, request } = isSecure ? https : http
    const agent = yield* Effect.acquireRelease(
      Effect.sync(() => new Agent({ keepAlive: true, maxFreeSockets: idleMax })),
      (agent) => Effect.sync(() => agent.destroy())
    )
    const target = { ...urlToHttpOptions(url), agent, method: "POST" }
    const connected = isSecure ? "secureConnect" : "connect"
    const fixed = ["host", url.host, "user-agent", "parley", "content-type", "application/json"]

    const exchange = (headers: ReadonlyArray<string>, body: string, progress: Progress) =>
      Effect.callback<Answer, NotSent | Ambiguous>((resume) => {
        // A flat list is written as it is: half the CPU of a record of headers.
        const sent = request({ ...target, headers }, (response) => {
          const answer = headOf(response)
          progress.answer = answer
          drain(response, () => resume(Effect.succeed(answer)))
        })
        sent.once("socket", (socket) => {
          if (!socket.connecting) progress.hasLeft = true
          else socket.once(connected, () => (progress.hasLeft = true))
        })
        sent.on("error", (error: NodeJS.ErrnoException) => resume(outcomeOf(progress, error.code ?? error.message)))
        sent.end(body)
        return Effect.sync(() => sent.destroy())
      })

    return {
      post: (headers, body, timeout) =>
        Effect.suspend(() => {
          const progress: Progress = { hasLeft: false }
          const list = [...fixed, "content-length", `${Buffer.byteLength(body)}`, ...Object.entries(headers).flat()]
          return exchange(list, body, progress).pipe(
            Effect.timeoutOrElse({ duration: timeout, orElse: () => outcomeOf(progress, "no answer in time") })
          )
        })
    }
  })

function headOf({ headers, statusCode = 0 }: http.IncomingMessage): Answer {
  return { status: statusCode, retryAfter: headers["retry-after"], location: headers.location }
}

/** Reads to the end, or to a limit, so that the connection can be used again. */
function drain(response: http.IncomingMessage, onEnd: () => void): void {
  let bytes = 0
  response.on("data", (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > answerMaxBytes) response.destroy()
  })
  // A body that breaks off changes nothing: the head has said what became of the message. `close` follows.
  response.on("error", () => undefined)
  response.on("close", onEnd)
}

/** What is known of an exchange that ended before its answer did. */
function outcomeOf({ answer, hasLeft }: Progress, what: string): Effect.Effect<Answer, NotSent | Ambiguous> {
  if (answer !== undefined) return Effect.succeed(answer)
  return hasLeft
    ? Effect.fail(new Ambiguous({ reason: `the callback was called, and its answer was lost: ${what}` }))
    : Effect.fail(new NotSent({ reason: `the callback could not be reached: ${what}` }))
}
