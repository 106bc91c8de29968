/** `parley demo`: the whole way of a message on this machine, with this terminal as the messenger. */
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { createInterface } from "node:readline/promises"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { keyOf, sign } from "../adapters/webhook/signature.ts"
import { randomId } from "../domain/random-id.ts"
import { StartTrouble } from "./command.ts"
import type { ChannelConfig, Config } from "./config-schema.ts"
import { ask } from "./web-ask.ts"

export interface DemoOptions {
  readonly config: Config
  /** Completes when the person presses Ctrl-C. */
  readonly stopped: Effect.Effect<void>
  /** Runs a server until the first argument completes, and tells the second one its address. */
  readonly serve: (
    config: Config,
    stopped: Effect.Effect<void>,
    ready: (address: string) => Effect.Effect<void>
  ) => Effect.Effect<void, StartTrouble>
}

/** What is said when nobody is at a terminal to write. */
const samples = ["Hello! Who are you?", "What can you do for me?"]
/** As long as the server waits for its database, and a little. */
const acceptMaxMs = 12_000
const replyMaxMs = 120_000
const bodyMaxChars = 262_144

const Reply = Schema.fromJsonString(
  Schema.Struct({
    text: Schema.String,
    turn: Schema.Number,
    outcome: Schema.String,
    in_reply_to: Schema.Array(Schema.String)
  })
)
type Reply = typeof Reply.Type

/** Runs a server with an account of its own, and sends it what the person writes as a signed event. */
export const demo = ({ config, serve, stopped }: DemoOptions): Effect.Effect<void, StartTrouble> =>
  Effect.gen(function* () {
    const replies = new Map<string, Deferred.Deferred<Reply>>()
    const callback = yield* openCallback(replies)
    const secret = `whsec_${Buffer.from(randomId() + randomId()).toString("base64")}`
    const done = yield* Deferred.make<void>()
    const ready = (address: string) => {
      const messenger = { url: `${address}/api/webhook/demo`, secret, replies, conversation: `demo-${randomId()}` }
      const talk = Effect.andThen(Console.log(greeting(address, callback)), converse(messenger))
      return Effect.andThen(talk, Deferred.succeed(done, undefined))
    }
    const channels = [channelOf(secret, callback)]
    yield* serve({ ...config, channels }, Effect.raceFirst(stopped, Deferred.await(done)), ready)
  }).pipe(Effect.scoped)

interface Messenger {
  readonly url: string
  readonly secret: string
  readonly conversation: string
  readonly replies: Map<string, Deferred.Deferred<Reply>>
}

function channelOf(secret: string, callback: string): ChannelConfig {
  return {
    kind: "webhook",
    account: "demo",
    secret: Redacted.make(secret),
    callback,
    policy: "collect",
    settleMs: 0,
    attemptsMax: 5,
    giveUpAfterMs: 60_000
  }
}

function greeting(address: string, callback: string): string {
  return [
    `\nParley is ready: ${address}. This terminal plays the messenger:`,
    `  what you write goes to   ${address}/api/webhook/demo   as a signed event,`,
    `  the answer comes back to ${callback}.\n`
  ].join("\n")
}

const converse = Effect.fn("Demo.converse")(function* (messenger: Messenger) {
  if (!process.stdin.isTTY) {
    for (const text of samples) yield* say(messenger, text)
    return
  }
  const terminal = yield* Effect.acquireRelease(
    Effect.sync(() => createInterface({ input: process.stdin, output: process.stdout })),
    (opened) => Effect.sync(() => opened.close())
  )
  yield* Console.log("Write something; an empty line or Ctrl-D ends the demo.")
  for (;;) {
    const text = yield* Effect.tryPromise(() => terminal.question("you      ▸ ")).pipe(Effect.orElseSucceed(() => ""))
    if (text.trim() === "") return
    yield* say(messenger, text)
  }
}, Effect.scoped)

const say = Effect.fn("Demo.say")(function* (messenger: Messenger, text: string) {
  const { conversation, replies, secret, url } = messenger
  const id = `event-${randomId()}`
  const reply = yield* Deferred.make<Reply>()
  replies.set(id, reply)
  const body = JSON.stringify({ conversation, user: { id: "you" }, text })
  const sentAtMs = yield* Clock.currentTimeMillis
  const headers = sign(keyOf(secret)!, id, sentAtMs, body)
  if (!process.stdin.isTTY) yield* Console.log(`you      ▸ ${text}`)
  const answer = yield* Effect.orDie(ask(url, { method: "POST", headers, body, maxMs: acceptMaxMs }))
  const acceptedMs = (yield* Clock.currentTimeMillis) - sentAtMs
  yield* Console.log(`           ${answer.status}: on disk after ${acceptedMs} ms`)
  const told = yield* Effect.timeoutOption(Deferred.await(reply), replyMaxMs)
  replies.delete(id)
  if (told._tag === "None") return yield* Console.log("           no answer within two minutes; see the log")
  const { outcome, turn } = told.value
  const totalMs = (yield* Clock.currentTimeMillis) - sentAtMs
  yield* Console.log(`Parley   ▸ ${told.value.text}\n           turn ${turn}, ${outcome} after ${totalMs} ms\n`)
})

/** Receives the answers, as a messenger would. */
const openCallback = Effect.fn("Demo.openCallback")(function* (
  replies: Messenger["replies"]
): Effect.fn.Return<string, StartTrouble, Scope.Scope> {
  const server = yield* Effect.acquireRelease(
    Effect.callback<Server, StartTrouble>((resume) => {
      const opened = createServer((request, response) => {
        let body = ""
        request.setEncoding("utf8")
        request.on("data", (part: string) => {
          body = (body + part).slice(0, bodyMaxChars)
        })
        request.on("end", () => {
          take(replies, body)
          response.writeHead(204).end()
        })
      })
      opened.once("error", (error) => resume(Effect.fail(new StartTrouble({ reason: error.message }))))
      opened.listen(0, "127.0.0.1", () => resume(Effect.succeed(opened)))
    }),
    (opened) => Effect.sync(() => opened.close().closeAllConnections())
  )
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/replies`
})

function take(replies: Messenger["replies"], body: string): void {
  const reply = Schema.decodeUnknownOption(Reply)(body)
  if (reply._tag === "None") return
  for (const id of reply.value.in_reply_to) {
    const waiting = replies.get(id)
    if (waiting !== undefined) Deferred.doneUnsafe(waiting, Effect.succeed(reply.value))
  }
}
