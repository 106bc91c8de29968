/**
 * Wants the locks of the data directories `0`, `1`, … in a directory, each at its moment, and keeps what it gets until it
 * is killed: `node lock-child.ts <directory> <rounds> <epoch ms of the first>`.
 */
import { join } from "node:path"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Clock, Effect, Result } from "effect"
import { holdDataDir } from "../../src/store/data-lock.ts"

const roundMs = 8
const [dir, rounds, firstMs] = process.argv.slice(2)

const main = Effect.gen(function* () {
  const clock = yield* Effect.service(Clock.Clock)
  const results: Array<string> = []
  for (let round = 0; round < Number(rounds); round++) {
    // A timer is late by more than the race takes.
    while (clock.currentTimeMillisUnsafe() < Number(firstMs) + round * roundMs);
    const result = yield* Effect.result(holdDataDir(join(dir!, String(round)), 0o755))
    results.push(Result.isSuccess(result) ? "held" : result.failure.reason)
  }
  process.stdout.write(JSON.stringify({ results }) + "\n")
  yield* Effect.never
})

NodeRuntime.runMain(Effect.scoped(main))
