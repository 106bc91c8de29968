/** The commands that ask a running server: `status`, `conversations`, `inspect`, `forget`. */
import * as Console from "effect/Console"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Environment } from "./config-document.ts"
import { configFlags, written } from "./config-flags.ts"
import { loadConfig } from "./config-load.ts"
import { exitCodes } from "./exit-codes.ts"
import { lookOf } from "./look.ts"
import { Conversations, Forgotten, Inspection, Status } from "./operator/answers.ts"
import { askServer } from "./operator/ask-server.ts"
import { confirm } from "./operator/confirm.ts"
import { conversationsText } from "./operator/conversations-text.ts"
import { inspectText, lastErrorOf } from "./operator/inspect-text.ts"
import { OperatorTrouble } from "./operator/operator-trouble.ts"
import { statusText } from "./operator/status-text.ts"
import { waitingFor } from "./operator/waiting.ts"
import { addressOf } from "./server-address.ts"

/** Where the server is, and how it is answered. */
export const serverFlags = {
  ...configFlags,
  json: Flag.Boolean("json").pipe(Flag.withDescription("One JSON document."), Flag.withDefault(false))
}

export const codes =
  "Exit codes: 0 done; 1 it could not be done; 2 not understood; 69 no server answers; 77 another token; 78 wrong configuration."

export const limitFlag = Flag.Int("limit").pipe(
  Flag.withMetavar("N"),
  Flag.withDescription("How many at most, 1 to 500. Without it: 50."),
  Flag.optional
)

export const yesFlag = Flag.Boolean("yes").pipe(
  Flag.withDescription("Do not ask before it is done."),
  Flag.withDefault(false)
)

export const textsFlag = Flag.Boolean("texts").pipe(
  Flag.withDescription("Show what people wrote, and what they were answered."),
  Flag.withDefault(false)
)

const yes = (flag: boolean) => (flag ? true : undefined)

export const printJson = (document: unknown) => Console.log(JSON.stringify(document, undefined, 2))

const conversationArgument = Argument.String("conversation").pipe(
  Argument.withMetavar("CONVERSATION"),
  Argument.withDescription("Its id: channel/account/thread, as `parley conversations list` shows it.")
)

export const statusCommand = (environment: Environment) =>
  Command.make("status", serverFlags, ({ json, ...given }) =>
    Effect.gen(function* () {
      const config = yield* loadConfig(environment, written(given))
      const status = yield* askServer(config, { path: "/status", answer: Status })
      if (json) yield* printJson(status)
      else yield* Console.log(statusText(status, addressOf(config), lookOf(environment)))
      if (!status.ready) {
        const reason = "It is not ready; parley doctor says how that is mended."
        return yield* new OperatorTrouble({ reason, exitCode: exitCodes.trouble })
      }
    })
  ).pipe(
    Command.withDescription(`How the running server does: what is up, what waits, what was counted. ${codes}`),
    Command.withShortDescription("How the running server does."),
    Command.withExamples([
      { command: "parley status", description: "In words" },
      { command: "parley status --json | jq .outbox", description: "For programs" }
    ])
  )

