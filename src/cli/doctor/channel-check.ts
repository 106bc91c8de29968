/** Where answers are sent: whether somebody listens there, and whose clock is off. Nothing is posted. */
import { connect as connectTcp, isIP } from "node:net"
import { connect as connectTls } from "node:tls"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { toleranceMs } from "../../adapters/webhook/signature.ts"
import type { ChannelConfig } from "../config-schema.ts"
import { isLoopbackHost } from "../loopback-host.ts"
import { answerMaxMs, ask, codeOf, inWords, isCertificate, NoAnswer } from "../web-ask.ts"
import { type Finding, type Findings, ok } from "./finding.ts"
import type { Site } from "./site.ts"

/** A clock that is off by so much is on its way to being off by too much. */
const skewNotableMs = 30_000

export const checkChannels = Effect.fn("checkChannels")(function* ({ config }: Site): Effect.fn.Return<Findings> {
  if (config.channels.length === 0)
    return [ok("channels", "The web chat and /v1 are open; no other channel is configured.")]
  const all = yield* Effect.forEach(config.channels, checkCallback, { concurrency: "unbounded" })
  return all.flat()
})

const checkCallback = Effect.fnUntraced(function* ({ account, callback }: ChannelConfig): Effect.fn.Return<Findings> {
  const url = new URL(callback)
  const reached = yield* Effect.result(reach(url))
  if (reached._tag === "Failure") return [unreached(account, url, reached.failure.code)]
  // The root, and not the callback: what it does with a request that is not signed is its own affair.
  const answer = yield* Effect.option(ask(url.origin, { method: "HEAD" }))
  const dated = Option.flatMap(answer, ({ date }) => Option.fromNullishOr(date))
  const skewMs = Option.isSome(dated) ? (yield* Clock.currentTimeMillis) - Date.parse(dated.value) : undefined
  return [
    ok("callback", `${account}: ${url.origin} takes connections.`),
    ...clock(account, url, skewMs),
    ...plain(account, url)
  ]
})

/** Opens a connection, with TLS where the address says so, and closes it. */
const reach = (url: URL) =>
  Effect.callback<void, NoAnswer>((resume) => {
    const isSecure = url.protocol === "https:"
    const host = url.hostname.replace(/^\[|\]$/g, "")
    const port = Number(url.port || (isSecure ? 443 : 80))
    const named = isIP(host) === 0 ? { servername: host } : {}
    const socket = isSecure ? connectTls({ host, port, ...named }) : connectTcp({ host, port })
    socket.once(isSecure ? "secureConnect" : "connect", () => {
      socket.destroy()
      resume(Effect.void)
    })
    socket.on("error", (error) => resume(Effect.fail(new NoAnswer({ code: codeOf(error) }))))
    return Effect.sync(() => socket.destroy())
  }).pipe(
    Effect.timeoutOrElse({ duration: answerMaxMs, orElse: () => Effect.fail(new NoAnswer({ code: "ETIMEDOUT" })) })
  )

function unreached(account: string, url: URL, code: string): Finding {
  const why = "Answers wait and are sent again with growing pauses, then they are dead letters."
  if (isCertificate(code)) {
    const mend = "Mend the certificate, or make its authority known to Node: NODE_EXTRA_CA_CERTS=<file> npm start"
    return {
      id: "callback.certificate",
      level: "trouble",
      saw: `${account}: ${url.origin}: ${inWords(code)}.`,
      why,
      mend
    }
  }
  const mend = `Start the program that takes the answers, let this machine through to it, or mend callback of ${account}.`
  return {
    id: "callback.unreachable",
    level: "trouble",
    saw: `${account}: ${url.origin}: ${inWords(code)}.`,
    why,
    mend
  }
}

function clock(account: string, url: URL, skewMs: number | undefined): Findings {
  if (skewMs === undefined || !Number.isFinite(skewMs) || Math.abs(skewMs) < skewNotableMs) return []
  const isTooMuch = Math.abs(skewMs) > toleranceMs
  return [
    {
      id: "clock.skew",
      level: isTooMuch ? "trouble" : "warning",
      saw: `${account}: this clock is ${Math.round(Math.abs(skewMs) / 1000)} s ${skewMs > 0 ? "ahead of" : "behind"} that of ${url.origin}.`,
      why: `A signed event or answer that is more than ${toleranceMs / 60_000} min off is refused with 401.`,
      mend: "Set the clock that is wrong by NTP: timedatectl set-ntp true",
      figures: { skewMs }
    }
  ]
}

function plain(account: string, url: URL): Findings {
  const host = url.hostname.replace(/^\[|\]$/g, "")
  if (url.protocol === "https:" || isLoopbackHost(host)) return []
  return [
    {
      id: "callback.plain",
      level: "note",
      saw: `${account}: answers go to ${url.host} without TLS.`,
      why: "They are signed, and can be read on the way.",
      mend: "Use https, unless the network between is yours."
    }
  ]
}
