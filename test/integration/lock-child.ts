/** Wants the lock of a data directory at a given moment: `node lock-child.ts <directory> <epoch ms>`, until it is killed. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Clock, Effect } from "effect"
import { holdDataDir } from "../../src/store/data-lock.ts"

const [dataDir, atMs] = process.argv.slice(2)
const say = (what: object) => Effect.sync(() => void process.stdout.write(JSON.stringify(what) + "\n"))

const main = Effect.gen(function* () {
  yield* Effect.sleep(Math.max(0, Number(atMs) - (yield* Clock.currentTimeMillis)))
  yield* holdDataDir(dataDir!, 0o755)
  yield* say({ url: "held", pid: process.pid })
  yield* Effect.never
}).pipe(
  Effect.scoped,
  Effect.catchTag("DatabaseTrouble", ({ reason }) => say({ trouble: reason }))
)

NodeRuntime.runMain(main)