const listCommand = (environment: Environment) => {
  const account = Flag.String("account").pipe(
    Flag.withMetavar("CHANNEL/ACCOUNT"),
    Flag.withDescription("Those of one account, as webhook/demo."),
    Flag.optional
  )
  const filter = (name: string, words: string) =>
    Flag.Boolean(name).pipe(Flag.withDescription(words), Flag.withDefault(false))
  const after = Flag.String("after").pipe(
    Flag.withMetavar("ID"),
    Flag.withDescription("Those that come after this one."),
    Flag.optional
  )
  const filters = {
    account,
    open: filter("open", "Those that are not done: somebody writes, or waits for an answer."),
    due: filter("due", "Those with replies that are not delivered yet."),
    dead: filter("dead", "Those with open dead letters."),
    after,
    limit: limitFlag
  }
  const flags = { ...serverFlags, ...filters }
  return Command.make("list", flags, ({ account, after, dead, due, json, limit, open, ...given }) =>
    Effect.gen(function* () {
      const config = yield* loadConfig(environment, written(given))
      const query = {
        account: Option.getOrUndefined(account),
        after: Option.getOrUndefined(after),
        limit: Option.getOrUndefined(limit),
        ...{ open: yes(open), due: yes(due), dead: yes(dead) }
      }
      const found = yield* askServer(config, { path: "/conversations", query, answer: Conversations })
      yield* json ? printJson(found) : Console.log(conversationsText(found, lookOf(environment).width))
    })
  ).pipe(
    Command.withDescription(`The conversations in the order of their ids, a page at a time. ${codes}`),
    Command.withShortDescription("The conversations, a page at a time."),
    Command.withExamples([
      { command: "parley conversations list --open", description: "Who waits for an answer" },
      { command: "parley conversations list --account webhook/demo --dead", description: "Whose replies were given up" }
    ])
  )
}

export const conversationsCommand = (environment: Environment) =>
  Command.make("conversations").pipe(
    Command.withDescription("Which conversations there are."),
    Command.withSubcommands([listCommand(environment)])
  )

export const inspectCommand = (environment: Environment) => {
  const messages = Flag.Int("messages").pipe(
    Flag.withMetavar("N"),
    Flag.withDescription("How many of the last messages, up to 500. Without it: 10."),
    Flag.optional
  )
  const flags = { ...serverFlags, texts: textsFlag, messages, conversation: conversationArgument }
  return Command.make("inspect", flags, ({ conversation, json, messages, texts, ...given }) =>
    Effect.gen(function* () {
      const config = yield* loadConfig(environment, written(given))
      const query = { id: conversation, texts, messages: Option.getOrUndefined(messages) }
      const found = yield* askServer(config, { path: "/conversation", query, answer: Inspection })
      const told = { ...found, waitsFor: waitingFor(found), lastError: lastErrorOf(found) ?? null }
      yield* json ? printJson(told) : Console.log(inspectText(found, lookOf(environment)))
    })
  ).pipe(
    Command.withDescription(
      `One conversation: its state, since when, what it waits for, its outbox, its last error and messages. ${codes}`
    ),
    Command.withShortDescription("Where one conversation stands, and what it waits for."),
    Command.withExamples([
      { command: "parley inspect webhook/demo/room-7", description: "Why does nobody answer there?" },
      { command: "parley inspect webhook/demo/room-7 --texts --messages 30", description: "What was said as well" }
    ])
  )
}

export const forgetCommand = (environment: Environment) =>
  Command.make(
    "forget",
    { ...serverFlags, yes: yesFlag, conversation: conversationArgument },
    ({ conversation, json, yes, ...given }) =>
      Effect.gen(function* () {
        const config = yield* loadConfig(environment, written(given))
        yield* confirm(`Forget all that was said in ${conversation}? It cannot be brought back.`, yes)
        const query = { id: conversation }
        const gone = yield* askServer(config, { method: "POST", path: "/forget", query, answer: Forgotten })
        if (json) return yield* printJson(gone)
        const { deadLetters, events, messages, replies } = gone
        yield* Console.log(
          `Forgotten: ${messages} messages, ${replies} replies, ${deadLetters} dead letters; ${events} events name nobody any more.`
        )
      })
  ).pipe(
    Command.withDescription(
      "Delete every row of a conversation, whether it is being answered or not. The keys of its events stay without " +
        `a name until the end of their retention, so that a repeated event is not answered anew. ${codes}`
    ),
    Command.withShortDescription("Delete all that was said in a conversation."),
    Command.withExamples([
      { command: "parley forget webhook/demo/room-7", description: "Asks first" },
      { command: "parley forget webhook/demo/room-7 --yes", description: "From a script" }
    ])
  )
