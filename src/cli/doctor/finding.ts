/** What a check saw, and how it is mended. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** `trouble`: Parley does not start, or does not answer. `warning`: it works, and not well or not for long. */
export type Level = "ok" | "note" | "warning" | "trouble"

/** Whatever is not ok has a mend. */
export type Finding = (Seen & { readonly level: "ok"; readonly mend?: undefined }) | Fault
export type Fault = Seen & { readonly level: Exclude<Level, "ok">; readonly mend: string }

interface Seen {
  /** `database.password`: the check, and what was found. The same in every version. */
  readonly id: string
  readonly saw: string
  /** Why it matters. */
  readonly why?: string
  /** The first row is its head. */
  readonly table?: ReadonlyArray<ReadonlyArray<string>>
  /** What was measured or counted, for programs. */
  readonly figures?: Readonly<Record<string, number>>
}

export type Findings = ReadonlyArray<Finding>

export interface Check {
  readonly name: string
  readonly maxMs: number
  readonly run: Effect.Effect<Findings, never, Scope.Scope>
}

export const ok = (id: string, saw: string): Finding => ({ id, level: "ok", saw })

/** One after another, so that none is measured while another works. None can end or hold up the others. */
export const runChecks = (checks: ReadonlyArray<Check>): Effect.Effect<Findings> =>
  Effect.map(Effect.forEach(checks, runCheck), (all) => all.flat())

const runCheck = ({ maxMs, name, run }: Check): Effect.Effect<Findings> =>
  Effect.scoped(run).pipe(
    Effect.timeoutOrElse({
      duration: maxMs,
      orElse: () =>
        Effect.succeed([
          {
            id: `${name}.late`,
            level: "warning" as const,
            saw: `This check was given up after ${maxMs / 1000} s.`,
            mend: "Run it again when the machine has less to do; where it stays so, look at what this check looks at."
          }
        ])
    }),
    Effect.catchCause((cause) =>
      Effect.succeed([
        {
          id: `${name}.failed`,
          level: "warning" as const,
          saw: `This check failed itself: ${Cause.pretty(cause).split("\n")[0]}`,
          mend: "The other checks stand. Report this line, please."
        }
      ])
    )
  )
