/** One question to the running server of a configuration, and its answer, or why there is none, in words. */
import { hostname, userInfo } from "node:os"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Config } from "../config-schema.ts"
import { exitCodes } from "../exit-codes.ts"
import { addressOf, bearerOf } from "../server-address.ts"
import { ask, inWords } from "../web-ask.ts"
import { Problem } from "./answers.ts"
import { OperatorTrouble } from "./operator-trouble.ts"

export interface Asked<A> {
  readonly method?: "GET" | "POST"
  /** Under `/api/operator`. */
  readonly path: string
  /** Left out where it is undefined. */
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>
  readonly answer: Schema.ConstraintDecoder<A>
}

/** Forgetting is the slowest that can be asked for. */
const answerMaxMs = 60_000
/** 500 conversations or letters, each with ids and a reason as long as they may be. */
const answerMaxBytes = 8 * 1024 * 1024

export const askServer = Effect.fn("askServer")(function* <A>(
  config: Pick<Config, "host" | "port" | "token">,
  { answer, method = "GET", path, query = {} }: Asked<A>
): Effect.fn.Return<A, OperatorTrouble> {
  const address = addressOf(config)
  const given = Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]))
  const search = new URLSearchParams(given).toString()
  const url = `${address}/api/operator${path}${search === "" ? "" : `?${search}`}`
  const headers = { ...bearerOf(config), "x-parley-operator": whoAmI() }
  const { status, text } = yield* ask(url, {
    method,
    headers,
    maxMs: answerMaxMs,
    textMaxBytes: answerMaxBytes
  }).pipe(Effect.mapError(({ code }) => unreachable(address, config.port, code)))
  if (status === 401 || status === 429) return yield* denied(address, status)
  const problem = Schema.decodeUnknownOption(Problem)(text)
  if (status !== 200 && Option.isSome(problem) && problem.value.error.code !== "not_found") {
    return yield* trouble(problem.value.error.message)
  }
  if (status === 404 && Option.isSome(problem) && problem.value.error.message !== "There is nothing here.") {
    return yield* trouble(problem.value.error.message)
  }
  const decoded = Schema.decodeUnknownOption(Schema.fromJsonString(answer as Schema.Codec<A>))(text)
  return Option.isSome(decoded) ? decoded.value : yield* notParley(address, status)
})

function unreachable(address: string, port: number, code: string): OperatorTrouble {
  const mend =
    port === 0
      ? "Its port is 0, any free one: say which it took, with --port"
      : "Start it (parley start), or say where it is: --port, --host, --config"
  const reason = `No Parley runs at ${address}: ${inWords(code)}. ${mend}.`
  return new OperatorTrouble({ reason, exitCode: exitCodes.unreachable })
}

function denied(address: string, status: number): OperatorTrouble {
  const mend = "Set PARLEY_TOKEN to the token that it was started with"
  const reason =
    status === 429
      ? `${address} was told too many wrong tokens from here. Wait a minute. ${mend}.`
      : `${address} does not know this token. ${mend}.`
  return new OperatorTrouble({ reason, exitCode: exitCodes.denied })
}

function notParley(address: string, status: number): OperatorTrouble {
  const reason = `What answers at ${address} is no Parley of this version (${status}). Is it another program, or an older one?`
  return new OperatorTrouble({ reason, exitCode: exitCodes.unreachable })
}

const trouble = (reason: string) => new OperatorTrouble({ reason, exitCode: exitCodes.trouble })

/** For the audit: who it says it is. A user without a name, as in some containers, is a number. */
function whoAmI(): string {
  try {
    return `${userInfo().username}@${hostname()}`
  } catch {
    return `uid ${process.getuid?.()}@${hostname()}`
  }
}
