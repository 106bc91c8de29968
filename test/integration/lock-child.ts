/**
 * Wants the locks of the data directories `0`, `1`, … in a directory, each at its moment, and keeps what it gets
 * until it is killed: `node lock-child.ts <directory> <rounds>`. The epoch ms of the first moment comes on stdin,
 * once all are ready.
 */
import { once } from "node:events"
import { join } from "node:path"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Clock, Effect, Result } from "effect"
import { holdDataDir } from "../../src/store/data-lock.ts"

const roundMs = 8
const [dir, rounds] = process.argv.slice(2)
const say = (line: object) => process.stdout.write(JSON.stringify(line) + "\n")

const main = Effect.gen(function* () {
  say({ announced: "ready" })
  const [firstMs] = yield* Effect.promise(() => once(process.stdin, "data"))
  const clock = yield* Effect.service(Clock.Clock)
  const results: Array<string> = []
  for (let round = 0; round < Number(rounds); round++) {
    // A timer is late by more than the race takes.
    while (clock.currentTimeMillisUnsafe() < Number(firstMs) + round * roundMs);
    const result = yield* Effect.result(holdDataDir(join(dir!, String(round)), 0o755))
    results.push(Result.isSuccess(result) ? "held" : result.failure.reason)
  }
  say({ results })
  yield* Effect.never
})

NodeRuntime.runMain(Effect.scoped(main))
