/** Asks before what cannot be taken back. */
import { createInterface } from "node:readline/promises"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { exitCodes } from "../exit-codes.ts"
import { OperatorTrouble } from "./operator-trouble.ts"

/** Fails unless somebody at the terminal says yes, or said so beforehand. */
export const confirm = Effect.fn("confirm")(function* (
  question: string,
  isGiven: boolean
): Effect.fn.Return<void, OperatorTrouble, Scope.Scope> {
  if (isGiven) return
  if (!process.stdin.isTTY) {
    const reason = `${question} Nobody is here to be asked: --yes says so beforehand.`
    return yield* new OperatorTrouble({ reason, exitCode: exitCodes.usage })
  }
  const terminal = yield* Effect.acquireRelease(
    Effect.sync(() => createInterface({ input: process.stdin, output: process.stderr })),
    (opened) => Effect.sync(() => opened.close())
  )
  const said = yield* Effect.promise((signal) => terminal.question(`${question} [y/N] `, { signal }).catch(() => ""))
  if (/^y(es)?$/i.test(said.trim())) return
  return yield* new OperatorTrouble({ reason: "Nothing was changed.", exitCode: exitCodes.trouble })
}, Effect.scoped)
