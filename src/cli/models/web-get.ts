/**
 * One GET over the Web, with its redirects, in words that a person understands when it fails.
 *
 *   W1. The token goes to the hub's own origin and to no other, whatever redirects say.
 *   W2. Nothing waits for ever: neither for an answer nor for the next bytes of one.
 *
 * Node's `fetch` ends the process with an assertion when a server closes the connection while nobody reads (24.21).
 */
import * as Http from "node:http"
import * as Https from "node:https"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { addressProblem } from "./reference.ts"

/** The Hugging Face hub, or one that speaks like it. */
export interface Hub {
  readonly url: URL
  readonly token: Redacted.Redacted | undefined
}

export interface WebLimits {
  /** From the question to the head of the answer. */
  readonly answerMaxMs: number
  /** Between two pieces of a body. */
  readonly silenceMaxMs: number
}

export const webLimits: WebLimits = { answerMaxMs: 30_000, silenceMaxMs: 30_000 }

export class GetFailed extends Data.TaggedError("GetFailed")<{
  readonly reason: string
  /** Asking again can help. */
  readonly isPassing: boolean
  /** Nobody answered at all. */
  readonly isUnreached: boolean
  readonly retryAfterMs?: number | undefined
}> {}

const redirectsMax = 5
const answered = [200, 206, 304, 416]
const moved = [301, 302, 303, 307, 308]

export interface WebAnswer {
  readonly status: number
  readonly header: (name: string) => string | undefined
  readonly body: AsyncIterator<Uint8Array>
}

/** An answer of 200, 206, 304 or 416. Its connection is closed with the scope. */
export const get = Effect.fn("get")(function* (
  first: URL,
  headers: Readonly<Record<string, string>>,
  hub: Hub,
  { answerMaxMs }: WebLimits
): Effect.fn.Return<WebAnswer, GetFailed, Scope.Scope> {
  let url = first
  for (let redirects = 0; redirects <= redirectsMax; redirects++) {
    const problem = addressProblem(url)
    if (problem !== undefined) return yield* refused(problem)
    const answer = yield* ask(url, { ...headers, ...authorization(url, hub) }).pipe(
      Effect.timeoutOrElse({ duration: answerMaxMs, orElse: () => Effect.fail(unanswered(url, answerMaxMs)) })
    )
    if (answered.includes(answer.status)) return answer
    if (!moved.includes(answer.status)) return yield* refusal(answer, url, hub)
    const next = URL.parse(answer.header("location") ?? "", url)
    if (next === null) return yield* refused(`${url.host} redirects to nowhere`)
    url = next
  }
  return yield* refused(`${first.host} redirects more than ${redirectsMax} times`)
})

const ask = Effect.fnUntraced(function* (url: URL, headers: Readonly<Record<string, string>>) {
  const { request } = url.protocol === "https:" ? Https : Http
  const sent = yield* Effect.acquireRelease(
    Effect.sync(() =>
      request(url, { headers: { ...headers, "accept-encoding": "identity", "user-agent": "parley" } }).end()
    ),
    (sent) => Effect.sync(() => sent.destroy())
  )
  return yield* Effect.callback<WebAnswer, GetFailed>((resume) => {
    // Stays when the answer is there: what breaks later is told by the body.
    sent.on("error", (cause) => resume(unreached(url, cause)))
    sent.on("response", (response) => resume(Effect.succeed(answerOf(response))))
  })
})

function answerOf(response: Http.IncomingMessage): WebAnswer {
  return {
    status: response.statusCode ?? 0,
    header: (name) => response.headersDistinct[name]?.join(", "),
    body: response[Symbol.asyncIterator]()
  }
}

