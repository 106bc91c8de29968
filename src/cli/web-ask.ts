/**
 * One request, bounded in time and bytes. `fetch` would refuse ports that engines and callbacks may have, and Node's
 * ends the process with an assertion when a server closes the connection while nobody reads (24.21).
 */
import * as http from "node:http"
import * as https from "node:https"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"

export interface Question {
  readonly method?: "GET" | "HEAD" | "POST"
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** From the question to the end of the answer. */
  readonly maxMs?: number
  /** Of the answer; what comes after it is not read. */
  readonly textMaxBytes?: number
}

export interface Answer {
  readonly status: number
  /** Its first bytes. */
  readonly text: string
  readonly date: string | undefined
}

/** `code` is the system's, such as ECONNREFUSED, or a word of Node's. */
export class NoAnswer extends Data.TaggedError("NoAnswer")<{ readonly code: string }> {}

export const answerMaxMs = 3_000
const answerMaxBytes = 262_144

export const ask = (
  url: string,
  { body, headers, maxMs = answerMaxMs, method = "GET", textMaxBytes = answerMaxBytes }: Question = {}
): Effect.Effect<Answer, NoAnswer> =>
  Effect.callback<Answer, NoAnswer>((resume) => {
    const { request } = url.startsWith("https:") ? https : http
    const sent = request(url, { method, headers: { ...headers, "user-agent": "parley" }, agent: false })
    sent.on("error", (error) => resume(Effect.fail(new NoAnswer({ code: codeOf(error) }))))
    sent.on("response", (response) => {
      const { headers, statusCode: status = 0 } = response
      const chunks: Array<Buffer> = []
      let size = 0
      const done = () => resume(Effect.succeed({ status, text: Buffer.concat(chunks).toString(), date: headers.date }))
      response.on("data", (chunk: Buffer) => {
        chunks.push(chunk)
        size += chunk.length
        if (size > textMaxBytes) response.destroy()
      })
      // A body that breaks off: its head and what came of it are an answer too. `close` follows.
      response.on("error", () => undefined)
      response.on("close", done)
    })
    sent.end(body)
    return Effect.sync(() => sent.destroy())
  }).pipe(Effect.timeoutOrElse({ duration: maxMs, orElse: () => Effect.fail(new NoAnswer({ code: "ETIMEDOUT" })) }))

/** Where a name has several addresses, what the first of them said. */
export function codeOf(error: NodeJS.ErrnoException | AggregateError): string {
  const [first] = "errors" in error ? error.errors : []
  return (error as NodeJS.ErrnoException).code ?? first?.code ?? error.message
}

const sentences: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there",
  ECONNRESET: "it hangs up",
  EAI_AGAIN: "its name cannot be looked up",
  EHOSTUNREACH: "there is no way to that machine",
  ENETUNREACH: "there is no way to that network",
  ENOTFOUND: "its name is not known",
  ETIMEDOUT: `it does not answer within ${answerMaxMs / 1000} s`,
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is signed by itself",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate is signed by an authority that is not known here",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate is signed by an authority that is not known here",
  CERT_HAS_EXPIRED: "its certificate has expired",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is of another name",
  EPROTO: "it does not speak TLS"
}

/** The middle of a sentence. */
export function inWords(code: string): string {
  if (code.startsWith("ERR_SSL")) return `it does not speak TLS (${code})`
  return sentences[code] ?? `it cannot be reached (${code})`
}

export const isCertificate = (code: string) => /CERT|SIGNATURE/.test(code)
