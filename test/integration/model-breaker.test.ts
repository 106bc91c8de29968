/** A real worker that is killed again and again: its breaker opens, lets one through after a pause, and closes. */
import { it } from "@effect/vitest"
import { Effect, Exit, Schedule, Stream } from "effect"
import { expect } from "vitest"
import { type LlamaEngine, openLlama } from "../../src/inference/llama.ts"
import type { PooledModel } from "../../src/inference/model-life.ts"
import { openModelPool } from "../../src/inference/model-pool.ts"
import { asked, defaults } from "./llama-harness.ts"

const breaker = { deathsMax: 4, withinMs: 600_000, pauseMinMs: 1_500, pauseMaxMs: 60_000 }

/** Each load is a process, which a busy machine may take long over. */
const testMaxMs = 600_000

/** However busy the machine is: the test's own time ends it. */
const until = (condition: Effect.Effect<boolean>) =>
  Effect.repeat(condition, { until: (holds: boolean) => holds, schedule: Schedule.spaced(20) })

it.live(
  "a worker that is killed again and again opens the breaker; the probe's answer closes it",
  () =>
    Effect.gen(function* () {
      let engine: LlamaEngine | undefined
      const model: PooledModel = {
        name: "random",
        slotsMax: 2,
        keepAliveMs: 600_000,
        need: Effect.succeed({ bytes: 1, isDoubtful: false }),
        open: (watch) =>
          Effect.tap(openLlama({ ...defaults, slotsMax: 2, loadMaxMs: 120_000, watch }), (opened) =>
            Effect.sync(() => {
              engine = opened
            })
          )
      }
      const limits = { bytesMax: 1, isBytesMaxSet: true, queueMax: 10, queueTokensMax: 100_000 }
      const pool = yield* openModelPool({ models: [model], breaker, ...limits })
      const { scheduler, status } = pool.models[0]
      const ask = (id: string) => Stream.runDrain(scheduler.infer({ ...asked("Hello!"), id, firstAttempt: 1 }))
      const isIn = (state: string) => Effect.map(status, (seen) => seen.state === state)

      yield* ask("first")
      for (let nth = 1; nth <= breaker.deathsMax; nth++) {
        // Of the last one everybody was told before the engine was closed.
        const pid = yield* engine!.workerPid
        process.kill(pid!, "SIGKILL")
        yield* until(Effect.map(status, ({ deaths }) => deaths === nth))
        if (nth < breaker.deathsMax) yield* until(Effect.map(engine!.workerPid, (next) => (next ?? pid) !== pid))
      }
      yield* until(isIn("breaker-open"))
      expect(yield* Effect.flip(ask("early"))).toMatchObject({
        kind: "down",
        reason: expect.stringContaining("SIGKILL")
      })
      const probes = Effect.map(Effect.exit(ask("probe")), Exit.isSuccess)
      yield* until(probes)
      expect(yield* status).toMatchObject({ state: "ready", deaths: breaker.deathsMax, loads: 2 })
      // It is closed: two at once are let through.
      yield* Effect.all([ask("ann"), ask("bob")], { concurrency: 2 })
    }),
  testMaxMs
)
