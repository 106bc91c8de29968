/**
 * Restarts what dies, within an intensity; one-for-one.
 *
 *   V1. The scope of a child is closed, finalizers and all, before the next one opens.
 *   V2. A child that returns is not restarted.
 *   V3. A child past its intensity ends its supervisor, which closes all other children first.
 */
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import { type Intensity, none, onCrash, type Restarts } from "../machines/restart-intensity.ts"

export interface Child<R> {
  readonly name: string
  readonly intensity: Intensity
  /** Runs until it dies, by a failure or a defect. All it acquires belongs in its scope. */
  readonly run: Effect.Effect<void, unknown, R | Scope.Scope>
}

/** It died more often than its intensity allows. Whoever supervises the supervisor decides. */
export class IntensityExceeded extends Data.TaggedError("IntensityExceeded")<{
  readonly child: string
  readonly cause: Cause.Cause<unknown>
}> {
  get reason(): string {
    return `the ${this.child} died too often: ${String(this.cause)}`
  }
}

/** Runs all children until every one has returned, or one is given up. Interrupting closes them all. */
export const supervise = <R>(children: ReadonlyArray<Child<R>>) =>
  Effect.forEach(children, (child) => superviseOne(child), { concurrency: "unbounded", discard: true })

const superviseOne = Effect.fn("Supervisor.child")(function* <R>({ intensity, name, run }: Child<R>) {
  let restarts: Restarts = none
  while (true) {
    const exit = yield* Effect.exit(Effect.scoped(run))
    if (Exit.isSuccess(exit)) return
    const verdict = onCrash(intensity, restarts, yield* Clock.currentTimeMillis)
    if (verdict === undefined) return yield* new IntensityExceeded({ child: name, cause: exit.cause })
    yield* Effect.logWarning(`${name} died; next start in ${verdict.delayMs} ms`, exit.cause)
    yield* Effect.sleep(verdict.delayMs)
    restarts = verdict.restarts
  }
})
