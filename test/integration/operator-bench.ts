/** A server with one webhook account whose platform does as it is told, and the operator's commands against it. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer } from "effect"
import { TestConsole } from "effect/testing"
import { expect } from "vitest"
import { runCommand } from "../../src/cli/command.ts"
import { type CallbackServer, type Fate, openCallbackServer } from "./callback-server.ts"
import { type MainProcess, startMain } from "./main-process.ts"
import { type ModelServer, startModelServer } from "./model-server.ts"
import { sql } from "./parley-process.ts"
import { withDatabase } from "./postgres.ts"
import { makeSender } from "./sender.ts"

const secret = `whsec_${Buffer.from("parley: a secret of the operator").toString("base64")}`
export const token = "an-operators-token"

export interface Typed {
  readonly code: number
  readonly output: string
}

export interface Desk {
  readonly address: string
  readonly main: MainProcess
  /** Another server of the same configuration, for when the first is gone. */
  readonly start: () => MainProcess
  readonly callback: CallbackServer
  readonly model: ModelServer
  /** What the platform answers from now on. */
  fate: Fate
  readonly type: (...typed: ReadonlyArray<string>) => Effect.Effect<Typed>
  /** The one document that the command prints; it ends well. */
  readonly json: (...typed: ReadonlyArray<string>) => Effect.Effect<Json>
  /** Sends an event until it is acknowledged; whether it was known. */
  readonly write: (conversation: string, id: string, text: string) => Effect.Effect<boolean>
  readonly sql: (text: string) => Effect.Effect<ReadonlyArray<Record<string, unknown>>>
}

// What a command prints is looked at, not computed with.
export type Json = Readonly<Record<string, never>>

/** Without a file the model is a scripted server. */
export const openDesk = Effect.fn("openDesk")(function* (
  fate: Fate,
  file?: string,
  more: Readonly<Record<string, string>> = {}
) {
  const url = yield* withDatabase
  const model = yield* Effect.acquireRelease(
    Effect.promise(() => startModelServer()),
    (opened) => Effect.promise(() => opened.close())
  )
  const meets = { fate }
  const callback = yield* openCallbackServer({ secret, lateMs: 60_000, fateOf: () => meets.fate })
  const yaml = `channels:
  - { kind: webhook, account: demo, secret: "${secret}", callback: "${callback.url}" }
`
  const environment = { PARLEY_MODEL: file ?? model.url, PARLEY_TOKEN: token }
  const start = () => startMain({ yaml, env: { ...environment, ...more, DATABASE_URL: url } })
  const main = start()
  const address = yield* Effect.promise(() => main.ready())
  const { port } = new URL(address)
  const sender = makeSender({
    url: `${address}/api/webhook/demo`,
    secret,
    retryMs: 50,
    attemptMaxMs: 10_000,
    eventMaxMs: 30_000
  })
  const desk: Desk = {
    address,
    main,
    start,
    callback,
    model,
    get fate() {
      return meets.fate
    },
    set fate(next) {
      meets.fate = next
    },
    type: (...typed) => typeCommand(typed, { ...environment, PORT: port }),
    json: (...typed) =>
      Effect.map(typeCommand([...typed, "--json"], { ...environment, PORT: port }), ({ code, output }) => {
        expect([typed, code, output]).toEqual([typed, 0, expect.stringMatching(/^[[{]/)])
        return JSON.parse(output) as Json
      }),
    write: (conversation, id, text) =>
      Effect.map(
        Effect.orDie(sender.send({ id, conversation, user: { id: "ann" }, text })),
        ({ duplicate }) => duplicate
      ),
    sql: (text) => Effect.promise(() => sql(url, text))
  }
  return desk
})

/** As `parley` would run it, in this process: only the environment says where the server is. */
export const typeCommand = Effect.fn("typeCommand")(
  function* (typed: ReadonlyArray<string>, environment: Record<string, string>) {
    const nobody = () => Effect.die("nobody asked for it")
    const code = yield* runCommand({
      typed: [...typed],
      environment,
      version: "1.2.3",
      ...{ start: nobody, demo: nobody, doctor: nobody, interrupted: Effect.never }
    })
    const lines = [...(yield* TestConsole.logLines), ...(yield* TestConsole.errorLines)]
    return { code, output: lines.map((line) => `${line}\n`).join("") }
  },
  Effect.provide(Layer.fresh(TestConsole.layer)),
  Effect.provide(NodeServices.layer)
)

/** Asks again until it is so: what follows an event is done by others. */
export const until = <A>(ask: Effect.Effect<A>, isSo: (answer: A) => boolean): Effect.Effect<A> =>
  Effect.gen(function* () {
    for (;;) {
      const answer = yield* ask
      if (isSo(answer)) return answer
      yield* Effect.sleep(50)
    }
  })