/** The next piece of a body; undefined after the last one. */
export const nextPiece = (
  body: AsyncIterator<Uint8Array>,
  { silenceMaxMs }: WebLimits
): Effect.Effect<Uint8Array | undefined, GetFailed> =>
  Effect.tryPromise({ try: () => body.next(), catch: lost }).pipe(
    Effect.map(({ done, value }) => (done === true ? undefined : value)),
    Effect.timeoutOrElse({
      duration: silenceMaxMs,
      orElse: () => Effect.fail(passing(`nothing came for ${silenceMaxMs / 1000} seconds`))
    })
  )

function authorization(url: URL, { token, url: { origin } }: Hub): Readonly<Record<string, string>> {
  return token !== undefined && url.origin === origin ? { authorization: `Bearer ${Redacted.value(token)}` } : {}
}

const refused = (reason: string) => new GetFailed({ reason, isPassing: false, isUnreached: false })
const passing = (reason: string) => new GetFailed({ reason, isPassing: true, isUnreached: false })

function unanswered({ host }: URL, afterMs: number): GetFailed {
  const reason = `${host} did not answer within ${afterMs / 1000} seconds`
  return new GetFailed({ reason, isPassing: true, isUnreached: true })
}

function unreached({ host }: URL, cause: unknown): GetFailed {
  const code = codeIn(cause)
  if (isTls(code)) {
    const mend = "A proxy that opens TLS has a certificate of its own: name it in NODE_EXTRA_CA_CERTS"
    return refused(`there is no secure connection to ${host} (${code}). ${mend}`)
  }
  if (code in silentWords) {
    const reason = `${silentWords[code]}: ${host}. Check the network, and the spelling`
    return new GetFailed({ reason, isPassing: true, isUnreached: true })
  }
  if (cutCodes.includes(code)) return passing(`${host} cut the connection (${code})`)
  return refused(`${host} cannot be asked (${code})`)
}

const silentWords: Readonly<Record<string, string>> = {
  ENOTFOUND: "this name is not known here",
  EAI_AGAIN: "this name could not be looked up",
  ECONNREFUSED: "the connection was refused, nobody listens there",
  ENETUNREACH: "there is no way there",
  EHOSTUNREACH: "there is no way there",
  ETIMEDOUT: "there was no answer"
}

const cutCodes = ["ECONNRESET", "EPIPE"]

function lost(cause: unknown): GetFailed {
  return passing(`the connection was cut (${codeIn(cause)})`)
}

function codeIn(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  return "code" in cause && typeof cause.code === "string" ? cause.code : cause.message
}

function isTls(code: string): boolean {
  return /CERT|SIGNATURE|TLS|SSL|EPROTO/.test(code)
}

const refusal = Effect.fnUntraced(function* ({ header, status }: WebAnswer, url: URL, hub: Hub) {
  const reason = `${url.host} answers ${status}${refusalWords(status, url, hub)}`
  const retryAfterMs = retryAfter(header("retry-after"), yield* Clock.currentTimeMillis)
  const isPassing = status === 429 || status === 408 || status >= 500
  return yield* new GetFailed({ reason, isPassing, isUnreached: false, retryAfterMs })
})

function refusalWords(status: number, url: URL, { token, url: { origin } }: Hub): string {
  if (status === 404 || status === 410) return ": there is no such thing. Check the spelling"
  if (status === 429) return ": too many requests"
  if (status >= 500) return ": it has trouble of its own"
  if (status !== 401 && status !== 403) return ", and not with a file"
  if (url.origin !== origin) return ": it wants to know who asks, and parley logs in to the model hub only"
  const terms = `Where the model's page has terms, accept them there. The hub says the same of a repository that is not there`
  if (token === undefined) return `: it wants to know who asks. Set HF_TOKEN to an access token of yours. ${terms}`
  return `: your HF_TOKEN does not open this. ${terms}`
}

/** Seconds or a date (RFC 9110, §10.2.3). */
function retryAfter(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined
  const ms = /^\d{1,9}$/.test(text.trim()) ? Number(text) * 1000 : Date.parse(text) - nowMs
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined
}
