/** The ways in which something is killed, and how the server goes on. */
import { Clock, Effect } from "effect"
import type { Autopsy } from "./kill-columns.ts"
import { autopsyOf, healthOf, orDied, type Scene, type Strike, Stuck, streamingOf } from "./kill-run.ts"
import { drainMsDefault } from "./kill-world.ts"

const nothing = {
  isDead: false,
  counts: { "accepted-unstarted": 0, "awaiting-model": 0, streaming: 0, "committed-unsent": 0, ambiguous: 0 },
  ambiguous: [],
  attempts: new Map(),
  arrivals: new Map()
} satisfies Omit<Autopsy, "kill">
const backMaxMs = 90_000
const pollMs = 20
/** Beyond `drainMs`, for a machine that does other things as well. */
const graceMs = 10_000

/** kill -9 of the server; the next one starts at once. */
export const killServer: Strike = Effect.fnUntraced(function* (scene) {
  const { server, world } = scene
  const isStreaming = streamingOf(scene)
  server.signal("SIGKILL")
  yield* server.exited
  const autopsy = yield* autopsyOf(scene, isStreaming, true)
  return { autopsy, server: yield* world.start }
})

/** SIGTERM: it ends by itself, in time and with 0, and the next one starts. */
export const stopServer: Strike = Effect.fnUntraced(function* (scene) {
  const { kill, server, world } = scene
  // At its start the database may not be there yet, and then there is nothing to interrupt.
  const before = yield* Effect.catchTag(autopsyOf(scene, streamingOf(scene), false), "NoRows", () =>
    Effect.succeed({ ...nothing, kill })
  )
  const sinceMs = yield* Clock.currentTimeMillis
  server.signal("SIGTERM")
  const exited = yield* Effect.timeoutOption(server.exited, drainMsDefault + graceMs)
  const tookMs = (yield* Clock.currentTimeMillis) - sinceMs
  if (exited._tag === "None") return yield* new Stuck({ message: `after SIGTERM (${kill}) it ran on for ${tookMs} ms` })
  // Before Node has read the program there is nobody who could stop in order, and nothing that runs.
  const isTooEarly = exited.value.signal === "SIGTERM" && server.tail() === ""
  if (exited.value.code !== 0 && !isTooEarly) {
    return yield* new Stuck({ message: `after SIGTERM (${kill}) it ended with ${JSON.stringify(exited.value)}` })
  }
  return {
    autopsy: { ...before, kill: `${kill}: exit ${exited.value.code ?? "at once"} in ${tookMs} ms` },
    server: yield* world.start
  }
})

/** kill -9 of the postmaster, or of one of the processes it works with; the server goes on, and brings it back. */
export const killPostgres: Strike = Effect.fnUntraced(function* (scene) {
  const { kill, luck, server, world } = scene
  const autopsy = yield* autopsyOf(scene, streamingOf(scene), false)
  const postmaster = world.postmaster()
  const others = world.processes("postgres").filter((pid) => pid !== postmaster)
  const isAll = luck() < 0.6 || others.length === 0
  process.kill(isAll ? postmaster : others[Math.floor(luck() * others.length)]!, "SIGKILL")
  yield* orDied(untilReadyAgain(scene), server)
  return { autopsy: { ...autopsy, kill: `${kill}: ${isAll ? "postmaster" : "one process"}` }, server }
})

/** kill -9 of the model worker; the server goes on, and starts another. */
export const killWorker: Strike = Effect.fnUntraced(function* (scene) {
  const { server, world } = scene
  const autopsy = yield* autopsyOf(scene, streamingOf(scene), false)
  const workers = world.processes("worker/main.ts")
  if (workers.length === 0) return yield* new Stuck({ message: "there is no model worker" })
  for (const pid of workers) process.kill(pid, "SIGKILL")
  yield* orDied(untilReadyAgain(scene), server)
  return { autopsy, server }
})

/** Ready by its own word, after it was not, or once a second has passed in which nobody saw that. */
const untilReadyAgain = Effect.fnUntraced(function* ({ kill, world }: Scene) {
  const sinceMs = yield* Clock.currentTimeMillis
  let wasAway = false
  for (;;) {
    const { ok, text } = yield* healthOf(world)
    const tookMs = (yield* Clock.currentTimeMillis) - sinceMs
    wasAway ||= !ok
    if (ok && (wasAway || tookMs > 1_000)) return
    if (tookMs > backMaxMs) {
      return yield* new Stuck({ message: `after ${kill} it is not ready for ${tookMs} ms: ${text}` })
    }
    yield* Effect.sleep(pollMs)
  }
})
