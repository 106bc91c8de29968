/** A Parley that has nothing but a database: `node embedded-child.ts <data directory>`, until SIGTERM or SIGINT. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect } from "effect"
import { keepAlive, open } from "../../src/store/embedded.ts"

const say = (line: object) => Effect.sync(() => void process.stdout.write(JSON.stringify(line) + "\n"))

const main = Effect.gen(function* () {
  const announce = (line: string) => say({ announced: line })
  const embedded = yield* open({ dataDir: process.argv[2]!, announce })
  yield* say({ url: embedded.url, adopted: embedded.adopted, pid: yield* embedded.pid })
  yield* keepAlive(embedded)
}).pipe(
  Effect.scoped,
  Effect.catchTag("DatabaseTrouble", ({ reason }) => say({ trouble: reason }))
)

NodeRuntime.runMain(main, { disableErrorReporting: true })
