/** The smallest plan and the fewest conversations with which the same promise is broken. */
import { type Outcome, type SimulateOptions, simulate } from "./simulate.ts"

/** Of a violation, which promise it breaks: `I4 lost`. */
export const kindOf = (violation: string): string => violation.split(":", 1)[0]!

/** Runs the seed again without one thing after the other; `runsMax` bounds how often. */
export function shrink(failed: Outcome, options: SimulateOptions, runsMax: number): Outcome {
  const kinds = new Set(failed.violations.map(kindOf))
  let smallest = failed
  let runs = 0
  const isSmaller = (given: Pick<SimulateOptions, "plan" | "writings">): boolean => {
    if (runs++ >= runsMax) return false
    const outcome = simulate({
      ...options,
      seed: failed.seed,
      plan: smallest.plan,
      writings: smallest.writings,
      ...given
    })
    const isSame = outcome.violations.some((violation) => kinds.has(kindOf(violation)))
    if (isSame) smallest = outcome
    return isSame
  }
  isSmaller({ plan: failed.fired })
  for (let again = true; again && runs < runsMax; ) {
    again = false
    for (let i = smallest.plan.length - 1; i >= 0; i--) {
      again = isSmaller({ plan: smallest.plan.toSpliced(i, 1) }) || again
    }
    const threads = new Set(smallest.writings.map(({ account, thread }) => `${account}/${thread}`))
    for (const thread of threads) {
      const others = smallest.writings.filter((one) => `${one.account}/${one.thread}` !== thread)
      again = isSmaller({ writings: others }) || again
    }
  }
  for (const { key } of smallest.writings) isSmaller({ writings: smallest.writings.filter((one) => one.key !== key) })
  return smallest
}
