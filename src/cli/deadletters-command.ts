/** `parley deadletters`: what was given up, and what is done about it. */
import * as Console from "effect/Console"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Environment } from "./config-document.ts"
import { written } from "./config-flags.ts"
import { loadConfig } from "./config-load.ts"
import { exitCodes } from "./exit-codes.ts"
import { lookOf } from "./look.ts"
import { ClosedLetter, Letter, Letters } from "./operator/answers.ts"
import { type Asked, askServer } from "./operator/ask-server.ts"
import { confirm } from "./operator/confirm.ts"
import { lettersText, letterText } from "./operator/letters-text.ts"
import { OperatorTrouble } from "./operator/operator-trouble.ts"
import { codes, limitFlag, printJson, serverFlags, textsFlag, yesFlag } from "./operator-commands.ts"

const kindFlag = Flag.Literals("kind", ["inbound", "turn", "outbound"]).pipe(
  Flag.withDescription("An event, a turn, or a reply."),
  Flag.optional
)
const conversationFlag = Flag.String("conversation").pipe(
  Flag.withMetavar("ID"),
  Flag.withDescription("Those of one conversation."),
  Flag.optional
)

export const deadlettersCommand = (environment: Environment) =>
  Command.make("deadletters").pipe(
    Command.withDescription("Events, turns and replies that were given up, and what is done about them."),
    Command.withExamples([
      { command: "parley deadletters list", description: "Those that nobody has looked after" },
      { command: "parley deadletters replay 7", description: "Send a reply again, with the same key" }
    ]),
    Command.withSubcommands([
      listCommand(environment),
      showCommand(environment),
      closeCommand(environment, replaying),
      closeCommand(environment, discarding)
    ])
  )

const listCommand = (environment: Environment) => {
  const state = Flag.Literals("state", ["open", "replayed", "discarded", "all"]).pipe(
    Flag.withDescription("Without it: open."),
    Flag.withDefault("open" as const)
  )
  const before = Flag.Int("before").pipe(
    Flag.withMetavar("ID"),
    Flag.withDescription("Those that come after this one in the list."),
    Flag.optional
  )
  const flags = {
    ...serverFlags,
    ...{ state, kind: kindFlag, conversation: conversationFlag, before, limit: limitFlag }
  }
  return Command.make("list", flags, ({ before, conversation, json, kind, limit, state, ...given }) =>
    Effect.gen(function* () {
      const config = yield* loadConfig(environment, written(given))
      const query = {
        state: state === "all" ? undefined : state,
        kind: Option.getOrUndefined(kind),
        conversation: Option.getOrUndefined(conversation),
        before: Option.getOrUndefined(before),
        limit: Option.getOrUndefined(limit)
      }
      const found = yield* askServer(config, { path: "/dead-letters", query, answer: Letters })
      yield* json ? printJson(found) : Console.log(lettersText(found, lookOf(environment).width))
    })
  ).pipe(
    Command.withDescription(`The dead letters, the newest first, a page at a time. ${codes}`),
    Command.withShortDescription("The dead letters, the newest first."),
    Command.withExamples([
      { command: "parley deadletters list", description: "Those that nobody has looked after" },
      { command: "parley deadletters list --state all --kind outbound", description: "Every reply that was given up" }
    ])
  )
}

const showCommand = (environment: Environment) => {
  const id = Argument.Int("id").pipe(
    Argument.withMetavar("ID"),
    Argument.withDescription("As `parley deadletters list` shows it.")
  )
  return Command.make("show", { ...serverFlags, texts: textsFlag, id }, ({ id, json, texts, ...given }) =>
    Effect.gen(function* () {
      const config = yield* loadConfig(environment, written(given))
      const found = yield* askServer(config, { path: `/dead-letters/${id}`, query: { texts }, answer: Letter })
      yield* json ? printJson(found) : Console.log(letterText(found, lookOf(environment)))
    })
  ).pipe(
    Command.withDescription(`One dead letter: what it is of, why it is dead, every send, who did what. ${codes}`),
    Command.withShortDescription("One dead letter, with every send of it."),
    Command.withExamples([{ command: "parley deadletters show 7", description: "Why was it given up?" }])
  )
}

interface Closing {
  readonly name: "replay" | "discard"
  readonly done: string
  readonly description: string
  readonly short: string
  /** Of those that --all means. */
  readonly kind: "outbound" | undefined
}

const replaying: Closing = {
  name: "replay",
  done: "is sent again",
  description:
    "Send undeliverable replies again, with the same key and as many attempts as a new one has. Events and turns that " +
    "were given up are not asked again: their people were told so.",
  short: "Send undeliverable replies again, with the same key.",
  kind: "outbound"
}

