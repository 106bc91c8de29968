/** Whether people reach the server: its address, who has its port, and what a running one says of itself. */
import { existsSync } from "node:fs"
import { createServer } from "node:net"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { Config } from "../config-schema.ts"
import { isLoopbackHost } from "../loopback-host.ts"
import { type Fault, type Finding, type Findings, ok } from "./finding.ts"
import type { RunningServer, Site } from "./site.ts"

const tokenMinChars = 16
const page = fileURLToPath(new URL("../../../web/dist/index.html", import.meta.url))

export const checkListening = Effect.fn("checkListening")(function* (site: Site): Effect.fn.Return<Findings> {
  const { config, server } = site
  const port = server === undefined ? yield* freePort(site) : takenBy(server, config)
  return [port, ...openness(config), ...pageFindings(), ...(server?.isOurs ? sayingsOf(server) : [])]
})

const freePort = Effect.fnUntraced(function* ({ config, found }: Site): Effect.fn.Return<Finding> {
  const { host, port } = config
  const code = yield* tryListen(config)
  const holder = Result.isSuccess(found) ? found.success.holder : undefined
  if (code === undefined && holder !== undefined) {
    return {
      id: "port.elsewhere",
      level: "note",
      saw: `A Parley (pid ${holder}) uses this data directory, and does not listen on ${host}:${port}.`,
      why: "It was started with another HOST or PORT, or is starting or stopping just now.",
      mend: "Give doctor the same --host, --port and --config as that server."
    }
  }
  if (port === 0 && code === undefined) return ok("port", `${host} can be listened on, at any free port.`)
  if (code === undefined) return ok("port", `Port ${port} of ${host} is free.`)
  return { id: `port.${idOf[code] ?? "unusable"}`, level: "trouble", ...notListening(code, config) }
})

const idOf: Readonly<Record<string, string>> = {
  EADDRINUSE: "taken",
  EACCES: "reserved",
  EADDRNOTAVAIL: "no-address",
  EAI_AGAIN: "no-address",
  ENOTFOUND: "no-address"
}

function notListening(code: string, { host, port }: Config): Pick<Fault, "saw" | "mend"> {
  switch (code) {
    case "EADDRINUSE":
      return {
        saw: `Port ${port} of ${host} is taken by a program that is no Parley.`,
        mend: `See which (ss -ltnp 'sport = :${port}') and stop it, or take another port: PORT=${port + 1}`
      }
    case "EACCES":
      return { saw: `Port ${port} is reserved for the system.`, mend: "Choose one above 1023: PORT=8080" }
    case "EADDRNOTAVAIL":
    case "EAI_AGAIN":
    case "ENOTFOUND":
      return { saw: `This machine has no address ${host}.`, mend: "Set HOST=127.0.0.1" }
    default:
      return { saw: `Parley cannot listen on ${host}:${port}: ${code}.`, mend: "Set another HOST or PORT." }
  }
}

/** Undefined when it can be listened on, else the system's code. */
const tryListen = ({ host, port }: Config) =>
  Effect.callback<string | undefined>((resume) => {
    const server = createServer()
    server.once("error", (error: NodeJS.ErrnoException) => resume(Effect.succeed(error.code ?? error.message)))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resume(Effect.succeed(undefined))))
    return Effect.sync(() => server.close())
  })

function takenBy({ address, isOurs }: RunningServer, { port }: Config): Finding {
  if (isOurs) return ok("port", `A Parley answers at ${address}.`)
  return {
    id: "port.another-parley",
    level: "trouble",
    saw: `Another Parley, with another data directory, has port ${port}.`,
    mend: `Stop it, or take another port: PORT=${port + 1}. Was it meant to be this one? Then check PARLEY_DATA.`
  }
}

function openness({ allowedHosts, host, token }: Config): Findings {
  const isShort = token !== undefined && Redacted.value(token).length < tokenMinChars
  const weak: Finding = {
    id: "token.short",
    level: "warning",
    saw: `The token has fewer than ${tokenMinChars} characters.`,
    why: "Whoever guesses it reads and writes everything.",
    mend: "Set a longer one: export PARLEY_TOKEN=$(openssl rand -hex 32)"
  }
  if (isLoopbackHost(host)) return isShort ? [weak] : [ok("token", `Only this machine reaches ${host}.`)]
  const names: Finding = {
    id: "hosts.none",
    level: "note",
    saw: `Other machines reach ${host}, and allowedHosts names none.`,
    why: "By IP address it works; by a name it is refused with 421.",
    mend: 'If people use a name, add it to parley.yaml: allowedHosts: ["chat.example.org"]'
  }
  return [
    isShort ? weak : ok("token", `Other machines reach ${host}; a token is set.`),
    ...(allowedHosts.length === 0 ? [names] : [])
  ]
}

function pageFindings(): Findings {
  if (existsSync(page)) return [ok("page", "The chat page is built.")]
  const mend = "npm start builds it; without npm start: npm run web"
  return [{ id: "page.missing", level: "note", saw: "The chat page is not built yet.", mend }]
}

function sayingsOf({ address, metrics, parts }: RunningServer): Findings {
  const down = Object.entries(parts).filter(([, state]) => state !== "up")
  const dead = metrics?.get("parley_dead_letters_open") ?? 0
  const waiting = metrics?.get("parley_turns_waiting") ?? 0
  const due = metrics?.get("parley_outbox_due") ?? 0
  return [
    ...(down.length === 0 ? [ok("server", `${Object.keys(parts).join(", ")}: up.`)] : []),
    ...down.map(notUp),
    ...(metrics === undefined ? [unseen(address)] : []),
    ...(dead > 0 ? [deadLetters(dead)] : []),
    ...(waiting + due > 0 ? [load(waiting, due)] : [])
  ]
}

function notUp([part, state]: readonly [string, string]): Finding {
  // An id has no name of an account in it.
  const [kind] = part.split(/[^a-z]/)
  const isPassing = /\bbeing (loaded|opened)\b|^starting$/.test(state)
  return {
    id: `server.${kind}`,
    level: isPassing ? "note" : "trouble",
    saw: `The running server says of its ${part}: ${state}`,
    mend: isPassing ? "Run doctor again in a moment." : "See what is found below, and the log of the server."
  }
}

const unseen = (address: string): Finding => ({
  id: "server.token",
  level: "note",
  saw: `${address}/metrics does not take the token of this configuration.`,
  mend: "Run doctor with the PARLEY_TOKEN of the server, to see its queues and dead letters as well."
})

const load = (waiting: number, due: number): Finding => ({
  id: "server.load",
  level: "note",
  saw: `${waiting} turns wait for the model, ${due} replies are due.`,
  mend: "A busy moment needs none. Where it stays so: more slots, a faster model, or a callback that answers."
})

const deadLetters = (count: number): Finding => ({
  id: "server.dead-letters",
  level: "warning",
  saw: `${count} dead letters are open: events or replies that were given up.`,
  mend: "Mend what the channels below say; parley deadletters list says why each is dead.",
  figures: { deadLetters: count }
})
