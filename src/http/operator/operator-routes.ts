/** `/api/operator/…`: what `parley` asks a running server. The guard lets nobody else in. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { AccountClosed, Operations } from "../../actors/operator.ts"
import { accountOf } from "../../domain/ids.ts"
import type { Operator } from "../../store/audit.ts"
import { conversations, inspect } from "../../store/conversation-reads.ts"
import { type LetterRefused, letter, letters } from "../../store/dead-letters.ts"
import type { Unavailable } from "../../store/journal.ts"
import { problem } from "../problem.ts"
import { type BadQuery, flag, oneOf, readQuery, text, whole } from "./query.ts"
import { type StatusOptions, statusOf } from "./status.ts"

export interface OperatorOptions extends StatusOptions {
  readonly operations: Operations
}

const pageMax = 500
const pageDefault = 50
const limit = whole(1, pageMax)

const conversationFields = { account: text, open: flag, due: flag, dead: flag, after: text, limit }
const letterFields = {
  state: oneOf(["open", "replayed", "discarded"]),
  kind: oneOf(["inbound", "turn", "outbound"]),
  conversation: text,
  before: whole(1, Number.MAX_SAFE_INTEGER),
  limit
}
const inspectFields = { id: text, messages: whole(0, pageMax), texts: flag }

export const operatorRoutes = (options: OperatorOptions) => {
  const { database, operations } = options
  return HttpRouter.addAll([
    route("GET", "/status", statusOf(options)),
    route(
      "GET",
      "/conversations",
      Effect.gen(function* () {
        const { account, after = "", dead, due, limit: max = pageDefault, open } = yield* readQuery(conversationFields)
        const asked = { account, isOpen: open, hasDue: due, hasDead: dead, after, max: max + 1 }
        const { next, page } = cut(yield* conversations(database, asked), max)
        return { nowMs: yield* Clock.currentTimeMillis, conversations: page, next: next?.id ?? null }
      })
    ),
    route("GET", "/conversation", inspection(options)),
    route(
      "GET",
      "/dead-letters",
      Effect.gen(function* () {
        const { limit: max = pageDefault, ...asked } = yield* readQuery(letterFields)
        const { next, page } = cut(yield* letters(database, { ...asked, max: max + 1 }), max)
        return { nowMs: yield* Clock.currentTimeMillis, deadLetters: page, next: next?.id ?? null }
      })
    ),
    route(
      "GET",
      "/dead-letters/:id",
      Effect.gen(function* () {
        const { texts = false } = yield* readQuery({ texts: flag })
        return { nowMs: yield* Clock.currentTimeMillis, ...(yield* letter(database, yield* letterId, texts)) }
      })
    ),
    route("POST", "/dead-letters/:id/replay", withLetter(operations.replay)),
    route("POST", "/dead-letters/:id/discard", withLetter(operations.discard)),
    route(
      "POST",
      "/forget",
      Effect.gen(function* () {
        const { id } = yield* readQuery({ id: text })
        if (id === undefined) return missingId
        return (yield* operations.forget(id, yield* operator)) ?? unknownConversation
      })
    )
  ])
}

const inspection = ({ accounts, configured, database, models }: OperatorOptions) =>
  Effect.gen(function* () {
    const { id, messages = 10, texts = false } = yield* readQuery(inspectFields)
    if (id === undefined) return missingId
    const found = yield* inspect(database, id, messages, texts)
    if (found === undefined) return unknownConversation
    const account = accountOf(id)
    const turn = found.conversation?.turn
    return {
      nowMs: yield* Clock.currentTimeMillis,
      id,
      isConfigured: configured.includes(account),
      isLive: accounts.get(account)?.conversations.isLive(id) ?? false,
      queue: (turn === undefined || turn === null ? undefined : yield* waitOf(models, `${id}/${turn}`)) ?? null,
      ...found,
      conversation: found.conversation ?? null
    }
  })

/** Whichever model it waits for. */
const waitOf = (models: OperatorOptions["models"], id: string) =>
  Effect.map(
    Effect.forEach(models, ({ scheduler }) => scheduler.waitOf(id)),
    (waits) => waits.find((wait) => wait !== undefined)
  )

type Refusal = LetterRefused | AccountClosed | BadQuery | Unavailable

function route<R>(method: "GET" | "POST", path: `/${string}`, answer: Effect.Effect<unknown, Refusal, R>) {
  const response = Effect.match(answer, {
    onFailure: refused,
    onSuccess: (body) => (HttpServerResponse.isHttpServerResponse(body) ? body : HttpServerResponse.jsonUnsafe(body))
  })
  const logged = Effect.tapDefect(response, (defect) => Effect.logError("an operator's request broke", defect))
  return HttpRouter.route(method, `/api/operator${path}`, logged)
}

function refused(refusal: Refusal): HttpServerResponse.HttpServerResponse {
  switch (refusal._tag) {
    case "LetterRefused":
      return problem(refusal.code === "not_found" ? 404 : 409, refusal.code, refusal.reason)
    case "AccountClosed":
      return problem(503, "account_closed", `${refusal.account} is being opened: try again in a moment.`)
    case "BadQuery":
      return problem(422, "bad_query", refusal.message)
    case "Unavailable":
      return problem(503, "database", `The database does not answer: ${refusal.reason}`)
  }
}

const missingId = problem(422, "bad_query", "`id` is missing: expected the id of a conversation")
const unknownConversation = problem(404, "not_found", "There is no such conversation.")

const letterId = Effect.map(HttpRouter.params, ({ id = "" }) => (/^\d{1,15}$/.test(id) ? Number(id) : 0))

const withLetter = <A, E>(act: (id: number, operator: Operator) => Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    return yield* act(yield* letterId, yield* operator)
  })

const nameMaxChars = 128

/** Whoever has the token may say what they are called; where they asked from is what we saw. */
const operator = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers, remoteAddress }): Operator => {
  const name = (headers["x-parley-operator"] ?? "").replace(/[^\x20-\x7e]/g, "?").slice(0, nameMaxChars)
  return { name: name === "" ? "unnamed" : name, address: remoteAddress._tag === "Some" ? remoteAddress.value : "" }
})

function cut<A>(
  rows: ReadonlyArray<A>,
  max: number
): { readonly page: ReadonlyArray<A>; readonly next: A | undefined } {
  const page = rows.slice(0, max)
  return { page, next: rows.length > max ? page.at(-1) : undefined }
}
