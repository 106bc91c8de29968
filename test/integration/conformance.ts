/**
 * The conformance kit: what every adapter must prove, as a list of checks (DESIGN.md, O3). A harness tells it how to
 * make the platform speak and fail; each check opens a fresh one.
 */
import { describe, test } from "vitest"
import type { Check, Harness } from "./conformance-bench.ts"
import { httpChecks, intakeChecks } from "./conformance-intake.ts"
import { pullChecks } from "./conformance-pulls.ts"
import { sendChecks } from "./conformance-sends.ts"

export interface Conforming {
  readonly harness: Harness
  /** The platform calls us over HTTP and signs its requests. */
  readonly isHttp: boolean
  /** The platform reads what it shows from our record. */
  readonly isPulled?: boolean
}

export const checksOf = ({ harness, isHttp, isPulled = false }: Conforming): ReadonlyArray<Check> => [
  ...intakeChecks(harness),
  ...(isHttp ? httpChecks(harness) : []),
  ...(isPulled ? pullChecks(harness) : sendChecks(harness))
]

/** Registers every check as a test. */
export function conformance(name: string, conforming: Conforming): void {
  describe(`${name} conforms`, () => {
    for (const { run, title } of checksOf(conforming)) test(title, run)
  })
}
