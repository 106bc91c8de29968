/** The process that decodes: node main.ts OPTIONS, started by the server, which it does not outlive. */
import { setInterval } from "node:timers/promises"
import { type Loop, openLoop } from "./loop.ts"
import { openModel } from "./model.ts"
import { openTuner } from "./tuner.ts"
import { warmUp } from "./warm-up.ts"
import type { FromWorker, ToWorker, WorkerOptions } from "./wire.ts"

process.on("disconnect", die)
// The server may have gone while our imports were loaded.
if (!process.connected) die()

const options: WorkerOptions = JSON.parse(process.argv[2]!)
const nowMs = () => performance.now()
let loop: Loop | undefined
const beating = beat()
const tuner = openTuner(options, nowMs)
const startedMs = nowMs()
const model = await openModel(options, tuner)
if ("what" in model) send({ type: "broken", ...model })
else {
  const tokenMs = await warmUp({ ...options, model, tuner, nowMs, loadedMs: nowMs() - startedMs })
  const { cacheBytesMax = shareOf(process.availableMemory()) } = options
  const working = openLoop(model, { ...options, cacheBytesMax }, tellAll(send))
  loop = working
  process.on("message", (message: ToWorker) => hear(working, message))
  send({ type: "threads", choices: tuner.choices() })
  send({ type: "ready", tokenMs })
  await working.run()
}
await beating

/** Not process.exit: it would run destructors while other threads still decode. The group is ours (`detached`). */
function die(): void {
  process.kill(-process.pid, "SIGKILL")
}

/** Whoever else there is on this machine takes memory as well. */
function shareOf(freeBytes: number): number {
  return Math.min(8 * 1024 ** 3, Math.floor(freeBytes / 4))
}

function hear(loop: Loop, message: ToWorker): void {
  if (message.type === "generate") loop.generate(message.job)
  else if (message.type === "embed") loop.embed(message.job)
  else if (message.type === "abort") loop.abort(message.key)
  else loop.forget()
}

/** While it decodes, its steps are the sign of life: an idle event loop says nothing about a hung decode. */
async function beat(): Promise<never> {
  for await (const _ of setInterval(options.heartbeatMs)) {
    if (loop === undefined) send({ type: "loading" })
    else if (loop.isIdle()) send({ type: "idle", room: loop.room() })
  }
  throw new Error("the interval ended")
}

/** And tells of the threads whenever their choice is another. */
function tellAll(tell: (message: FromWorker) => void): (message: FromWorker) => void {
  let told = tuner.revision()
  return (message) => {
    tell(message)
    if (told === tuner.revision()) return
    told = tuner.revision()
    tell({ type: "threads", choices: tuner.choices() })
  }
}

function send(message: FromWorker): undefined {
  // An error means that the server is gone, which "disconnect" deals with.
  process.send!(message, undefined, undefined, () => {})
}