const discarding: Closing = {
  name: "discard",
  done: "is discarded",
  description: "Look at dead letters no more. What they tell of stays as it is.",
  short: "Look at dead letters no more.",
  kind: undefined
}

const idsMax = 500

const closeCommand = (environment: Environment, closing: Closing) => {
  const { description, name, short } = closing
  const ids = Argument.Int("id").pipe(
    Argument.withMetavar("ID"),
    Argument.withDescription("As `parley deadletters list` shows it."),
    Argument.variadic({ max: idsMax })
  )
  const all = Flag.Boolean("all").pipe(
    Flag.withDescription("All that are open, or those of --conversation."),
    Flag.withDefault(false)
  )
  const flags = { ...serverFlags, all, yes: yesFlag, conversation: conversationFlag, ids }
  return Command.make(name, flags, ({ all, conversation, ids, json, yes, ...given }) =>
    Effect.gen(function* () {
      const config = yield* loadConfig(environment, written(given))
      if (all === ids.length > 0) return yield* usage("Name the dead letters, or say --all, and not both.")
      if (Option.isSome(conversation) && !all) return yield* usage("--conversation is said together with --all.")
      if (all) yield* confirm(`${name === "replay" ? "Replay" : "Discard"} all of them?`, yes)
      const ask = <A>(asked: Asked<A>) => askServer(config, asked)
      const chosen = all ? openLetters(ask, closing, Option.getOrUndefined(conversation)) : Effect.succeed(ids)
      const outcomes = yield* closeAll(ask, closing, yield* chosen, json)
      const failed = outcomes.filter((outcome) => "reason" in outcome)
      if (json) yield* printJson(outcomes)
      else if (outcomes.length !== 1)
        yield* Console.log(`${outcomes.length - failed.length} of ${outcomes.length} done.`)
      const [first] = failed
      if (first !== undefined) {
        const reason = outcomes.length === 1 ? first.reason : `${failed.length} could not be done.`
        return yield* new OperatorTrouble({ reason, exitCode: first.exitCode })
      }
    })
  ).pipe(
    Command.withDescription(`${description} ${codes}`),
    Command.withShortDescription(short),
    Command.withExamples([
      { command: `parley deadletters ${name} 7 8`, description: "These two" },
      { command: `parley deadletters ${name} --all --conversation webhook/demo/room-7`, description: "All of one" }
    ])
  )
}

const usage = (reason: string) => new OperatorTrouble({ reason, exitCode: exitCodes.usage })

type Ask = <A>(asked: Asked<A>) => Effect.Effect<A, OperatorTrouble>

/** A page of ids at a time: letters that are made meanwhile are newer, and not meant. */
const openLetters = Effect.fnUntraced(function* (ask: Ask, { kind }: Closing, conversation: string | undefined) {
  const found: Array<number> = []
  let before: number | undefined
  do {
    const query = { state: "open", kind, conversation, before, limit: idsMax }
    const page = yield* ask({ path: "/dead-letters", query, answer: Letters })
    found.push(...page.deadLetters.map(({ id }) => id))
    before = page.next ?? undefined
  } while (before !== undefined)
  return found.toReversed()
})

type Outcome = { readonly id: number; readonly state: string } | Failed
interface Failed {
  readonly id: number
  readonly reason: string
  readonly exitCode: number
}

/** One after the other, the oldest first. Without a server there is no sense in going on. */
const closeAll = Effect.fnUntraced(function* (
  ask: Ask,
  { done, name }: Closing,
  ids: ReadonlyArray<number>,
  isQuiet: boolean
): Effect.fn.Return<ReadonlyArray<Outcome>, OperatorTrouble> {
  const outcomes: Array<Outcome> = []
  for (const id of ids) {
    const path = `/dead-letters/${id}/${name}`
    const outcome = yield* ask({ method: "POST", path, answer: ClosedLetter }).pipe(
      Effect.map(({ state }): Outcome => ({ id, state })),
      Effect.catch((failure) =>
        failure.exitCode === exitCodes.trouble
          ? Effect.succeed<Outcome>({ id, reason: failure.reason, exitCode: failure.exitCode })
          : Effect.fail(failure)
      )
    )
    outcomes.push(outcome)
    if (isQuiet || (ids.length === 1 && "reason" in outcome)) continue
    yield* "reason" in outcome ? Console.error(outcome.reason) : Console.log(`Dead letter ${id} ${done}.`)
  }
  return outcomes
})
